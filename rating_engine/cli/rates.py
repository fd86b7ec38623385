"""`rating-engine rates` (import, list) and `rating-engine rate`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rating_engine.cli.common import (
    EXIT_INCOMPLETE,
    ConfigOption,
    JsonOption,
    err,
    load_settings,
    open_database,
    out,
    print_json,
    run,
)
from rating_engine.rating.charge import Line, LineKind
from rating_engine.rating.money import format_amount
from rating_engine.rating.rate import PriceUnit, Rate
from rating_engine.services.deck_import import ImportReport, Phase, import_deck
from rating_engine.services.deck_import import Progress as ImportProgress
from rating_engine.services.rate_quote import Quote, quote
from rating_engine.storage.rate_decks import TariffLine, list_tariffs

rates_app = typer.Typer(no_args_is_help=True, help="Rate decks: what calls cost.")

_PHASES: Final = {
    Phase.READING: "reading and storing",
    Phase.COMPARING: "comparing repeated prefixes",
    Phase.PUBLISHING: "publishing",
}

_LINES: Final = {
    LineKind.CONNECT_FEE: "connect fee",
    LineKind.FIRST_INTERVAL: "first interval",
    LineKind.NEXT_INTERVALS: "next intervals",
    LineKind.SURCHARGE: "surcharge",
}


@rates_app.command("import", epilog="Example: rating-engine rates import deck.csv --tariff retail --currency EUR")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or XLSX; see docs/rate-decks.md.")],
    tariff: Annotated[str, typer.Option(help="Whose deck this becomes; created if it is not there.")],
    currency: Annotated[
        str | None, typer.Option(help="Of a new tariff (EUR if not given); must be an existing tariff's.")
    ] = None,
    price_unit: Annotated[
        PriceUnit | None,
        typer.Option(
            help="What prices are for where the file has no price_unit column. "
            "If not given: a price column is per minute, price_1 and price_n are per interval."
        ),
    ] = None,
    sheet: Annotated[str | None, typer.Option(help="Of a workbook; the first one if not given.")] = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Replace the rates of a tariff by those of a file, whole or not at all.

    Rows that cannot be taken are written to FILE.rejected.csv with the reason.
    Exit status: 0 every row was taken, 1 nothing was published, 2 published without the rejected rows.
    """

    async def work() -> ImportReport:
        settings = load_settings(config)
        async with open_database(settings):
            pass  # says in words what is wrong with the way to the database
        with _progress_bar() as show:
            return await import_deck(
                settings.database_url,
                file,
                tariff,
                currency=currency,
                price_unit=price_unit,
                sheet=sheet,
                on_progress=show,
            )

    report = run(work())
    if json:
        print_json(_report_json(report))
    else:
        _print_report(report)
    if report.rejected:
        raise typer.Exit(EXIT_INCOMPLETE)


@rates_app.command("list", epilog="Example: rating-engine rates list")
def list_(json: JsonOption = False, config: ConfigOption = None) -> None:
    """Tariffs, with the deck that calls are rated by."""

    async def work() -> list[TariffLine]:
        async with open_database(load_settings(config)) as database:
            return await list_tariffs(database)

    tariffs = run(work())
    if json:
        print_json({"tariffs": [_tariff_json(tariff) for tariff in tariffs]})
        return
    table = Table("tariff", "currency", "version", "rates", "longest prefix", "published", title="tariffs")
    for position in (2, 3, 4):
        table.columns[position].justify = "right"
    table.columns[5].no_wrap = True
    for tariff in tariffs:
        table.add_row(
            escape(tariff.name),
            tariff.currency,
            str(tariff.version or "none"),
            f"{tariff.rates or 0:,}",
            str(tariff.longest_prefix or ""),
            tariff.published_at.strftime("%Y-%m-%d %H:%M:%SZ") if tariff.published_at else "",
        )
    out.print(table)


def rate(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="As dialled.")],
    tariff: Annotated[str, typer.Option(help="Whose rates.")],
    seconds: Annotated[int, typer.Option(min=0, help="Answered seconds.")],
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """What a call would cost, line by line. Exit status 1 when no rate serves the number."""

    async def work() -> Quote:
        settings = load_settings(config)
        async with open_database(settings) as database:
            return await quote(database, tariff, number, seconds, international_prefix=settings.international_prefix)

    found = run(work())
    if json:
        print_json(_quote_json(found))
    else:
        _print_quote(found)


