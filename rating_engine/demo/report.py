"""The demo's tables: what became of the calls, of the money, and how long the exchange waited for each answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.table import Table

from rating_engine.demo.calls import ACCOUNTS, Ending, PlacedCall
from rating_engine.domain.account import AccountState
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.rating.money import format_amount

COST_DECIMALS: Final = 5  # what charges are rounded to
BALANCE_DECIMALS: Final = 2  # of the accounts as they are created

_ENDINGS: Final = {
    Ending.ANSWERED: "answered",
    Ending.NO_ANSWER: "nobody answered",
    Ending.BUSY: "busy",
    Ending.CANCELLED: "caller hung up while it rang",
}
_DECLINED: Final = "declined"
_CUT: Final = "answered, ended by its limit"
_REASONS: Final = {
    DeclineReason.INSUFFICIENT_FUNDS: "the money is spent, or held by open calls",
    DeclineReason.TOO_MANY_CALLS: "as many calls open as the account may have",
    DeclineReason.NO_RATE: "the tariff has no rate for the number",
    DeclineReason.UNKNOWN_LOGIN: "nobody has this login",
    DeclineReason.INVALID_DESTINATION: "what was dialled is no number",
}

States = Mapping[str, AccountState]


def outcome_table(calls: Sequence[PlacedCall]) -> Table:
    """Calls by how they ended."""
    table = _table("calls by outcome", "outcome", "calls", "talked", "billed", "cost")
    allowed = [call for call in calls if call.allowed]
    groups = [(words, [c for c in allowed if c.plan.ending is end and not c.cut]) for end, words in _ENDINGS.items()]
    groups.insert(1, (_CUT, [call for call in allowed if call.cut]))
    groups.append((_DECLINED, [call for call in calls if not call.allowed]))
    for words, group in groups:
        if group:
            _add_calls(table, words, group, style="red" if words == _DECLINED else "")
    table.add_section()
    _add_calls(table, "together", calls, style="bold")
    return table


def reason_table(calls: Iterable[PlacedCall]) -> Table:
    """Declined calls by reason."""
    table = _table("declined by reason", "reason", "calls", "because")
    table.columns[2].justify = "left"
    for reason, count in Counter(call.reason for call in calls if not call.allowed).most_common():
        table.add_row(reason, str(count), _REASONS.get(DeclineReason(reason), ""))
    return table


def account_table(calls: Sequence[PlacedCall], before: States, after: States) -> Table:
    """Accounts with their calls, and their money before and after."""
    table = _table("accounts", "login", "kind", "allowed", "declined", "before", "charged", "after")
    table.columns[1].justify = "left"
    for account in ACCOUNTS:
        own = [call for call in calls if call.plan.login == account.login]
        allowed = sum(call.allowed for call in own)
        money = (
            format_amount(before[account.login].balance, BALANCE_DECIMALS),
            format_amount(charged(own), COST_DECIMALS),
            format_amount(after[account.login].balance, COST_DECIMALS),
        )
        table.add_row(account.login, account.words, str(allowed), str(len(own) - allowed), *money)
    return table


def latency_table(calls: Sequence[PlacedCall]) -> Table:
    """How long the exchange waited, connection and all, in milliseconds."""
    table = _table("milliseconds until the answer", "asked", "times", "p50", "p99", "longest")
    for name, times in (
        ("callPrepare", [one for call in calls for one in call.prepare_times]),
        ("callFinish", [one for call in calls for one in call.finish_times]),
    ):
        if times:
            shown = (percentile(times, 50), percentile(times, 99), max(times))
            table.add_row(name, str(len(times)), *(f"{one * 1000:.1f}" for one in shown))
    return table


def problems(calls: Sequence[PlacedCall], before: States, after: States) -> list[str]:
    """What is not as it must be: answers, balances against what the exchange was told, and money still held."""
    found = [call.wrong for call in calls if call.wrong]
    for account in ACCOUNTS:
        lost = before[account.login].balance - after[account.login].balance
        told = charged(call for call in calls if call.plan.login == account.login)
        if lost != told:
            found.append(f"{account.login} lost {format_amount(lost)}, the exchange was told {format_amount(told)}")
        held = after[account.login].reserved
        if held:
            found.append(f"{account.login} still has {format_amount(held)} held after its last call")
    return found


def charged(calls: Iterable[PlacedCall]) -> Decimal:
    """What the exchange was told that these calls cost."""
    return sum((call.cost for call in calls), Decimal(0))


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest value that at least `percent` of a hundred do not exceed."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


def _add_calls(table: Table, words: str, calls: Sequence[PlacedCall], style: str = "") -> None:
    talked, billed = sum(call.talked for call in calls), sum(call.billed for call in calls)
    cost = charged(calls)
    table.add_row(
        words,
        str(len(calls)),
        _clock(talked) if talked else "",
        _clock(billed) if billed else "",
        format_amount(cost, COST_DECIMALS) if cost else "",
        style=style,
    )


def _table(title: str, first: str, *columns: str) -> Table:
    """A table that fits a terminal of 80 columns."""
    look: dict[str, Any] = {
        "header_style": "dim",
        "box": SIMPLE_HEAD,
        "show_edge": False,
        "pad_edge": False,
        "padding": (0, 1, 0, 0),
    }
    table = Table(first, *columns, title=title, title_justify="left", title_style="bold cyan", **look)
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _clock(seconds: int) -> str:
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
