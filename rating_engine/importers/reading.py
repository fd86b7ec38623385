"""A file of a rate card brought into the scratch file, whichever way it is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rating_engine.importers.dump import Dump, TableRows
from rating_engine.importers.dump_text import DumpError, DumpText
from rating_engine.importers.model import Options
from rating_engine.importers.peer import Peer
from rating_engine.importers.rejects import Rejects
from rating_engine.importers.report import Kind, Report
from rating_engine.importers.scratch import Scratch
from rating_engine.importers.table_file import TableFile, open_table

REPORT_ROWS: Final = 5_000  # after so many rows it is said how far we are

_SQL: Final = re.compile(
    rb"\s*(?:--[ \r\n]|/\*|SET\b|CREATE\b|INSERT\b|REPLACE\b|DROP\b|COPY\b|BEGIN\b|START\b|USE\b|LOCK\b|\\)",
    re.IGNORECASE,
)

OnRead = Callable[[int, int], None]  # bytes read so far, rows


def read_file(
    path: Path, peer: Peer, options: Options, scratch: Scratch, rejects: Rejects, report: Report, on_read: OnRead
) -> TableFile | None:
    """Read all of a file; the CSV file it is, or None for a dump. Raises DumpError, also where it has no rates."""
    if _is_sql(path):
        _read_dump(path, peer, scratch, on_read)
        return None
    source = open_table(path, peer.table_format, options)
    columns = [column or f"cell {at}" for at, column in enumerate(source.columns)]
    rows = _watched(source.rows(rejects.line), on_read, lambda: 0)
    if not scratch.add(peer.table_format.table, columns, rows) and not rejects.count:
        raise DumpError(f"{path} has no rows")
    if source.ignored:
        text = "columns of the file that say nothing here"
        report.add(Kind.LEFT_OUT, "columns", text, count=len(source.ignored), example=", ".join(source.ignored))
    return source


def _read_dump(path: Path, peer: Peer, scratch: Scratch, on_read: OnRead) -> None:
    dump = Dump(path, peer.tables)
    rates = 0
    for found in dump.tables():
        rows = _watched(_in_utc(found), on_read, lambda: dump.read)
        count = scratch.add(found.table, found.columns, rows)
        rates += count if found.table == peer.rates_table else 0
    if not rates:
        raise DumpError(
            f"{path} has no rows of the table {peer.rates_table}: it is no dump of {peer.title}, or without data"
        )


def _in_utc(found: TableRows) -> Iterator[tuple[int, Sequence[str | None]]]:
    """Instants that the dump has in UTC say so from here on."""
    at = [position for position, name in enumerate(found.columns) if name in found.utc]
    for line, values in found.rows:
        if at:
            told = list(values)
            for position in at:
                if told[position]:
                    told[position] = f"{told[position]}Z"
            values = told
        yield line, values


def _watched(
    rows: Iterator[tuple[int, Sequence[str | None]]], on_read: OnRead, read: Callable[[], int]
) -> Iterator[tuple[int, Sequence[str | None]]]:
    for count, row in enumerate(rows, start=1):
        yield row
        if count % REPORT_ROWS == 0:
            on_read(read(), REPORT_ROWS)


def _is_sql(path: Path) -> bool:
    text = DumpText(path)
    try:
        return text.begins_with(_SQL)
    finally:
        text.close()