@contextlib.contextmanager
def _progress_bar() -> Iterator[Callable[[ImportProgress], None]]:
    """A bar over the bytes of the file, then one that only moves; on stderr, gone when the import ends."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[rows]:,} rows, {task.fields[rejected]:,} rejected"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("opening", total=None, rows=0, rejected=0)

        def show(progress: ImportProgress) -> None:
            reading = progress.phase is Phase.READING
            bar.update(
                task,
                description=_PHASES[progress.phase],
                total=progress.size if reading else None,
                completed=progress.read,
                rows=progress.rows,
                rejected=progress.rejected,
            )

        yield show


def _print_report(report: ImportReport) -> None:
    table = Table(title=f"rates of {escape(report.tariff)}, version {report.version}", show_header=False)
    table.add_column(style="bold")
    table.add_column(justify="right")
    for name, value in _report_lines(report):
        table.add_row(name, escape(value))
    out.print(table)
    if not report.price_unit_said:
        out.print(
            f"The file does not say what its prices are for; they were taken per {report.price_unit}."
            " If that is wrong, import it again with --price-unit.",
            soft_wrap=True,
            highlight=False,
        )
    if report.rejected_file is not None:
        out.print(
            f"[bold yellow]Not taken: {report.rejected:,} of the rows,[/] see {escape(str(report.rejected_file))}",
            soft_wrap=True,
            highlight=False,
        )


def _report_lines(report: ImportReport) -> Iterator[tuple[str, str]]:
    yield "tariff", f"{report.tariff} ({'new' if report.tariff_created else 'replaced'}, {report.currency})"
    yield "rates taken", f"{report.taken:,}"
    yield "rows rejected", f"{report.rejected:,}"
    if report.repeated:
        yield "codes repeated", f"{report.repeated:,}"
    yield "directions", f"{report.directions:,}"
    yield "prices are per", report.price_unit
    if report.ignored_columns:
        yield "columns not used", ", ".join(report.ignored_columns)
    yield "seconds", f"{report.seconds:.1f}"
    if report.seconds >= 1:
        yield "rates a second", f"{report.taken / report.seconds:,.0f}"


def _report_json(report: ImportReport) -> dict[str, Any]:
    return {
        "tariff": report.tariff,
        "created": report.tariff_created,
        "currency": report.currency,
        "version": report.version,
        "taken": report.taken,
        "rejected": report.rejected,
        "repeated": report.repeated,
        "directions": report.directions,
        "price_unit": report.price_unit.value,
        "ignored_columns": list(report.ignored_columns),
        "rejected_file": None if report.rejected_file is None else str(report.rejected_file),
        "seconds": round(report.seconds, 3),
    }


def _tariff_json(tariff: TariffLine) -> dict[str, Any]:
    return {
        "tariff": tariff.name,
        "currency": tariff.currency,
        "version": tariff.version,
        "rates": tariff.rates,
        "longest_prefix": tariff.longest_prefix,
        "published_at": None if tariff.published_at is None else tariff.published_at.isoformat(),
    }


def _print_quote(found: Quote) -> None:
    match, charged = found.match, found.charge
    direction = f" ({escape(match.direction.name)})" if match.direction.name else ""
    out.print(
        f"{found.destination} on {escape(found.tariff)}: prefix {match.prefix}{direction}, {_rate_words(match.rate)}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("", "quantity", "seconds", f"price {match.currency}", f"amount {match.currency}")
    for column in table.columns[1:]:
        column.justify = "right"
    for line in charged.lines:
        seconds = str(line.seconds) if line.seconds else ""
        table.add_row(
            _LINES[line.kind], str(line.quantity), seconds, format_amount(line.unit_price), format_amount(line.amount)
        )
    table.add_section()
    table.add_row("total", "", str(charged.billed_seconds), "", format_amount(charged.cost), style="bold")
    out.print(table)


def _rate_words(rate: Rate) -> str:
    prices = format_amount(rate.price_1)
    if rate.price_n != rate.price_1:
        prices += f" then {format_amount(rate.price_n)}"
    words = f"{prices} per {rate.price_unit}, {rate.interval_1}/{rate.interval_n}"
    if rate.free_seconds:
        words += f", {rate.free_seconds} s free"
    if rate.grace_period:
        words += f", {rate.grace_period} s grace"
    return words


def _quote_json(found: Quote) -> dict[str, Any]:
    charged = found.charge
    return {
        "number": found.number,
        "destination": found.destination,
        "tariff": found.tariff,
        "currency": found.match.currency,
        "prefix": found.match.prefix,
        "direction": found.match.direction.name,
        "seconds": charged.seconds,
        "billed_seconds": charged.billed_seconds,
        "cost": format_amount(charged.cost, charged.rate.decimals),
        "lines": [_line_json(line) for line in charged.lines],
    }


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "kind": line.kind.value,
        "quantity": line.quantity,
        "seconds": line.seconds,
        "unit_price": format_amount(line.unit_price),
        "amount": format_amount(line.amount),
    }
