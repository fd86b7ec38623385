"""`rating-engine simulate`: what a deck would have earned."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from rating_engine.cli import words
from rating_engine.cli.calls.rerate import DEFAULT_SHOWN, PROBLEMS, ShownOption, work_bar
from rating_engine.cli.common import (
    EXIT_INCOMPLETE,
    CommandError,
    ConfigOption,
    JsonOption,
    out,
    print_json,
    reported_errors,
    say,
    with_services,
)
from rating_engine.cli.decks.deck_files import (
    PriceUnitOption,
    ProfileOption,
    SheetOption,
    chosen_profile,
)
from rating_engine.rating.money import format_amount
from rating_engine.services.catalogue import UseCases
from rating_engine.services.cdrs.simulation import (
    CallSpan,
    Earned,
    Simulation,
    SimulationProgress,
    SimulationRequest,
)
from rating_engine.services.decks.importing import DeckFileOptions, Progress

SECONDS_A_MINUTE: Final = 60


DeckArgument = Annotated[
    str, typer.Argument(metavar="DECK", help="A file, CSV or XLSX, or a number for a kept version.")
]
CdrsArgument = Annotated[
    Path | None,
    typer.Argument(
        metavar="CDRS",
        help="Calls of a CSV file: start, destination, seconds; caller, login. If not given, those of the database that"
        " the tariff priced.",
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="As of when the deck's rates count, where they have dates; if not given, when it comes into force.",
    ),
]


def simulate(
    deck: DeckArgument,
    tariff: Annotated[str, typer.Option(help="Whose deck it would be: its settings count.")],
    cdrs: CdrsArgument = None,
    calls_from: Annotated[
        str | None, typer.Option("--from", metavar="WHEN", help="Calls of the database that began then or later.")
    ] = None,
    calls_to: Annotated[str | None, typer.Option("--to", metavar="WHEN", help="And before this.")] = None,
    login: Annotated[str | None, typer.Option(help="Only the calls of this login.")] = None,
    at: AtOption = None,
    price_unit: PriceUnitOption = None,
    sheet: SheetOption = None,
    profile: ProfileOption = None,
    shown: ShownOption = DEFAULT_SHOWN,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What calls would have earned by a deck, beside what they earned. Nothing is published and nothing posted.

    Exit status: 0 done, 1 refused, 2 rows of the deck or of CDRS could not be taken.
    """
    with reported_errors():
        _check_calls(cdrs, calls_from, calls_to)
        options = DeckFileOptions(price_unit=price_unit, sheet=sheet, profile=chosen_profile(profile, config))

    async def work(services: UseCases) -> Simulation:
        zone = await services.tariffs.time_zone(tariff)
        return await _simulate(
            services,
            SimulationRequest(
                tariff,
                int(deck) if deck.isdecimal() else Path(deck),
                cdrs or _span(calls_from or "", calls_to or "", zone),
                login,
                None if at is None else words.moment(at, "at", zone),
                options,
            ),
        )

    result = with_services(config, work)
    if json:
        print_json(_json(result, shown))
    else:
        _print(result, shown)
    if result.rejected or result.bad_rows:
        raise typer.Exit(EXIT_INCOMPLETE)


async def _simulate(services: UseCases, request: SimulationRequest) -> Simulation:
    with work_bar("simulating") as bar:

        def show_loading(progress: Progress) -> None:
            bar(progress.read, progress.size, f"loading the deck, {progress.rows:,} rows")

        def show(progress: SimulationProgress) -> None:
            bar(progress.done, progress.total, f"pricing, {progress.calls:,} calls")

        return await services.simulations.simulate(request, on_loading=show_loading, on_progress=show)


def _check_calls(cdrs: Path | None, calls_from: str | None, calls_to: str | None) -> None:
    if cdrs is not None and (calls_from or calls_to):
        raise CommandError("a file of calls is taken whole: --from and --to are for the calls of the database")
    if cdrs is None and (calls_from is None or calls_to is None):
        raise CommandError("say which calls: --from and --to, or a file of them after DECK")


def _span(calls_from: str, calls_to: str, zone: str) -> CallSpan:
    return CallSpan(words.moment(calls_from, "calls_from", zone), words.moment(calls_to, "calls_to", zone))


def _print(result: Simulation, shown: int) -> None:
    title = f"{result.tariff} by {result.deck}"
    out.print(_table(title, "", result.totals()))
    out.print(_table("by direction, the largest differences first", "direction", result.largest(shown)))
    if result.unserved:
        lines = sorted(result.unserved.values(), key=lambda line: -line.then)
        out.print(_table("not served, and so not counted above", "why", lines))
    notes = {
        "calls not answered, which earn nothing": result.unanswered,
        "calls that had no price then, and earned nothing": result.unpriced_then,
        "rows of the deck not taken": result.rejected,
        "rows of the calls not taken": result.bad_rows,
    }
    for note, count in notes.items():
        if count:
            say(f"{note}: {count:,}")
    for bad in result.bad:
        say(f"  line {bad.line}: {bad.problem}")


def _table(title: str, name: str, lines: Iterable[Earned]) -> Table:
    heads = ("calls", "minutes", "", "then", "by the deck", "change", "margin then", "by the deck")
    table = Table(*filter(None, (name,)), *heads, title=title)
    for column in table.columns[1 if name else 0 :]:
        column.justify = "right"
    for line in lines:
        margins = (line.margin_then, line.margin_by_deck) if line.margin_calls else ()
        table.add_row(
            *((PROBLEMS.get(line.name, line.name) or "-",) if name else ()),
            f"{line.calls:,}",
            _minutes(line),
            line.currency,
            *(format_amount(amount) for amount in (line.then, line.by_deck, line.difference)),
            *(format_amount(amount) for amount in margins),
        )
    return table


def _minutes(line: Earned) -> str:
    """To a tenth, rounded half up."""
    tenths = (line.seconds * 10 + SECONDS_A_MINUTE // 2) // SECONDS_A_MINUTE
    return f"{tenths // 10:,}.{tenths % 10}"


def _json(result: Simulation, shown: int) -> dict[str, Any]:
    return {
        "tariff": result.tariff,
        "deck": result.deck,
        "rates_at": result.rates_at.isoformat(),
        "totals": [_earned_json(line) for line in result.totals()],
        "by_direction": [{"direction": line.name, **_earned_json(line)} for line in result.largest(shown)],
        "not_served": [{"problem": line.name, **_earned_json(line)} for line in result.unserved.values()],
        "unanswered": result.unanswered,
        "unpriced_then": result.unpriced_then,
        "rejected_rates": result.rejected,
        "rejected_calls": result.bad_rows,
        "rejected": [{"line": bad.line, "problem": bad.problem} for bad in result.bad],
    }


def _earned_json(line: Earned) -> dict[str, Any]:
    """Amounts as strings; margins are of `margin_calls`, whose carrier's cost is known."""
    known = line.margin_calls > 0
    return {
        "currency": line.currency,
        "calls": line.calls,
        "seconds": line.seconds,
        "then": format_amount(line.then),
        "by_deck": format_amount(line.by_deck),
        "difference": format_amount(line.difference),
        "margin_calls": line.margin_calls,
        "margin_then": format_amount(line.margin_then) if known else None,
        "margin_by_deck": format_amount(line.margin_by_deck) if known else None,
    }
