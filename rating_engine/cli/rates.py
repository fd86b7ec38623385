"""`rating-engine rates`: import, profile, list, diff; the other commands about versions are in rate_versions."""

from __future__ import annotations

import contextlib
import os
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
    reported_errors,
    run,
)
from rating_engine.cli.rate_versions import print_versions
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.deck_file.profile import DeckProfile, load_profile, profile_path, propose_profile
from rating_engine.services.deck_import import ImportReport, Phase, import_deck
from rating_engine.services.deck_import import Progress as ImportProgress
from rating_engine.settings_sources import CONFIG_VARIABLE, DEFAULT_CONFIG
from rating_engine.storage.rate_decks import TariffLine, list_tariffs

rates_app = typer.Typer(no_args_is_help=True, help="Rate decks: what calls cost.")

PROFILE_DIRECTORY: Final = "deck_profiles"

_PHASES: Final = {
    Phase.READING: "reading and storing",
    Phase.COMPARING: "comparing repeated prefixes",
    Phase.PUBLISHING: "publishing",
}

ProfileOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.toml",
        help="Names of the file's columns; NAME is in deck_profiles/ beside the settings file.",
    ),
]


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
    profile: ProfileOption = None,
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
        with progress_bar() as show:
            return await import_deck(
                settings.database_url,
                file,
                tariff,
                currency=currency,
                price_unit=price_unit,
                sheet=sheet,
                profile=chosen_profile(profile, config),
                on_progress=show,
            )

    report = run(work())
    if json:
        print_json(_report_json(report))
    else:
        _print_report(report)
    if report.rejected:
        raise typer.Exit(EXIT_INCOMPLETE)


@rates_app.command(
    "profile", epilog="Example: rating-engine rates profile deck.csv > config/deck_profiles/carrier.toml"
)
def profile_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or XLSX.")],
    sheet: Annotated[str | None, typer.Option(help="Of a workbook; the first one if not given.")] = None,
) -> None:
    """Propose a profile for files like this one: what its columns are taken for, to be mended and kept."""
    with reported_errors():
        typer.echo(propose_profile(file, sheet), nl=False)


def chosen_profile(profile: str | None, config: Path | None) -> DeckProfile | None:
    """The profile that `--profile` names. Errors: DeckFileError."""
    if profile is None:
        return None
    settings_file = config or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    return load_profile(profile_path(profile, settings_file.parent / PROFILE_DIRECTORY))


@rates_app.command("list", epilog="Example: rating-engine rates list")
def list_(
    versions: Annotated[bool, typer.Option("--versions", help="Every version that is kept, the newest first.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Tariffs, with the deck that calls are rated by."""
    if versions:
        print_versions(json, config)
        return

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


@contextlib.contextmanager
def progress_bar() -> Iterator[Callable[[ImportProgress], None]]:
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
