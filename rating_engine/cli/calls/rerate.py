"""`rating-engine rerate`: past calls by a corrected deck, shown first and posted then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.common import (
    EXIT_INCOMPLETE,
    ConfigOption,
    JsonOption,
    err,
    out,
    print_json,
    say,
    with_services,
)
from rating_engine.cli.decks.deck_files import local_time
from rating_engine.cli.lists import AfterOption, LimitOption, listed, next_json, say_next
from rating_engine.domain.rerate import ListedItem, Rerate, RerateState, RerateSums, Sum
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases
from rating_engine.services.cdrs.rerates import RerateReport
from rating_engine.services.cdrs.rerating import PostingProgress, ReadingProgress, RerateRequest

rerate_app = typer.Typer(no_args_is_help=True, help="Past calls by a corrected deck: shown first, posted then.")

DEFAULT_SHOWN: Final = 10
MAX_SHOWN: Final = 10_000  # lines of a table; for all of them there is SQL

PROBLEMS: Final = {
    "no_rate": "the deck has no rate",
    "blocked": "blocked in the deck",
    "wrong_length": "too short or too long for its direction",
    "no_exchange_rate": "no exchange rate then",
}

IdArgument = Annotated[int, typer.Argument(metavar="ID", help="Of the re-rating, as `rerate list` has it.")]
ShownOption = Annotated[int, typer.Option(min=0, max=MAX_SHOWN, help="Lines of each table.")]


@rerate_app.command(
    epilog="Example: rating-engine rerate preview --tariff retail --from 2026-11-01 --to 2026-11-08 --prefix 44"
)
def preview(
    tariff: Annotated[str, typer.Option(help="Whose calls: those that were priced by it.")],
    calls_from: Annotated[
        str, typer.Option("--from", metavar="WHEN", help="Calls that began then or later, in the tariff's time zone.")
    ],
    calls_to: Annotated[str, typer.Option("--to", metavar="WHEN", help="Calls that began before this.")],
    deck: Annotated[
        int | None, typer.Option(metavar="VERSION", help="To price them by; if not given, the one in force now.")
    ] = None,
    login: Annotated[str | None, typer.Option(help="Only the calls of this login.")] = None,
    prefix: Annotated[str, typer.Option(help="Only calls to numbers that begin so.")] = "",
    shown: ShownOption = DEFAULT_SHOWN,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What calls cost by a deck instead of the one they had. Nothing is posted: that is for `rerate post`.

    What is cut off goes on by `rerate resume`.
    """

    async def work(services: UseCases) -> RerateReport:
        zone = await services.tariffs.time_zone(tariff)
        begins, ends = words.moment(calls_from, "calls_from", zone), words.moment(calls_to, "calls_to", zone)
        rerate = await services.rerates.begin(RerateRequest(tariff, begins, ends, deck, login, prefix))
        return await _read(services, rerate, shown)

    _print(with_services(config, work), json)


