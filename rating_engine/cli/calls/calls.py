"""`rating-engine calls`: the calls that hold money now, and those that ended without a finish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar

import typer
from rich.table import Column, Table

from rating_engine.cli.common import (
    CommandError,
    ConfigOption,
    JsonOption,
    out,
    print_json,
    reported_errors,
    say,
    with_services,
)
from rating_engine.cli.lists import AfterOption, listed, next_json, say_next
from rating_engine.domain.page import DEFAULT_LIMIT, Page
from rating_engine.domain.watching import ListedCall, UnfinishedCall
from rating_engine.rating.money import format_amount

LIMIT_MAX = 100_000  # held in memory at once

T = TypeVar("T")


def calls(
    open_: Annotated[bool, typer.Option("--open", help="Calls that hold money, the longest open first.")] = False,
    reconciled: Annotated[
        bool, typer.Option("--reconciled", help="Calls that ended without a finish, the latest first.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Rows shown.")] = DEFAULT_LIMIT,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List calls that no callFinish has ended: still open, or decided without one."""
    with reported_errors():
        if open_ == reconciled:
            raise CommandError("say which: calls --open, or calls --reconciled")
    if open_:
        opened = with_services(config, lambda services: listed(services.calls.open, limit, after))
        _show(opened, _open_json, _open_table, "no call is open", as_json=json)
    else:
        ended = with_services(config, lambda services: listed(services.calls.unfinished, limit, after))
        _show(ended, _unfinished_json, _unfinished_table, "no call ended without a finish", as_json=json)


def _show(
    page: Page[T],
    to_json: Callable[[T], dict[str, Any]],
    to_table: Callable[[Sequence[T]], Table],
    nothing: str,
    *,
    as_json: bool,
) -> None:
    if as_json:
        calls = [to_json(call) for call in page.items]
        print_json({"calls": calls, "more": page.next is not None, **next_json(page)})
    elif page.items:
        out.print(to_table(page.items))
        say_next(page)
    else:
        say(nothing)


def _open_table(calls: Sequence[ListedCall]) -> Table:
    right = Column("holds", justify="right")
    table = Table("call", "login", "destination", "prepared", "answered", "seen", "mode", right, "expires")
    for call in calls:
        table.add_row(
            str(call.call_key),
            call.login,
            call.destination,
            _when(call.prepared_at),
            _when(call.answered_at),
            _when(call.last_seen_at),
            "quota" if call.quota else "full",
            f"{format_amount(call.held)} {call.currency}",
            _when(call.expires_at),
        )
    return table


def _unfinished_table(calls: Sequence[UnfinishedCall]) -> Table:
    right = [Column(name, justify="right") for name in ("seconds", "cost")]
    table = Table("call", "login", "destination", "prepared", "ended", "became", "by", *right)
    for call in calls:
        table.add_row(
            str(call.call_key),
            call.login,
            call.destination,
            _when(call.prepared_at),
            _when(call.ended_at),
            call.state,
            call.source,
            str(call.seconds),
            f"{format_amount(call.cost)} {call.currency}",
        )
    return table


def _when(moment: datetime | None) -> str:
    """A time as the operator's clock has it, with its day where that is not today; a dash where it is not known."""
    if moment is None:
        return "-"
    here = moment.astimezone()
    return here.strftime("%H:%M:%S" if here.date() == datetime.now().astimezone().date() else "%Y-%m-%d %H:%M")


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _open_json(call: ListedCall) -> dict[str, Any]:
    return {
        "call": str(call.call_key),
        "login": call.login,
        "destination": call.destination,
        "direction": call.direction,
        "route": call.route_name,
        "mode": "quota" if call.quota else "full",
        "held": str(call.held),
        "granted": str(call.granted),
        "currency": call.currency,
        "prepared_at": _iso(call.prepared_at),
        "answered_at": _iso(call.answered_at),
        "last_seen_at": _iso(call.last_seen_at),
        "expires_at": _iso(call.expires_at),
    }


def _unfinished_json(call: UnfinishedCall) -> dict[str, Any]:
    return {
        "call": str(call.call_key),
        "login": call.login,
        "destination": call.destination,
        "state": call.state,
        "source": call.source,
        "disposition": call.disposition,
        "seconds": call.seconds,
        "cost": str(call.cost),
        "currency": call.currency,
        "prepared_at": _iso(call.prepared_at),
        "ended_at": _iso(call.ended_at),
    }
