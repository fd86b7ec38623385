"""`rates export`: a version of a deck as a file that imports again unchanged.

Law: the file is there whole or not at all. Cells are text, also in a workbook: a price has up to 18 digits, a number of
Excel 15.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rating_engine.domain.deck import DeckVersion
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.money import format_amount
from rating_engine.services.decks.file.dates import zone_of
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.formulas import quoted
from rating_engine.services.decks.file.limits import MAX_SHEET_ROWS
from rating_engine.services.decks.file.table_file import CsvWriter, TableWriter, WorkbookWriter, file_errors
from rating_engine.storage.decks.deck_columns import ROW
from rating_engine.storage.decks.deck_versions import find_version, rates_of_version
from rating_engine.storage.postgres.pool import Database

HEADER: Final = (*ROW, "currency")


async def export_deck(database: Database, tariff: str, version: int | None, path: Path) -> DeckVersion:
    """Write a version (None: the published one) to a CSV or XLSX file, by its name; which version it was.

    Errors: NotFound, InvalidRequest (the name), DeckFileError (not written, or too large for a sheet), Unavailable.
    """
    if path.suffix.lower() not in (".csv", ".xlsx"):
        raise InvalidRequest("file", f"{path} ends in neither .csv nor .xlsx")
    part = path.with_name(path.name + ".part")
    try:
        async with database.connection() as connection:
            found = await find_version(connection, tariff, version)
            with file_errors(path):
                writer = _writer(path, part, found)
            with contextlib.closing(writer):
                await _write(path, writer, [list(HEADER)])
                zone = zone_of(found.time_zone)
                async for rows in rates_of_version(connection, found):
                    await _write(path, writer, [_cells(row, found.currency, zone) for row in rows])
                with file_errors(path):
                    await asyncio.to_thread(writer.finish, part)
                    part.replace(path)
    finally:  # leave no half file behind
        with file_errors(path):
            part.unlink(missing_ok=True)
    return found


def _writer(path: Path, part: Path, version: DeckVersion) -> TableWriter:
    if path.suffix.lower() == ".csv":
        return CsvWriter(part)
    if version.rates >= MAX_SHEET_ROWS:
        raise DeckFileError(f"{version.rates:,} rates are more than a sheet can have: export to CSV")
    return WorkbookWriter("rates")


async def _write(path: Path, writer: TableWriter, rows: list[list[str]]) -> None:
    with file_errors(path):
        await asyncio.to_thread(writer.add, rows)


def _cells(row: Sequence[Any], currency: str, zone: tzinfo) -> list[str]:
    return [*(_cell(value, zone) for value in row), currency]


def _cell(value: Any, zone: tzinfo) -> str:
    """A date has its offset, so that it is the same instant whoever imports it; one that is unbounded is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return _local(value, zone).isoformat()
    return format_amount(value) if isinstance(value, Decimal) else quoted(str(value))


def _local(instant: datetime, zone: tzinfo) -> datetime:
    """In the tariff's time, where whoever reads the file expects it; in UTC where that has no such year."""
    try:
        return instant.astimezone(zone)
    except OverflowError:
        return instant.astimezone(UTC)