@rerate_app.command(epilog="Example: rating-engine rerate resume 7")
def resume(
    rerate_id: IdArgument, shown: ShownOption = DEFAULT_SHOWN, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Go on with a preview that was cut off."""

    async def work(services: UseCases) -> RerateReport:
        return await _read(services, await services.rerates.find(rerate_id), shown)

    _print(with_services(config, work), json)


@rerate_app.command(epilog="Example: rating-engine rerate show 7 --shown 100")
def show(
    rerate_id: IdArgument, shown: ShownOption = DEFAULT_SHOWN, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """What a re-rating comes to."""
    _print(with_services(config, lambda services: services.rerates.show(rerate_id, shown)), json)


@rerate_app.command("list", epilog="Example: rating-engine rerate list")
def list_(
    limit: LimitOption = None, after: AfterOption = None, json: JsonOption = False, config: ConfigOption = None
) -> None:
    """Every re-rating, the newest first."""
    page = with_services(config, lambda services: listed(services.rerates.page, limit, after))
    if json:
        print_json({"rerates": [_rerate_json(rerate) for rerate in page.items], **next_json(page)})
        return
    table = Table("id", "tariff", "deck", "calls from", "to", "of", "state", "calls", title="re-ratings")
    for position in (0, 2, 7):
        table.columns[position].justify = "right"
    for rerate in page.items:
        table.add_row(
            str(rerate.rerate_id),
            rerate.tariff,
            str(rerate.deck_version),
            local_time(rerate.range.calls_from, rerate.time_zone),
            local_time(rerate.range.calls_to, rerate.time_zone),
            ", ".join(filter(None, (rerate.login, rerate.range.prefix))) or "all",
            rerate.state.value,
            f"{rerate.calls:,}",
        )
    out.print(table)
    say_next(page)


@rerate_app.command("post", epilog="Example: rating-engine rerate post 7")
def post_(rerate_id: IdArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Post the differences as corrections. What is cut off goes on by the same command; no call is corrected twice.

    Exit status: 0 all is posted, 1 it was refused or cut off, 2 calls were left alone that had changed since.
    """

    async def work(services: UseCases) -> PostingProgress:
        with work_bar("posting") as bar:

            def show(progress: PostingProgress) -> None:
                bar(progress.done, progress.total, f"{progress.corrected:,} calls corrected")

            return await services.rerates.post(rerate_id, on_progress=show)

    done = with_services(config, work)
    if json:
        print_json({"id": rerate_id, "corrected": done.corrected, "left_alone": done.left_alone})
    else:
        say(f"calls corrected: {done.corrected:,}")
        if done.left_alone:
            say(
                (f"Left alone: {done.left_alone:,},", "bold yellow"),
                f" whose CDRs changed since they were read; see rating-engine rerate show {rerate_id}",
            )
    if done.left_alone:
        raise typer.Exit(EXIT_INCOMPLETE)


@rerate_app.command(epilog="Example: rating-engine rerate discard 7")
def discard(rerate_id: IdArgument, json: JsonOption = False, config: ConfigOption = None) -> None:
    """Drop a re-rating of which nothing was posted."""
    with_services(config, lambda services: services.rerates.discard(rerate_id))
    if json:
        print_json({"id": rerate_id, "state": RerateState.DISCARDED.value})
    else:
        say(f"re-rating {rerate_id} is discarded")


async def _read(services: UseCases, rerate: Rerate, shown: int) -> RerateReport:
    if rerate.state is RerateState.READING:
        err.print(
            f"re-rating {rerate.rerate_id}; if this is cut off: rating-engine rerate resume {rerate.rerate_id}",
            soft_wrap=True,
        )
    with work_bar("reading") as bar:

        def show(progress: ReadingProgress) -> None:
            bar(progress.gone_through, progress.about, f"{progress.gone_through:,} CDRs, {progress.calls:,} calls")

        rerate = await services.rerates.read(rerate, on_progress=show)
    return await services.rerates.show(rerate.rerate_id, shown)


@contextlib.contextmanager
def work_bar(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """A bar on stderr, gone when the work ends; told what is done, of how much, and in words."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as bar:
        task = bar.add_task(what, total=None, words="")

        def show(done: int, total: int | None, words: str) -> None:
            bar.update(task, completed=done, total=None if total is None else max(done, total), words=words)

        yield show


def _print(report: RerateReport, json: bool) -> None:
    rerate, sums = report.rerate, report.sums
    if json:
        print_json({**_rerate_json(rerate), **_sums_json(sums)})
        return
    about = Table(title=f"re-rating {rerate.rerate_id} of {rerate.tariff}: {rerate.state}", show_header=False)
    about.add_column(style="bold")
    about.add_column(justify="right")
    priced = sum(each.calls for each in sums.totals)
    unpriced = sum(sums.unpriced.values())
    about.add_row("by version", str(rerate.deck_version))
    about.add_row("calls from", local_time(rerate.range.calls_from, rerate.time_zone))
    about.add_row("to", local_time(rerate.range.calls_to, rerate.time_zone))
    about.add_row("calls", f"{rerate.calls:,}")
    about.add_row("as they were", f"{rerate.calls - priced - unpriced:,}")
    about.add_row("to be corrected", f"{sums.unposted:,}")
    about.add_row("corrected", f"{sums.posted:,}")
    about.add_row("left alone", f"{sums.left_alone:,}")
    for problem, calls in sums.unpriced.items():
        about.add_row(PROBLEMS[problem], f"{calls:,}")
    out.print(about)
    for title, name, rows in (
        ("in all", "", sums.totals),
        ("by direction", "direction", sums.directions),
        ("by login", "login", sums.logins),
    ):
        if rows:
            out.print(sums_table(title, name, rows))
    for title, items in (
        ("largest differences", sums.calls),
        ("cannot be priced, and stay as they are", sums.unpriced_calls),
        ("changed since they were read, and left alone", sums.left_alone_calls),
    ):
        if items:
            out.print(_items_table(title, items))


def sums_table(title: str, name: str, rows: Sequence[Sum]) -> Table:
    """What calls cost before and by the deck, a line for each of what they have in common."""
    table = Table(*filter(None, (name,)), "calls", "", "before", "by the deck", "difference", title=title)
    for column in table.columns[1 if name else 0 :]:
        column.justify = "right"
    for row in rows:
        amounts = (format_amount(amount) for amount in (row.old_cost, row.new_cost, row.difference))
        names = (row.name or "-",) if name else ()
        table.add_row(*names, f"{row.calls:,}", row.currency, *amounts)
    return table


def _items_table(title: str, items: Sequence[ListedItem]) -> Table:
    table = Table("call", "login", "destination", "direction", "seconds", "", "before", "by the deck", title=title)
    for column in table.columns[4:]:
        column.justify = "right"
    for item in items:
        new = PROBLEMS[item.problem] if item.new_cost is None else format_amount(item.new_cost)
        table.add_row(
            item.call_key,
            item.login,
            item.destination,
            item.direction,
            f"{item.seconds:,}",
            item.currency,
            format_amount(item.old_cost),
            new,
        )
    return table


def _rerate_json(rerate: Rerate) -> dict[str, Any]:
    return {
        "id": rerate.rerate_id,
        "tariff": rerate.tariff,
        "deck": rerate.deck_version,
        "from": rerate.range.calls_from.isoformat(),
        "to": rerate.range.calls_to.isoformat(),
        "login": rerate.login,
        "prefix": rerate.range.prefix,
        "state": rerate.state.value,
        "created_at": rerate.created_at.isoformat(),
        "calls": rerate.calls,
    }


def _sums_json(sums: RerateSums) -> dict[str, Any]:
    return {
        "to_be_corrected": sums.unposted,
        "corrected": sums.posted,
        "left_alone": sums.left_alone,
        "unpriced": dict(sums.unpriced),
        "totals": [sum_json(row) for row in sums.totals],
        "by_direction": [{"direction": row.name, **sum_json(row)} for row in sums.directions],
        "by_login": [{"login": row.name, **sum_json(row)} for row in sums.logins],
        "largest": [_item_json(item) for item in sums.calls],
        "unpriced_calls": [_item_json(item) for item in sums.unpriced_calls],
        "left_alone_calls": [_item_json(item) for item in sums.left_alone_calls],
    }


def sum_json(row: Sum) -> dict[str, Any]:
    """Amounts as strings."""
    return {
        "currency": row.currency,
        "calls": row.calls,
        "before": format_amount(row.old_cost),
        "by_deck": format_amount(row.new_cost),
        "difference": format_amount(row.difference),
    }


def _item_json(item: ListedItem) -> dict[str, Any]:
    return {
        "call": item.call_key,
        "login": item.login,
        "destination": item.destination,
        "direction": item.direction,
        "seconds": item.seconds,
        "currency": item.currency,
        "before": format_amount(item.old_cost),
        "by_deck": None if item.new_cost is None else format_amount(item.new_cost),
        "problem": item.problem,
    }
