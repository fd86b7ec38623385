"""Section Event log: the calls of one user's own lines, the latest first.

Law: deleteLogs hides. What is charged stays in CDRs and ledger, and who manages the installation reads it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.shown_money import ShownMoney, shown_money
from rating_engine.domain.cdr import MAX_RANGE, Cdr, CdrFilter
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import Party

LINES_MAX: Final = 100  # each is asked for its calls; who has more asks for its calls by line elsewhere
AHEAD: Final = timedelta(hours=1)  # the database's clock may be before ours


async def get_logs(asked: Asked) -> Answer:
    """The last calls that ended, of a year at the most."""
    limit = asked.values.needed_whole("limit")
    if not 1 <= limit <= MAX_LIMIT:
        raise Failure(Code.E_DATA_ABORT, f"limit: is from 1 to {MAX_LIMIT}")
    party, reader = await _target(asked), await asked.user()
    until = datetime.now(UTC) + AHEAD
    since = max(until - MAX_RANGE, await asked.use.parties.logs_since(party.party_id) or until - MAX_RANGE)
    answered = True if asked.values.flag("only_completed") else None
    calls: list[Cdr] = []
    for line in (await asked.use.accounts.lines(party.party_id))[:LINES_MAX]:
        wanted = CdrFilter(since, until, login=line.login, answered=answered)
        calls += (await asked.use.cdrs.page(wanted, Cursor(limit))).items
    calls.sort(key=lambda call: call.ended_at, reverse=True)
    info = party.name if asked.values.flag("resolve_info") else ""
    shown = await shown_money(asked)
    return [_shown(call, party, reader.utc_offset, info, shown) for call in calls[:limit]]


async def delete_logs(asked: Asked) -> Answer:
    """What is shown until now is shown no more."""
    await asked.use.parties.hide_logs((await _target(asked)).party_id)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {"getLogs": get_logs, "deleteLogs": delete_logs}


async def _target(asked: Asked) -> Party:
    named = asked.values.text("user")
    return await (asked.use.parties.show(named) if named else asked.user())


def _shown(call: Cdr, party: Party, offset: int, info: str, shown: ShownMoney) -> dict[str, Any]:
    return {
        "direction": call.direction,
        "route": call.route,
        "cost": shown.in_system(call.cost, call.currency),
        "date": date(call.ended_at),
        "displaycost": shown.displayed(call.cost, call.currency),
        "id": str(call.call_key),
        "username": party.login,
        "displaycurrency": shown.sign(call.currency),
        "status": f"{call.cause}{call.disposition}",
        "clientdate": date(call.ended_at, offset),
        "destination": call.destination,
        "time": str(call.seconds),
        "callerid": call.callerid,
        "sip_extension": call.login,
        "info": info,
        "debug": _origin(call),
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
