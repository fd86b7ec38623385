"""`rating-engine calls` and `hangup`: the calls that hold money now, and those that ended without a finish."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

import typer
from rich.table import Column, Table

from rating_engine.cli import words
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
from rating_engine.cli.lists import AfterOption, LimitOption, listed, say_next
from rating_engine.domain.live_call import LiveCall, LiveCallFilter, OrderOutcome, UnfinishedCall
from rating_engine.domain.page import DEFAULT_LIMIT, Page
from rating_engine.rating.money import format_amount

calls_app = typer.Typer(help="Calls that no callFinish has ended, listed; and ends that no engine took, posted.")


@calls_app.callback(invoke_without_command=True, epilog="Example: rating-engine calls --reconciled --limit 20")
def calls(
    context: typer.Context,
    open_: Annotated[bool, typer.Option("--open", help="Calls that hold money, the longest open first.")] = False,
    reconciled: Annotated[
        bool, typer.Option("--reconciled", help="Calls that ended without a finish, the latest first.")
    ] = False,
    login: Annotated[str | None, typer.Option(help="Open calls of this login alone.")] = None,
    exchange: Annotated[str | None, typer.Option(help="Open calls of this exchange alone.")] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List calls that no callFinish has ended: still open, or decided without one."""
    if context.invoked_subcommand is not None:
        return
    with reported_errors():
        if open_ == reconciled:
            raise CommandError("say which: calls --open, or calls --reconciled")
        if reconciled and (login or exchange):
            raise CommandError("--login and --exchange are for calls --open")
    opened: Page[LiveCall] = Page(())
    unfinished: Page[UnfinishedCall] = Page(())
    if open_:
        wanted = LiveCallFilter(login=login, exchange=exchange)
        opened = with_services(config, lambda services: listed(partial(services.live_calls.page, wanted), limit, after))
    else:
        unfinished = with_services(config, lambda services: listed(services.live_calls.unfinished, limit, after))
    more = opened.next or unfinished.next
    if json:
        rows = [_open_json(call) for call in opened.items] + [_unfinished_json(call) for call in unfinished.items]
        print_json({"calls": rows, "more": more is not None, "next": more})
        return
    if not opened.items and not unfinished.items:
        out.print("no call is open" if open_ else "no call ended without a finish", highlight=False)
        return
    out.print(_open_table(opened.items) if open_ else _unfinished_table(unfinished.items))
    if open_:
        say_next(opened)
    else:
        say_next(unfinished)


def hang_up(
    call: Annotated[str, typer.Argument(metavar="CALL", help="As `calls --open` shows it: pbx1/1764412345.17/1.")],
    config: ConfigOption = None,
) -> None:
    """End a call on its exchange, which has to be followed over AMI. Its end is charged as any other."""
    with reported_errors():
        key = words.call_key(call, "call")
    outcome = with_services(config, lambda services: services.live_calls.hang_up(key))
    say(f"{call} was hung up" if outcome is OrderOutcome.DONE else f"{call} had ended on its exchange already")


def _open_table(calls: Sequence[LiveCall]) -> Table:
    right = Column("holds", justify="right")
    left = Column("left", justify="right")
    table = Table("call", "login", "destination", "prepared", "answered", left, "seen", "mode", right, "expires")
    for call in calls:
        table.add_row(
            str(call.call_key),
            call.login,
            call.destination,
            _when(call.prepared_at),
            _when(call.answered_at),
            "-" if call.seconds_left is None else f"{call.seconds_left} s",
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


def _open_json(call: LiveCall) -> dict[str, Any]:
    return {
        "call": str(call.call_key),
        "login": call.login,
        "callerid": call.callerid,
        "destination": call.destination,
        "direction": call.direction,
        "route": call.route_name,
        "mode": "quota" if call.quota else "full",
        "held": str(call.held),
        "granted": str(call.granted),
        "currency": call.currency,
        "prepared_at": _iso(call.prepared_at),
        "answered_at": _iso(call.answered_at),
        "seconds_left": call.seconds_left,
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
