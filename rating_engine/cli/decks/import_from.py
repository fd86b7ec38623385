"""`rating-engine import-from`: rate cards of A2Billing, MagnusBilling and ASTPP become tariffs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Self

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rating_engine.cli.common import (
    EXIT_INCOMPLETE,
    ConfigOption,
    JsonOption,
    err,
    load_settings,
    out,
    print_json,
    reported_errors,
    run,
    say,
    working_services,
)
from rating_engine.cli.terminal import harmless, styled
from rating_engine.domain.checks import check_currency
from rating_engine.domain.errors import InvalidRequest
from rating_engine.importers.importing import Imported, import_tariffs
from rating_engine.importers.migrating import Migrated, System, migrate_file
from rating_engine.importers.model import Options
from rating_engine.importers.report import Kind
from rating_engine.settings.model import Settings

_STYLES: Final = {
    Kind.MAPPED: "green",
    Kind.OTHERWISE: "bold yellow",
    Kind.LEFT_OUT: "yellow",
    Kind.REJECTED: "bold red",
}
_MAX_SECONDS: Final = 86_400


SystemArgument = Annotated[System, typer.Argument(metavar="SYSTEM", help="a2billing, magnusbilling or astpp.")]
FileArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="A CSV file of a rate card, or an SQL dump (also .gz); docs/migration.md."),
]
TariffOption = Annotated[
    str | None, typer.Option(help="Name of the tariff; of a dump with several rate plans, their names if not given.")
]
PlanOption = Annotated[
    list[str] | None, typer.Option(help="A rate plan of a dump, by its name; may be repeated. All if not given.")
]
CurrencyOption = Annotated[str | None, typer.Option(help="Of new tariffs; as the dump says, or EUR, if not given.")]
ZoneOption = Annotated[str, typer.Option(help="Of the old server, whose clock its dates and times of day go by.")]
CostOption = Annotated[
    bool, typer.Option("--cost", help="Make cost decks of the buying rates too: NAME-cost for each carrier.")
]
ColumnsOption = Annotated[
    str, typer.Option(metavar="NAME,NAME", help="a2billing: of a CSV file without a header, after the first three.")
]
DurationOption = Annotated[
    int | None, typer.Option(min=0, max=_MAX_SECONDS, help="a2billing: min_duration_2bill, if not as the dump says.")
]
IncrementsOption = Annotated[
    str, typer.Option(metavar="FIRST/NEXT", help="astpp: the rate group's increments, for rows of a CSV file with 0.")
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", metavar="DIR", help="Where decks, settings and report go; FILE-import if not given."),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Write files alone, for a look before the import.")]


def import_from(
    system: SystemArgument,
    file: FileArgument,
    tariff: TariffOption = None,
    plan: PlanOption = None,
    currency: CurrencyOption = None,
    time_zone: ZoneOption = "UTC",
    cost: CostOption = False,
    columns: ColumnsOption = "",
    min_duration: DurationOption = None,
    increments: IncrementsOption = "",
    directory: OutOption = None,
    dry_run: DryRunOption = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Make tariffs of the rate cards of A2Billing, MagnusBilling or ASTPP, with a report of every difference.

    Rates, time bands, validity and packages are taken; subscribers, balances, trunks and past calls are not.
    Rows that cannot be taken are written to FILE.rejected.csv with the reason.
    Exit status: 0 every row was taken, 1 nothing or not all was imported, 2 imported without the rejected rows.
    """
    with reported_errors():
        if currency is not None:
            check_currency(currency)
        options = Options(
            now=datetime.now(UTC),
            tariff=tariff,
            plans=tuple(plan or ()),
            currency=currency,
            time_zone=time_zone,
            columns=tuple(name.strip() for name in columns.split(",") if name.strip()),
            increments=_increments(increments),
            min_duration=min_duration,
            cost=cost,
        )
        settings = None if dry_run else load_settings(config)
        with _Bar(file) as bar:
            done = migrate_file(system, file, directory or _beside(file), options, on_read=bar.read, on_mapping=bar.map)
            imported = [] if settings is None else run(_import(settings, done, bar))
    rejected = done.rejected + sum(one.deck.rejected for one in imported)
    if json:
        print_json(_json(done, imported))
    else:
        _print(done, imported, file)
    if rejected:
        raise typer.Exit(EXIT_INCOMPLETE)


