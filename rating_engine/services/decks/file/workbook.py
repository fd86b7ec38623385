"""An XLSX sheet as numbered rows of text, streamed: memory does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.header import HEADER_SEARCH_LINES, find_header
from rating_engine.services.decks.file.layout import Layout, no_header
from rating_engine.services.decks.file.source import Piece
from rating_engine.services.decks.file.xlsx_sheet import CELL_END, Book, read_book, sheet_rows, sheet_size


@dataclass(frozen=True, slots=True)
class WorkbookSource:
    """A sheet whose header was found in row `header_line`. `size` is of the unpacked sheet."""

    path: Path
    size: int
    sheet: str
    header_line: int
    layout: Layout
    book: Book
    above: tuple[str, ...] = ()
    other_sheets: tuple[str, ...] = ()
    delimiter: str = ","  # of the file of rejected rows
    decimal_comma: bool = True

    def rows(self) -> Iterator[Piece]:
        """The rows below the header, in pieces. Raises DeckFileError where the file is damaged or beyond a limit."""
        first = 1
        for read, lines in sheet_rows(self.book, self.sheet):
            skip = max(0, min(self.header_line + 1 - first, len(lines)))
            yield Piece(first + skip, lines[skip:], min(self.size, read))
            first += len(lines)
        yield Piece(first, [], self.size)

    def cells(self, line: str) -> list[str]:
        """The cells of one row."""
        return line.split(CELL_END)


def open_workbook(
    path: Path, sheet: str | None, columns: Mapping[Column, str] | None, header_row: int | None = None
) -> WorkbookSource:
    """Find the header in a sheet, the first one that has one where `sheet` is None.

    `columns`, `header_row`: of a profile (see header.find_header). Raises DeckFileError: damaged, too large, no such
    sheet, no header.
    """
    book = read_book(path)
    begins = ""
    for name in book.sheets if sheet is None else [_sheet_name(book, sheet)]:
        rows = _head(book, name)
        if (found := find_header(rows, columns, header_row)) is not None:
            above = tuple(text for cells in rows[: found[0]] if (text := " ".join(filter(None, cells)).strip()))
            others = () if sheet is not None else _others_with_header(book, name, columns, header_row)
            return WorkbookSource(path, sheet_size(book, name), name, found[0], found[1], book, above, others)
        begins = begins or next((" ".join(filter(None, cells)) for cells in rows if any(cells)), "")
    tried = f", in none of its sheets ({', '.join(map(repr, book.sheets))})" if sheet is None else f", sheet {sheet!r}"
    raise no_header(f"{path.name}{tried if len(book.sheets) > 1 else ''}", begins, columns)


def _others_with_header(
    book: Book, taken: str, columns: Mapping[Column, str] | None, header_row: int | None
) -> tuple[str, ...]:
    """The sheets behind the one that is taken which look like decks too."""
    found = []
    names = list(book.sheets)
    for name in names[names.index(taken) + 1 :]:
        try:
            has_header = find_header(_head(book, name), columns, header_row) is not None
        except DeckFileError:  # a header that could mean two things
            has_header = True
        found += [name] if has_header else []
    return tuple(found)


def first_rows(path: Path, sheet: str | None) -> list[list[str]]:
    """The rows in which a header is looked for, of the first sheet where `sheet` is None. Raises DeckFileError."""
    book = read_book(path)
    return _head(book, next(iter(book.sheets)) if sheet is None else _sheet_name(book, sheet))


def _head(book: Book, sheet: str) -> list[list[str]]:
    rows: list[list[str]] = []
    for _, lines in sheet_rows(book, sheet):
        rows += [line.split(CELL_END) for line in lines[: HEADER_SEARCH_LINES - len(rows)]]
        if len(rows) == HEADER_SEARCH_LINES:
            break
    return rows


def _sheet_name(book: Book, sheet: str) -> str:
    if sheet not in book.sheets:
        names = ", ".join(map(repr, book.sheets))
        raise DeckFileError(f"{book.path} has no sheet {sheet!r}; its sheets are: {names}")
    return sheet
