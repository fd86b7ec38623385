"""`rating-engine import-from`: rate cards of A2Billing, MagnusBilling and ASTPP become tariffs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from rating_engine.cli.common import EXIT_INCOMPLETE, JsonOption, err, out, print_json, reported_errors
from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.migration.migrating import Migrated, System, migrate_file
from rating_engine.services.migration.model import Options
from rating_engine.services.migration.report import Kind
from rating_engine.services.migration.writing import REPORT_FILE

_STYLES: Final = {
    Kind.MAPPED: "green",
    Kind.OTHERWISE: "bold yellow",
    Kind.LEFT_OUT: "yellow",
    Kind.REJECTED: "bold red",
}
_MAX_SECONDS: Final = 86_400


def import_from(
    system: Annotated[System, typer.Argument(metavar="SYSTEM", help="a2billing, magnusbilling or astpp.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A CSV file of a rate card, or an SQL dump (also .gz); docs/migration.md.")
    ],
    tariff: Annotated[
        str | None, typer.Option(help="Name of the tariff; of a dump with several rate plans, their names if not given.")
    ] = None,
    plan: Annotated[
        list[str] | None, typer.Option(help="A rate plan of a dump, by its name; may be repeated. All if not given.")
    ] = None,
    currency: Annotated[
        str | None, typer.Option(help="Of new tariffs; as the dump says, or EUR, if not given.")
    ] = None,
    time_zone: Annotated[
        str, typer.Option(help="Of the old server, whose clock its dates and times of day go by.")
    ] = "UTC",
    cost: Annotated[
        bool, typer.Option("--cost", help="Make cost decks of the buying rates too: NAME-cost for each carrier.")
    ] = False,
    columns: Annotated[
        str, typer.Option(metavar="NAME,NAME", help="a2billing: of a CSV file without a header, after the first three.")
    ] = "",
    min_duration: Annotated[
        int | None, typer.Option(min=0, max=_MAX_SECONDS, help="a2billing: min_duration_2bill, if not as the dump says.")
    ] = None,
    increments: Annotated[
        str, typer.Option(metavar="FIRST/NEXT", help="astpp: the rate group's increments, for rows of a CSV file with 0.")
    ] = "",
    directory: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Where decks, settings and report go; FILE-import if not given."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Make tariffs of the rate cards of A2Billing, MagnusBilling or ASTPP, with a report of every difference.

    Rates, time bands, validity and packages are taken; subscribers, balances, trunks and past calls are not.
    Rows that cannot be taken are written to FILE.rejected.csv with the reason.
    Exit status: 0 every row was taken, 1 nothing was done, 2 done without the rejected rows.
    """
    with reported_errors():
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
        with _progress_bar() as bar:
            done = migrate_file(system, file, directory or _beside(file), options, on_read=bar.read, on_mapping=bar.mapping)
    if json:
        print_json(_json(done))
    else:
        _print(done)
    if done.rejected:
        raise typer.Exit(EXIT_INCOMPLETE)
