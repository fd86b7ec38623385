"""`cdrs export`: ended calls as a file for people and their spreadsheets, read and written a page at a time.

Laws: the file is there whole or not at all; memory is the same however many calls; what callers chose is no formula.

A page is found by what ended in its span of time, all of which is sorted for it. So a long time is read in short spans,
the latest first, which are as long as they hold some pages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from rating_engine.domain.cdr import Cdr, CdrFilter
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.formulas import quoted
from rating_engine.services.decks.file.limits import MAX_SHEET_ROWS
from rating_engine.services.decks.file.table_file import Cell, CsvWriter, TableWriter, WorkbookWriter, file_errors
from rating_engine.storage.calls.cdrs import list_cdrs
from rating_engine.storage.postgres.pool import Database

FIRST_SPAN: Final = timedelta(hours=1)
LONGEST_SPAN: Final = timedelta(days=7)
SHORTEST_SPAN: Final = timedelta(minutes=1)
PAGES_A_SPAN: Final = 8  # what each of them sorts is some thousand calls

COLUMNS: Final = (
    "call_key", "ended_at", "prepared_at", "answered_at", "login", "callerid", "destination", "direction", "prefix",
    "tariff", "route", "state", "source", "disposition", "cause", "seconds", "billed_seconds", "cost", "currency",
    "overrun", "carrier_cost", "carrier_currency", "margin", "from_originate", "source_address", "originated_by",
    "is_did",
)  # fmt: skip
HEADER: Final = ("call", *COLUMNS[1:])


async def export_cdrs(
    office: Database, wanted: CdrFilter, zone: tzinfo, path: Path, on_rows: Callable[[int], None] = lambda rows: None
) -> int:
    """Write the calls that are wanted, the latest first, to a CSV or XLSX file, by its name; how many they were.

    Times are those of `zone`, with their offset. Errors: InvalidRequest (file), NotFound (the login), DeckFileError
    (not written, or too many for a sheet), Unavailable; after any of them no file is left.
    """
    if path.suffix.lower() not in (".csv", ".xlsx"):
        raise InvalidRequest("file", f"{path} ends in neither .csv nor .xlsx")
    part = path.with_name(path.name + ".part")
    try:
        with file_errors(path):
            writer: TableWriter = CsvWriter(part) if path.suffix.lower() == ".csv" else WorkbookWriter("calls")
        with contextlib.closing(writer):
            rows = await _write(office, wanted, zone, path, writer, on_rows)
            with file_errors(path):
                await asyncio.to_thread(writer.finish, part)
                part.replace(path)
    finally:  # leave no half file behind
        with file_errors(path):
            part.unlink(missing_ok=True)
    return rows


async def _write(
    office: Database,
    wanted: CdrFilter,
    zone: tzinfo,
    path: Path,
    writer: TableWriter,
    on_rows: Callable[[int], None],
) -> int:
    rows = 0
    with file_errors(path):
        await asyncio.to_thread(writer.add, [HEADER])
    async with contextlib.aclosing(_pages(office, wanted)) as pages:
        async for cdrs in pages:
            rows += len(cdrs)
            if isinstance(writer, WorkbookWriter) and rows >= MAX_SHEET_ROWS:
                raise DeckFileError(
                    f"more than {MAX_SHEET_ROWS - 1:,} calls are more than a sheet can have: export to CSV"
                )
            cells = [[_cell(getattr(cdr, name), zone) for name in COLUMNS] for cdr in cdrs]
            with file_errors(path):
                await asyncio.to_thread(writer.add, cells)
            on_rows(rows)
    return rows


async def _pages(office: Database, wanted: CdrFilter) -> AsyncGenerator[Sequence[Cdr], None]:
    """The calls that are wanted, the latest first, span after span."""
    ends, span = wanted.until, FIRST_SPAN
    while ends > wanted.since:
        begins = max(wanted.since, ends - span)
        of_span = replace(wanted, since=begins, until=ends)
        pages, after = 0, None
        while pages == 0 or after is not None:
            page = await list_cdrs(office, of_span, Cursor(MAX_LIMIT, after))
            yield page.items
            pages, after = pages + 1, page.next
        if pages == 1:
            span = min(span * 2, LONGEST_SPAN)
        elif pages > PAGES_A_SPAN:
            span = max(span / 2, SHORTEST_SPAN)
        ends = begins


def _cell(value: Any, zone: tzinfo) -> Cell:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(zone).isoformat(sep=" ", timespec="seconds")
    if isinstance(value, Decimal):
        return value.normalize() if value else Decimal(0)
    return value if isinstance(value, int) else quoted(str(value))
