"""`rating-engine calls` and `hangup`: the calls that hold money now, and those whose end is for a person to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any, TypeVar

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
from rating_engine.domain.live_call import LiveCall, LiveCallFilter, OrderOutcome, SuspiciousCall, UnfinishedCall
from rating_engine.domain.page import DEFAULT_LIMIT, Page
from rating_engine.rating.money import format_amount

T = TypeVar("T")

calls_app = typer.Typer(help="Calls that no callFinish has ended, listed; and ends that no engine took, posted.")


@calls_app.callback(invoke_without_command=True, epilog="Example: rating-engine calls --reconciled --limit 20")
def calls(
    context: typer.Context,
    open_: Annotated[bool, typer.Option("--open", help="Calls that hold money, the longest open first.")] = False,
    reconciled: Annotated[
        bool, typer.Option("--reconciled", help="Calls that ended without a finish, the latest first.")
    ] = False,
    suspicious: Annotated[
        bool,
        typer.Option("--suspicious", help="Calls whose finish cannot be true, or came far too late; the latest first."),
    ] = False,
    login: Annotated[str | None, typer.Option(help="Open calls of this login alone.")] = None,
    exchange: Annotated[str | None, typer.Option(help="Open calls of this exchange alone.")] = None,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List calls that are open, that were decided without a callFinish, or whose callFinish is for you to look at."""
    if context.invoked_subcommand is not None:
        return
    with reported_errors():
        if open_ + reconciled + suspicious != 1:
            raise CommandError("say which: calls --open, calls --reconciled, or calls --suspicious")
        if not open_ and (login or exchange):
            raise CommandError("--login and --exchange are for calls --open")
    if open_:
        wanted = LiveCallFilter(login=login, exchange=exchange)
        opened = with_services(config, lambda services: listed(partial(services.live_calls.page, wanted), limit, after))
        _show(opened, _open_json, _open_table, none="no call is open", as_json=json)
    elif reconciled:
        unfinished = with_services(config, lambda services: listed(services.live_calls.unfinished, limit, after))
        _show(unfinished, _unfinished_json, _unfinished_table, none="no call ended without a finish", as_json=json)
    else:
        odd = with_services(config, lambda services: listed(services.live_calls.suspicious, limit, after))
        _show(odd, _suspicious_json, _suspicious_table, none="no call ended suspiciously", as_json=json)


def _show(
    page: Page[T],
    to_json: Callable[[T], dict[str, Any]],
    table: Callable[[Sequence[T]], Table],
    *,
    none: str,
    as_json: bool,
) -> None:
    if as_json:
        print_json({"calls": list(map(to_json, page.items)), "more": page.next is not None, "next": page.next})
    elif not page.items:
        out.print(none, highlight=False)
    else:
        out.print(table(page.items))
        say_next(page)


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


def _suspicious_table(calls: Sequence[SuspiciousCall]) -> Table:
    right = [Column(name, justify="right") for name in ("charged", "finish said", "seen", "cost", "granted")]
    table = Table("call", "login", "destination", "ended", "why", *right)
    for call in calls:
        table.add_row(
            str(call.call_key),
            call.login,
            call.destination,
            _when(call.ended_at),
            call.suspicion,
            f"{call.seconds} s",
            f"{call.said_seconds} s",
            "-" if call.seen_seconds is None else f"{call.seen_seconds} s",
            f"{format_amount(call.cost)} {call.currency}",
            format_amount(call.granted),
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


def _suspicious_json(call: SuspiciousCall) -> dict[str, Any]:
    return {
        "call": str(call.call_key),
        "login": call.login,
        "destination": call.destination,
        "suspicion": call.suspicion,
        "seconds": call.seconds,
        "said_seconds": call.said_seconds,
        "seen_seconds": call.seen_seconds,
        "cost": str(call.cost),
        "granted": str(call.granted),
        "currency": call.currency,
        "disposition": call.disposition,
        "ended_at": _iso(call.ended_at),
    }
