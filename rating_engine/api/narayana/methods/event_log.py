"""Section Event log: the calls of one user's own lines and its messages in one list, the latest first.

A spoken message is the call that plays it.

Law: deleteLogs hides. What is charged stays in CDRs and ledger, and who manages the installation reads it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.methods.sms import REPORT
from rating_engine.api.narayana.shown_money import ShownMoney, shown_money
from rating_engine.domain.cdr import MAX_RANGE, Cdr, CdrFilter
from rating_engine.domain.message import Direction, Message, MessageFilter, MessageKind, MessageState
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import Party

LINES_MAX: Final = 100  # each is asked for its calls; who has more asks for its calls by line elsewhere
AHEAD: Final = timedelta(hours=1)  # the database's clock may be before ours
RECEIVED: Final = "SMS Received"  # the document has words for what was sent alone
LOGGED: Final = frozenset({MessageKind.SMS, MessageKind.HLR, MessageKind.SIP})


async def get_logs(asked: Asked) -> Answer:
    """The last calls that ended and messages that were written, of a year at the most."""
    limit = asked.values.needed_whole("limit")
    if not 1 <= limit <= MAX_LIMIT:
        raise Failure(Code.E_DATA_ABORT, f"limit: is from 1 to {MAX_LIMIT}")
    party = await _target(asked)
    until = datetime.now(UTC) + AHEAD
    since = max(until - MAX_RANGE, await asked.use.parties.logs_since(party.party_id) or until - MAX_RANGE)
    answered = True if asked.values.flag("only_completed") else None
    info = party.name if asked.values.flag("resolve_info") else ""
    reader = _Reader(party, await asked.user(), info, await shown_money(asked))
    calls: list[Cdr] = []
    for line in (await asked.use.accounts.lines(party.party_id))[:LINES_MAX]:
        wanted = CdrFilter(since, until, login=line.login, answered=answered)
        calls += (await asked.use.cdrs.page(wanted, Cursor(limit))).items
    own = MessageFilter(kinds=LOGGED, succeeded=answered, owner=party.party_id, alone=True)
    # Their numbers go up with the time: behind the first one that is too old there is none that is not.
    messages = [each for each in (await asked.use.messages.page(own, Cursor(limit))).items if each.created_at >= since]
    lines = [(call.ended_at, reader.call(call)) for call in calls]
    lines += [(message.created_at, reader.message(message)) for message in messages]
    lines.sort(key=lambda line: line[0], reverse=True)
    return [line for _, line in lines[:limit]]


async def delete_logs(asked: Asked) -> Answer:
    """What is shown until now is shown no more."""
    await asked.use.parties.hide_logs((await _target(asked)).party_id)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {"getLogs": get_logs, "deleteLogs": delete_logs}


async def _target(asked: Asked) -> Party:
    named = asked.values.text("user")
    return await (asked.use.parties.show(named) if named else asked.user())


@dataclass(frozen=True, slots=True)
class _Reader:
    """Whose log it is, and how who asks is shown it."""

    party: Party
    asker: Party
    info: str
    money: ShownMoney

    def call(self, call: Cdr) -> dict[str, Any]:
        return {
            **self._common(call.ended_at, call.cost, call.currency),
            "id": str(call.call_key),
            "direction": call.direction,
            "route": call.route,
            "status": f"{call.cause}{call.disposition}",
            "destination": call.destination,
            "time": str(call.seconds),
            "callerid": call.callerid,
            "sip_extension": call.login,
            "debug": _origin(call),
        }

    def message(self, message: Message) -> dict[str, Any]:
        """What it says is not told here: getSMS shows it. What was not sent has cost nothing."""
        cost = Decimal(0) if message.state is MessageState.FAILED else message.price
        return {
            **self._common(message.created_at, cost, message.currency or self.money.currency),
            "id": str(message.number),
            "direction": message.kind.upper(),
            "route": message.carrier,
            "status": RECEIVED if message.direction is Direction.IN else REPORT[message.state],
            "destination": message.recipient,
            "time": "0",
            "callerid": message.sender,
            "sip_extension": message.login,
            "debug": f"parts={message.parts}" + (f" error={message.error}" if message.error else ""),
        }

    def _common(self, at: datetime, cost: Decimal | None, currency: str) -> dict[str, Any]:
        return {
            "date": date(at),
            "clientdate": date(at, self.asker.utc_offset),
            "cost": self.money.in_system(cost, currency),
            "displaycost": self.money.displayed(cost, currency),
            "displaycurrency": self.money.sign(currency),
            "username": self.party.login,
            "info": self.info,
        }


def _origin(call: Cdr) -> str:
    """How the call began, by the names of the arguments of callPrepare and callFinish that said so."""
    told = {
        "from_originate": call.from_originate,
        "source": call.source_address,
        "originated_by": call.originated_by,
        "is_did": call.is_did,
    }
    return " ".join(f"{name}={value}" for name, value in told.items() if value)
