"""`rating-engine cdrs`: calls that are over, listed, written to a file, shown whole, and summed up."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from rating_engine.cli import words
from rating_engine.cli.common import ConfigOption, JsonOption, err, out, print_json, reported_errors, say, with_services
from rating_engine.cli.decks.rate_words import rate_words
from rating_engine.cli.lists import AfterOption, LimitOption, listed, say_next
from rating_engine.cli.option_groups import with_options
from rating_engine.domain.cdr import CallSum, Cdr, CdrDetail, CdrFilter, Dimension, ResellerLine
from rating_engine.domain.page import DEFAULT_LIMIT
from rating_engine.rating.money import format_amount
from rating_engine.rating.rate import Rate

cdrs_app = typer.Typer(no_args_is_help=True, help="Calls that are over: what they were, and what they cost.")

USUAL_RANGE: Final = timedelta(days=1)  # where no --from is given

# Why the end of a call was assumed, by the source of its CDR.
ASSUMED: Final = {
    "expired": "nobody told its end",
    "reconciled": "its channel was gone and nobody told its end",
    "abandoned": "the exchange never heard that it may start",
}

SinceOption = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help="Ended then or later; a day before --to if not given.")
]
UntilOption = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Ended before; now if not given.")]
ZoneOption = Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="Of the times, and of days.")]
LoginOption = Annotated[str | None, typer.Option(help="Calls of this login alone.")]
AccountOption = Annotated[
    str | None, typer.Option("--account-of", metavar="LOGIN", help="Calls of every login on the account of this one.")
]
DirectionOption = Annotated[str | None, typer.Option(metavar="NAME", help="Calls of this direction alone.")]
PrefixOption = Annotated[str | None, typer.Option(metavar="DIGITS", help="Calls to numbers that begin so.")]
RouteOption = Annotated[str | None, typer.Option(metavar="NAME", help="Calls by this route alone.")]
AnsweredOption = Annotated[
    bool | None, typer.Option("--answered/--not-answered", help="Calls that were answered, or those that were not.")
]

OwnerOption = Annotated[
    str | None, typer.Option(metavar="USER", help="Calls of every account of this user and of all below it.")
]


class _Wanted(NamedTuple):
    """Which calls are asked for, and the zone that their times are shown in."""

    calls: CdrFilter
    time_zone: str


def _wanted(
    since: SinceOption = None,
    until: UntilOption = None,
    time_zone: ZoneOption = "UTC",
    login: LoginOption = None,
    account_of: AccountOption = None,
    direction: DirectionOption = None,
    prefix: PrefixOption = None,
    route: RouteOption = None,
    answered: AnsweredOption = None,
    owner: OwnerOption = None,
) -> _Wanted:
    ends = datetime.now(UTC) if until is None else words.moment(until, "until", time_zone)
    begins = ends - USUAL_RANGE if since is None else words.moment(since, "since", time_zone)
    calls = CdrFilter(begins, ends, login, account_of, direction, prefix, route, answered, owner)
    return _Wanted(calls, time_zone)


@cdrs_app.command("list", epilog="Example: rating-engine cdrs list --login 1001 --from 2026-11-01 --to 2026-12-01")
@with_options(_wanted)
def list_(
    options: _Wanted,
    limit: LimitOption = DEFAULT_LIMIT,
    after: AfterOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Calls that ended in a span of time, the latest first."""
    with reported_errors():
        zone = words.zone(options.time_zone, "time_zone")
    page = with_services(config, lambda services: listed(partial(services.cdrs.page, options.calls), limit, after))
    if json:
        print_json({"cdrs": [cdr_json(cdr) for cdr in page.items], "next": page.next})
        return
    if not page.items:
        say("no such call has ended then")
        return
    right = [Column(name, justify="right") for name in ("seconds", "cost")]
    call = Column("call", no_wrap=True)  # it is typed again, for `cdrs show`
    table = Table("ended", call, "login", "destination", "direction", *right, "currency", "how")
    for cdr in page.items:
        table.add_row(
            cdr.ended_at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"), str(cdr.call_key), cdr.login, cdr.destination,
            cdr.direction, str(cdr.seconds), format_amount(cdr.cost), cdr.currency,
            cdr.disposition if cdr.source == "finish" else f"{cdr.disposition} ({cdr.source})",
        )  # fmt: skip
    out.print(table)
    say_next(page)


