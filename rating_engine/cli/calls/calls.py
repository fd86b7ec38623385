"""`rating-engine calls`: the calls that hold money now, and those that ended without a finish."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli.common import (
    CommandError,
    ConfigOption,
    JsonOption,
    load_settings,
    open_database,
    out,
    print_json,
    reported_errors,
    run,
)
from rating_engine.domain.watching import ListedCall, UnfinishedCall
from rating_engine.rating.money import format_amount
from rating_engine.storage.calls.open_calls import list_open, list_unfinished

LIMIT = 50  # rows shown unless asked otherwise: a screen or two
LIMIT_MAX = 100_000  # held in memory at once


def calls(
    open_: Annotated[bool, typer.Option("--open", help="Calls that hold money, the longest open first.")] = False,
    reconciled: Annotated[
        bool, typer.Option("--reconciled", help="Calls that ended without a finish, the latest first.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=LIMIT_MAX, help="Rows shown.")] = LIMIT,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List calls that no callFinish has ended: still open, or decided without one."""
    with reported_errors():
        if open_ == reconciled:
            raise CommandError("say which: calls --open, or calls --reconciled")

    async def work() -> tuple[list[ListedCall], list[UnfinishedCall]]:
        async with open_database(load_settings(config)) as database:
            # One more than asked for tells whether there are more.
            if open_:
                return await list_open(database, limit + 1), []
            return [], await list_unfinished(database, limit + 1)

    opened, unfinished = run(work())
    if json:
        rows = [_open_json(call) for call in opened] + [_unfinished_json(call) for call in unfinished]
        print_json({"calls": rows[:limit], "more": len(rows) > limit})
        return
    if not opened and not unfinished:
        out.print("no call is open" if open_ else "no call ended without a finish", highlight=False)
        return
    out.print(_open_table(opened[:limit]) if open_ else _unfinished_table(unfinished[:limit]))
    if len(opened) + len(unfinished) > limit:
        out.print(f"the first {limit}; there are more (--limit)", highlight=False)


def _open_table(calls: list[ListedCall]) -> Table:
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


def _unfinished_table(calls: list[UnfinishedCall]) -> Table:
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
