"""FILE.rejected.csv of an import: every row that was not taken, as it was, with its line and the reason.

Law: after an import the file is there exactly if rows were rejected, and lists those of that import.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from rating_engine.importers.dump_text import DumpError
from rating_engine.importers.report import Kind, Report
from rating_engine.importers.scratch import Record, Scratch
from rating_engine.importers.table_file import TableFile
from rating_engine.services.decks.file.layout import REJECTED_LINE, REJECTED_REASON

_VALUE: Final = re.compile(r"'[^']*'|[-+]?\d[\d.]*")

TABLE: Final = "rejected_from"  # the table of the dump that a row is of


class Rejects:
    """Notes rejected rows, and writes them all at the end, in the order of the file."""

    def __init__(self, path: Path, scratch: Scratch, report: Report) -> None:
        self.path = path
        self.count = 0
        self._scratch = scratch
        self._report = report
        with _file_errors(path):
            path.unlink(missing_ok=True)

    def add(self, table: str, record: Record, reason: str) -> None:
        """Note a row of a table."""
        self.line(int(record["line"]), reason, table=table, row_id=int(record["rowid"]))

    def line(self, line: int, reason: str, *, table: str = "", row_id: int = 0) -> None:
        """Note a line of a CSV file, or a row of a table."""
        self.count += 1
        self._scratch.note(table, row_id, line, reason)
        self._report.add(Kind.REJECTED, f"rejected: {_general(reason)}", reason, example=f"line {line}")

    def write(self, source: TableFile | None) -> None:
        """Write the file, if there is anything to write. Raises DumpError."""
        if not self.count:
            return
        with _file_errors(self.path), self.path.open("w", encoding="utf-8-sig", newline="") as file:
            if source is None:
                self._write_records(file)
            else:
                _write_lines(file, source, self._scratch.notes())

    def _write_records(self, file: TextIO) -> None:
        tables = list(self._scratch.noted_tables())
        columns = list(dict.fromkeys(column for table in tables for column in self._scratch.tables[table]))
        writer = csv.writer(file)
        writer.writerow([TABLE, *columns, REJECTED_LINE, REJECTED_REASON])
        for table, row_id, line, reason in self._scratch.notes():
            record = self._scratch.record(table, row_id)
            own = set(self._scratch.tables[table])
            writer.writerow([table, *(record[name] if name in own else "" for name in columns), line, reason])


def _write_lines(file: TextIO, source: TableFile, notes: Iterator[tuple[str, int, int, str]]) -> None:
    writer = csv.writer(file, delimiter=source.delimiter)
    writer.writerow([*source.header, REJECTED_LINE, REJECTED_REASON])
    note = next(notes, None)
    for number, text in source.lines():
        while note is not None and note[2] == number:
            cells, width = text.split(source.delimiter), len(source.header)
            kept = [*cells[:width], *[""] * (width - len(cells))]
            writer.writerow([*kept, number, note[3], *cells[width:]])
            note = next(notes, None)
        if note is None:
            return


def _general(reason: str) -> str:
    """The reason without the values in it."""
    return _VALUE.sub("", reason)


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DumpError(f"cannot write {path}: {error.strerror or error}") from error