@cdrs_app.command(epilog="Example: rating-engine cdrs export november.xlsx --from 2026-11-01 --to 2026-12-01")
@with_options(_wanted)
def export(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its name says how: .csv or .xlsx.")],
    options: _Wanted,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Write the calls that ended in a span of time to a file, the latest first: all that `list` would show, in full.

    A text that a spreadsheet would work out as a formula (`+49…`, `=…`) has an apostrophe before it.
    """
    with _counter() as show:
        rows = with_services(
            config,
            lambda services: services.cdrs.export(options.calls, file, time_zone=options.time_zone, on_rows=show),
        )
    if json:
        print_json({"file": str(file), "calls": rows})
    else:
        say(f"{rows:,} calls written to {file}")


@contextlib.contextmanager
def _counter() -> Iterator[Callable[[int], None]]:
    """How many calls are written so far; on stderr, gone at the end."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} calls written"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda rows: bar.update(task, completed=rows)


_LINE: Final = tuple(field.name for field in fields(ResellerLine))


@cdrs_app.command(epilog="Example: rating-engine cdrs show pbx1/1764412345.17/1")
def show(
    call: Annotated[str, typer.Argument(metavar="CALL", help="As the list shows it.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """One call whole, with its price in words: what was answered, what was billed, by which rate."""
    with reported_errors():
        key = words.call_key(call, "call")
    found = with_services(config, lambda services: services.cdrs.show(key))
    if json:
        lines = [{name: words.plain(getattr(line, name)) for name in _LINE} for line in found.resellers]
        print_json({**cdr_json(found.cdr), "rate": found.rate, "price": price_words(found), "resellers": lines})
        return
    for name, value in (cdr_json(found.cdr) | {"price": price_words(found)}).items():
        if value not in (None, ""):
            say(f"{name.replace('_', ' ')}: {value}")
    for line in found.resellers:
        margin = "" if line.margin is None else f", margin {format_amount(line.margin)}"
        by = rate_words(Rate.from_json(line.rate)) if line.rate else "no rate"
        cost = f"{format_amount(line.cost)} {line.currency}"
        say(f"reseller {line.account}: {line.billed_seconds} s billed on {line.tariff} at {by}: {cost}{margin}")


@cdrs_app.command("sums", epilog="Example: rating-engine cdrs sums --by day --by direction --from 2026-11-01")
@with_options(_wanted)
def sums(
    by: Annotated[list[Dimension], typer.Option("--by", help="Give it again for a further one.")],
    options: _Wanted,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Calls, seconds, cost and margin of a span of time, summed up by day, login, direction, route or cause."""
    found = with_services(config, lambda services: services.cdrs.sums(options.calls, by, time_zone=options.time_zone))
    if json:
        print_json({"sums": [_sum_json(one, by) for one in found]})
        return
    right = [Column(name, justify="right") for name in ("calls", "answered", "seconds", "billed", "cost", "margin")]
    table = Table(*(dimension.value for dimension in by), *right, "currency")
    for one in found:
        margin = format_amount(one.margin) if one.costed else "-"
        table.add_row(
            *(str(getattr(one, dimension)) for dimension in by), f"{one.calls:,}", f"{one.answered:,}",
            f"{one.seconds:,}", f"{one.billed_seconds:,}", format_amount(one.cost), margin, one.currency,
        )  # fmt: skip
    out.print(table)


def cdr_json(cdr: Cdr) -> dict[str, Any]:
    """A call as JSON has it: amounts as text, times with their offset."""
    values: dict[str, Any] = {"call": str(cdr.call_key)}
    for name in Cdr.__dataclass_fields__:
        if name != "call_key":
            value = getattr(cdr, name)
            values[name] = value.isoformat() if isinstance(value, datetime) else words.plain(value)
    return values


def _sum_json(one: CallSum, by: list[Dimension]) -> dict[str, Any]:
    names = ("currency", "calls", "answered", "seconds", "billed_seconds", "cost", "costed", "margin")
    return {name: words.plain(getattr(one, name)) for name in (*(dimension.value for dimension in by), *names)}


def price_words(found: CdrDetail) -> str:
    """Why a call cost what it cost, in a sentence: `61 s answered, 61 s billed at 0.6 per minute, 1/1: 0.61 EUR`."""
    cdr = found.cdr
    cost = f"{format_amount(cdr.cost)} {cdr.currency}"
    if cdr.seconds == 0:
        told = f"not answered: {cost}"
    elif not found.rate:
        told = f"{cdr.seconds} s answered, and no rate was there for it: {cost}"
    else:
        rate = rate_words(Rate.from_json(found.rate))
        told = f"{cdr.seconds} s answered, {cdr.billed_seconds} s billed at {rate}: {cost}"
    if cdr.source in ASSUMED:
        told += f" (assumed, since {ASSUMED[cdr.source]}; an end that comes later corrects it)"
    return told