async def _import(settings: Settings, done: Migrated, bar: _Bar) -> list[Imported]:
    async with working_services(settings) as services:
        return await import_tariffs(services, done.tariffs, bar.tariff)


class _Bar:
    """How far it is: bytes of the file, then the tariff at hand; on stderr, gone at the end."""

    def __init__(self, file: Path) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[rows]:,} rows"),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=err, transient=True, disable=not err.is_terminal)
        self._size = file.stat().st_size if file.is_file() else None
        self._rows = 0
        self._task = self._bar.add_task("reading", total=self._size, rows=0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def read(self, read: int, rows: int) -> None:
        self._rows += rows
        self._bar.update(self._task, completed=read, rows=self._rows)

    def map(self) -> None:
        self._bar.update(self._task, description="mapping", total=None)

    def tariff(self, name: str) -> None:
        self._bar.update(self._task, description=f"importing {harmless(name)}", total=None)


def _beside(file: Path) -> Path:
    """rates.sql.gz has its files in rates-import."""
    return file.with_name(f"{file.name.split('.')[0] or file.name}-import")


def _increments(text: str) -> tuple[int, int]:
    if not text:
        return 0, 0
    first, slash, later = text.partition("/")
    numbers = (first, later) if slash else (first, first)
    if not all(number.isascii() and number.isdigit() and 0 < int(number) <= _MAX_SECONDS for number in numbers):
        raise InvalidRequest("increments", f"{text!r} is not like 60/60")
    return int(numbers[0]), int(numbers[1])


def _print(done: Migrated, imported: list[Imported], file: Path) -> None:
    _print_tariffs(done, imported)
    for kind in Kind:
        if not (findings := done.report.of(kind)):
            continue
        table = Table(title=styled((kind.value, _STYLES[kind])), title_justify="left", show_header=False)
        table.add_column(justify="right", vertical="top")
        table.add_column(overflow="fold")
        for finding in findings:
            examples = [("\n" + "; ".join(finding.examples), "dim")] if finding.examples else []
            table.add_row(f"{finding.count:,}", styled(finding.text, *examples))
        out.print(table)
    if done.rejected_file is not None:
        say((f"Not taken: {done.rejected:,} of the rows,", "bold yellow"), f" see {done.rejected_file!s}")
    dry = "Nothing was imported: this was a dry run. " if not imported else ""
    say(f"{dry}Decks, settings and report: {done.directory}")


def _print_tariffs(done: Migrated, imported: list[Imported]) -> None:
    table = Table("tariff", "", "rates", "deck", title="tariffs")
    table.columns[2].justify = "right"
    versions = {
        one.name: f"version {one.deck.version}" + ("" if one.created else ", of a tariff that was there")
        for one in imported
    }
    for one in done.tariffs:
        kind = "cost" if one.tariff.is_cost else "option" if one.tariff.is_option else ""
        table.add_row(one.tariff.name, kind, f"{one.rates:,}", versions.get(one.tariff.name, one.deck.name))
    out.print(table)


def _json(done: Migrated, imported: list[Imported]) -> dict[str, Any]:
    versions = {one.name: one.deck.version for one in imported}
    return {
        "imported": bool(imported),
        "directory": str(done.directory),
        "rejected": done.rejected,
        "rejected_file": None if done.rejected_file is None else str(done.rejected_file),
        "tariffs": [
            {
                **one.tariff.settings(),
                "rates": one.rates,
                "deck": str(one.deck),
                "version": versions.get(one.tariff.name),
            }
            for one in done.tariffs
        ],
        "findings": done.report.to_json(),
    }
