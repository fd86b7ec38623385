"""Tables written to files that people open: CSV and XLSX, row after row, memory the same however many.

Law: no cell is ever worked out as a formula: a text is a text, whatever it begins with (see `formulas`).
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol

from rating_engine.services.decks.file.errors import DeckFileError

EXCEL_DIGITS: Final = 15  # of a number in a workbook; what has more stays a text

_NOT_AS_IT_IS: Final = ("=", "#")  # openpyxl takes texts that begin so for formulas and for errors

Cell = str | int | Decimal


class TableWriter(Protocol):
    """A file that is being written."""

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write rows."""

    def finish(self, path: Path) -> None:
        """Complete the file."""

    def close(self) -> None:
        """Give up."""


class CsvWriter:
    """With a byte order mark: without one, Excel reads UTF-8 as something else."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file)

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write rows."""
        self._writer.writerows(
            [format(cell, "f") if isinstance(cell, Decimal) else cell for cell in row] for row in rows
        )

    def finish(self, path: Path) -> None:
        """Complete the file."""
        self._file.close()

    def close(self) -> None:
        """Give up."""
        self._file.close()


class WorkbookWriter:
    """One sheet of an XLSX file. Numbers are numbers as far as a workbook holds them exactly."""

    def __init__(self, sheet: str) -> None:
        import openpyxl  # a third of the time that a command takes to start: loaded with the first workbook

        self._book: Any = openpyxl.Workbook(write_only=True)
        self._sheet = self._book.create_sheet(sheet)
        self._saved = False

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write rows."""
        from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
        from openpyxl.utils.exceptions import IllegalCharacterError

        for row in rows:
            try:
                self._sheet.append([self._cell(cell) for cell in row])
            except IllegalCharacterError:
                wrong = next(cell for cell in row if isinstance(cell, str) and ILLEGAL_CHARACTERS_RE.search(cell))
                raise DeckFileError(f"{wrong!r} cannot stand in a workbook: export to CSV") from None

    def finish(self, path: Path) -> None:
        """Complete the file."""
        self._saved = True
        self._book.save(path)

    def close(self) -> None:
        """Give up."""
        if not self._saved:  # saving closes the sheet
            self._sheet.close()

    def _cell(self, value: Cell) -> Any:
        """What openpyxl takes for a number, or for a text; a cell of its own costs three times as much."""
        if not isinstance(value, str):
            digits = len(value.as_tuple().digits) if isinstance(value, Decimal) else len(str(abs(value)))
            if digits <= EXCEL_DIGITS:
                return value
            value = format(value, "f") if isinstance(value, Decimal) else str(value)
        if not value.startswith(_NOT_AS_IT_IS):
            return value
        from openpyxl.cell import WriteOnlyCell

        cell = WriteOnlyCell(self._sheet, value)
        cell.data_type = "s"  # never a formula, nor an error, whatever it begins with
        return cell


@contextlib.contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Say that it is the file, before the pool takes it for the database's."""
    try:
        yield
    except OSError as error:
        raise DeckFileError(f"cannot write {path}: {error.strerror or error}") from error
