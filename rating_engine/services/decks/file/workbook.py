"""An XLSX sheet as numbered rows of text, streamed: memory does not grow with the rows, but for the texts they share.

Law: a number arrives as the 15 digits that Excel keeps and shows of it, so that 0.1 is a price of exactly 0.1. A code
longer than that has lost digits inside Excel already; it arrives with an exponent and is rejected.
"""

from __future__ import annotations

import itertools
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.layout import HEADER_SEARCH_LINES, Column, Layout, find_layout, no_header
from rating_engine.services.decks.file.source import Piece

PIECE_ROWS: Final = 2_000  # read, checked and sent to PostgreSQL at a time: tenths of a second
MAX_SHEET_ROWS: Final = 1_048_576  # what a sheet of Excel can have; a row beyond it is a forged number
MAX_SHEETS: Final = 200  # listed in an error
# What the file may unpack to. Besides the sheets it has the texts that cells share, which are held in memory.
MAX_OTHER_BYTES: Final = 64 * 1024 * 1024
MAX_SHEET_BYTES: Final = 4 * 1024 * 1024 * 1024  # a full sheet of twenty columns has about 1 GB
SIGNIFICANT_DIGITS: Final = ".15g"  # as Excel keeps numbers

_CELL_END: Final = "\x1f"  # cannot stand in XML, so in no cell
_SHEETS: Final = "xl/worksheets/"
_DAMAGED: Final = (
    *(zipfile.BadZipFile, zipfile.LargeZipFile, InvalidFileException, ParseError),
    *(OSError, EOFError, KeyError, ValueError, TypeError, AttributeError, IndexError, NotImplementedError),
)


@dataclass(frozen=True, slots=True)
class WorkbookSource:
    """A sheet whose header was found in row `header_line`. `size` is of the unpacked sheets, roughly."""

    path: Path
    size: int
    sheet: str
    header_line: int
    layout: Layout
    delimiter: str = ","  # of the file of rejected rows
    decimal_comma: bool = True

    def rows(self) -> Iterator[Piece]:
        """The rows below the header, in pieces. Raises DeckFileError where the file is damaged."""
        read = 0
        for first, lines in _pieces(self.path, self.sheet):
            skip = max(0, min(self.header_line + 1 - first, len(lines)))
            read = min(self.size, read + sum(map(len, lines)))
            yield Piece(first + skip, lines[skip:], read)
        yield Piece(self.header_line + 1, [], self.size)

    def cells(self, line: str) -> list[str]:
        """The cells of one row."""
        return line.split(_CELL_END)


def open_workbook(path: Path, sheet: str | None, columns: Mapping[Column, str] | None) -> WorkbookSource:
    """Find the header in a sheet, the first one where `sheet` is None.

    `columns`: of a profile (see layout.find_layout). Raises DeckFileError: damaged, too large, no such sheet, no
    header.
    """
    size = _checked_size(path)
    name, rows = _head(path, sheet)
    for number, cells in enumerate(rows, start=1):
        if (layout := find_layout(cells, columns)) is not None:
            return WorkbookSource(path, size, name, number, layout)
    raise no_header(path.name, next((" ".join(filter(None, cells)) for cells in rows if any(cells)), ""), columns)


def first_rows(path: Path, sheet: str | None) -> list[list[str]]:
    """The rows in which a header is looked for. Raises DeckFileError."""
    _checked_size(path)
    return _head(path, sheet)[1]


def _checked_size(path: Path) -> int:
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
    except _DAMAGED as error:
        raise _damaged(path, error) from error
    size = sum(size for name, size in sizes.items() if name.startswith(_SHEETS))
    if sum(sizes.values()) - size > MAX_OTHER_BYTES or size > MAX_SHEET_BYTES:
        raise DeckFileError(f"{path} is too large for a workbook: save the sheet as CSV and import that")
    return size


def _head(path: Path, sheet: str | None) -> tuple[str, list[list[str]]]:
    """The name of the sheet, and its first rows."""
    try:
        book = _open(path)
        try:
            name = _sheet_name(path, [str(one.title) for one in book.worksheets][:MAX_SHEETS], sheet)
            rows = book[name].iter_rows(max_row=HEADER_SEARCH_LINES, values_only=True)
            return name, [line.split(_CELL_END) for line in _lines(rows)]
        finally:
            book.close()
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _sheet_name(path: Path, names: list[str], sheet: str | None) -> str:
    if not names:
        raise DeckFileError(f"{path} has no sheet with cells")
    if sheet is None:
        return names[0]
    if sheet not in names:
        raise DeckFileError(f"{path} has no sheet {sheet!r}; its sheets are: {', '.join(map(repr, names))}")
    return sheet


def _pieces(path: Path, sheet: str) -> Iterator[tuple[int, list[str]]]:
    """Rows as lines, with the number of the first one."""
    try:
        book = _open(path)
        try:
            worksheet = book[sheet]
            worksheet.reset_dimensions()  # what a file says of its own size is often wrong
            rows = worksheet.iter_rows(max_row=MAX_SHEET_ROWS, values_only=True)
            first = 1
            while lines := _lines(rows):
                yield first, lines
                first += len(lines)
        finally:
            book.close()
    except _DAMAGED as error:
        raise _damaged(path, error) from error


def _lines(rows: Iterator[tuple[Any, ...]]) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of formatting that openpyxl does not know; cells are not touched by it
        return [_CELL_END.join(map(_text, row)) for row in itertools.islice(rows, PIECE_ROWS)]


def _open(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)


def _text(value: Any) -> str:
    """A cell as its text; a number as Excel shows it with all its digits; a date in ISO 8601."""
    if value is None:
        return ""
    if type(value) is str:
        return value.replace(_CELL_END, " ")
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return format(value, SIGNIFICANT_DIGITS)
    return str(value)


def _damaged(path: Path, error: Exception) -> DeckFileError:
    return DeckFileError(f"{path} cannot be read as an Excel workbook ({str(error) or type(error).__name__})")
