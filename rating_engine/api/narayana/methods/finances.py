"""Section Finances and statistics: what a user has spent, how long its money lasts, and money sent to others.

Calls are those of the user's own lines, SMS the user's own, those that came in too; money and fees of the account of
the first line, in its currency, fees of messages and queries apart. Roaming and mobile data are no services of this
engine: nothing was spent on them, and nothing is counted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any, Final

from rating_engine.api.narayana.arguments import moment_of
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import MOST
from rating_engine.api.narayana.shown_money import ShownMoney, own_currency, shown_money
from rating_engine.domain.account import AccountState
from rating_engine.domain.cdr import CallSum, CdrFilter
from rating_engine.domain.message import MessageCount
from rating_engine.domain.page import MAX_LIMIT, Cursor

LINES_MAX: Final = 100  # each is asked for its calls
FORECAST_DAYS: Final = 30  # as many days back are looked at, and as many ahead a recommended payment lasts
LONGEST_FORECAST: Final = 36_500  # days; who spends next to nothing has money for ever
AHEAD: Final = timedelta(hours=1)  # the database's clock may be before ours
# What send_message_v2 and end_message_v1 call their entries.
_OF_MESSAGE: Final = re.compile(r"message:[0-9]+(:back)?")
_CENT: Final = Decimal("0.01")


async def get_stats(asked: Asked) -> Answer:
    """The forecast, and of a time what was spent and how many calls there were; asked for neither, both.

    The time is this month (UTC) where it is not said.
    """
    values = asked.values
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    since = month if (begin := values.text("date1")) is None else moment_of(begin.strip(), "date1")
    until = now + AHEAD if (end := values.text("date2")) is None else moment_of(end.strip(), "date2", end=True)
    login = await asked.needed_line()
    if since >= until:
        raise Failure(Code.E_DATA_ABORT, "date2: is before date1")
    account, shown = await asked.use.accounts.show(login), await shown_money(asked)
    both = not values.flag("financials") and not values.flag("statistic")
    stats: dict[str, Any] = {"forecast": await _forecast(asked, account, now, shown)}
    if both or values.flag("financials"):
        stats["financials"] = await _financials(asked, account, since, until, shown)
    if both or values.flag("statistic"):
        stats["stat"] = _calls(
            await _sums(asked, since, until), await asked.use.messages.count(asked.who, since, until)
        )
    return stats


async def transfer_money(asked: Asked) -> Answer:
    """From the account of who asks to that of a user or of a number; in the sender's currency."""
    amount = asked.values.number("amount")
    assert amount is not None
    destination, comment = asked.values.needed_text("destination"), asked.values.text("comment") or ""
    currency = await own_currency(asked)
    await asked.use.transfers.send(asked.who, destination, amount, comment=comment, currency=currency)
    return True


HANDLERS: Final[Mapping[str, Handler]] = {"getStats": get_stats, "transferMoney": transfer_money}


async def recommended_payment(asked: Asked) -> Decimal:
    """What is missing for the next FORECAST_DAYS, in the asker's currency; 0 where it calls nobody."""
    line = await asked.main_line()
    if line is None:
        return Decimal(0)
    shown, account = await shown_money(asked), await asked.use.accounts.show(line.login)
    forecast = await _forecast(asked, account, datetime.now(UTC), shown)
    return forecast["display_recommend"] or Decimal(0)


async def _forecast(asked: Asked, account: AccountState, now: datetime, shown: ShownMoney) -> dict[str, Any]:
    """How many days there is money, by the last FORECAST_DAYS; null where nothing is spent, or credit has no end."""
    spent = _cost(await _sums(asked, now - timedelta(days=FORECAST_DAYS), now + AHEAD))
    available = account.available
    days = None
    if available is not None and spent > 0:
        days = int(min(max(available, Decimal(0)) * FORECAST_DAYS / spent, Decimal(LONGEST_FORECAST)))
    missing = Decimal(0) if available is None else max(spent - available, Decimal(0))
    recommended = missing.quantize(_CENT)
    return {
        "forecast": days,
        "recommend": shown.in_system(recommended, account.currency),
        "display_recommend": shown.displayed(recommended, account.currency),
    }


async def _financials(
    asked: Asked, account: AccountState, since: datetime, until: datetime, shown: ShownMoney
) -> dict[str, Any]:
    calls, (messages, other) = (
        _cost(await _sums(asked, since, until)), await _fees(asked, account.login, since, until),
    )  # fmt: skip
    costs = {"gsm": Decimal(0), "call": calls, "sms": messages, "gprs": Decimal(0), "other": other}
    costs["total"] = calls + messages + other
    said: dict[str, Any] = {}
    for name, cost in costs.items():
        said[f"{name}_cost"] = shown.in_system(cost, account.currency)
        said[f"display_{name}_cost"] = shown.displayed(cost, account.currency)
    return said


def _calls(sums: Sequence[CallSum], sms: MessageCount) -> dict[str, Any]:
    calls, answered = sum(each.calls for each in sums), sum(each.answered for each in sums)
    nothing = dict.fromkeys(
        ("total_gsm_calls", "success_gsm_calls", "success_gsm_calls_percent", "gsm_calls_duration", "gprs_traffic"), 0
    )
    return {
        "total_calls": calls,
        "success_calls": answered,
        "success_calls_percent": _percent(answered, calls),
        "calls_duration": sum(each.seconds for each in sums),
        "total_sms": sms.total,
        "success_sms": sms.succeeded,
        "success_sms_percent": _percent(sms.succeeded, sms.total),
        **nothing,
    }


def _percent(part: int, whole: int) -> Decimal:
    return (Decimal(100 * part) / whole if whole else Decimal(0)).quantize(_CENT, ROUND_DOWN)


async def _sums(asked: Asked, since: datetime, until: datetime) -> list[CallSum]:
    sums: list[CallSum] = []
    for line in (await asked.use.accounts.lines(asked.who))[:LINES_MAX]:
        sums += await asked.use.cdrs.sums(CdrFilter(since, until, login=line.login), ())
    return sums


def _cost(sums: Sequence[CallSum]) -> Decimal:
    return sum((each.cost for each in sums), Decimal(0))


async def _fees(asked: Asked, login: str, since: datetime, until: datetime) -> tuple[Decimal, Decimal]:
    """Fees of the time, of the ledger's last MOST entries: of messages, less what was given back; and all others."""
    messages, others, after, seen = Decimal(0), Decimal(0), None, 0
    while seen < MOST:
        page = await asked.use.accounts.statement(login, Cursor(MAX_LIMIT, after))
        for entry in page.items:
            if entry.kind != "fee" or not since <= entry.created_at < until:
                continue
            if _OF_MESSAGE.fullmatch(entry.reference or ""):
                messages -= entry.amount
            else:
                others -= entry.amount
        seen += len(page.items)
        after = page.next
        if after is None or page.items[-1].created_at < since:
            break
    return messages, others
