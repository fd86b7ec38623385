"""What commands that read a deck file share: its options, its profile, and how far it is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from rating_engine.cli.common import err
from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.profile import DeckProfile, load_profile, profile_path
from rating_engine.services.decks.importing import Phase
from rating_engine.services.decks.importing import Progress as ImportProgress
from rating_engine.settings.sources import CONFIG_VARIABLE, DEFAULT_CONFIG

PROFILE_DIRECTORY: Final = "deck_profiles"

_PHASES: Final = {
    Phase.READING: "reading and storing",
    Phase.COMPARING: "comparing repeated prefixes",
    Phase.APPLYING: "applying the changes",
    Phase.PUBLISHING: "publishing",
}

PriceUnitOption = Annotated[
    PriceUnit | None,
    typer.Option(
        help="What prices are for where the file has no price_unit column. "
        "If not given: a price column is per minute, price_1 and price_n are per interval."
    ),
]
SheetOption = Annotated[str | None, typer.Option(help="Of a workbook; the first one if not given.")]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE.toml",
        help="Names of the file's columns; NAME is in deck_profiles/ beside the settings file.",
    ),
]
DeltaOption = Annotated[
    bool, typer.Option("--delta", help="The file only says what changes: new, changed and closed rates.")
]
FullCountryOption = Annotated[
    bool,
    typer.Option(
        "--full-country",
        help="The file has every code of each country that it names; other countries stay as they are.",
    ),
]
BaseOption = Annotated[
    int | None,
    typer.Option(
        metavar="VERSION", help="What --delta or --full-country changes; if not given, the version in force then."
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="WHEN",
        help="When it comes into force, as in 2026-11-30T00:00; at once if not given. In the tariff's time zone,"
        " unless it has an offset.",
    ),
]
ZoneOption = Annotated[
    str | None, typer.Option(metavar="ZONE", help="Of dates without an offset, as in Europe/Berlin; else the tariff's.")
]


def chosen_profile(profile: str | None, config: Path | None) -> DeckProfile | None:
    """The profile that `--profile` names. Errors: DeckFileError."""
    if profile is None:
        return None
    settings_file = config or Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    return load_profile(profile_path(profile, settings_file.parent / PROFILE_DIRECTORY))


def local_time(instant: datetime, time_zone: str) -> str:
    """An instant as a person of the tariff reads it, with its offset (Z: UTC)."""
    try:
        local = instant.astimezone(ZoneInfo(time_zone))
    except (OverflowError, LookupError, ValueError):  # a year that zone has not, or a zone this machine has not
        local = instant.astimezone(UTC)
    return local.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")


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
