"""A deck file as numbered lines and cells, read in pieces: memory stays the same however long the file is.

Law: a row is one line. A line break inside quotes is refused with its line, so that one forgotten quote costs the row
it stands in and not everything down to the next quote.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from rating_engine.services.decks.file import limits
from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.header import HEADER_SEARCH_LINES, header_at
from rating_engine.services.decks.file.layout import Layout, no_header

LOOKED_AT_BELOW: Final = 100  # lines below a header that can be read by two delimiters
DELIMITERS: Final = (",", ";", "\t", "|")

_AS_TEXT: Final = {
    mark: re.compile(rf'(?:^|(?<={re.escape(mark)}))=("[^"]*")(?={re.escape(mark)}|$)') for mark in DELIMITERS
}
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines in a row; the first has number `first`. `read` counts the bytes of the file up to here."""

    first: int
    lines: list[str]
    read: int


class DeckSource(Protocol):
    """A file whose header was found, whichever way it is written."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def size(self) -> int:
        """What `Piece.read` grows to."""

    @property
    def layout(self) -> Layout:
        """Its columns."""

    @property
    def above(self) -> tuple[str, ...]:
        """The lines above its header that say something."""

    @property
    def other_sheets(self) -> tuple[str, ...]:
        """Of a workbook, the sheets that have a header too and are not read."""

    @property
    def delimiter(self) -> str:
        """Between the cells of the file, and of its rejected rows."""

    @property
    def decimal_comma(self) -> bool:
        """Whether 0,05 can be five cents: never in a comma-separated file, where it may be two cells."""

    def rows(self) -> Iterator[Piece]:
        """The lines below the header, in pieces. Raises DeckFileError."""

    def cells(self, line: str) -> list[str]:
        """The cells of one line. Raises RowRejected."""


@dataclass(frozen=True, slots=True)
class TextSource:
    """Delimited text. `header_line` counts from 1; the rows come after it."""

    path: Path
    size: int
    encoding: str
    delimiter: str
    header_line: int
    layout: Layout
    above: tuple[str, ...] = ()
    other_sheets: tuple[str, ...] = ()

    @property
    def decimal_comma(self) -> bool:
        """See DeckSource."""
        return self.delimiter != ","

    def rows(self) -> Iterator[Piece]:
        """The lines below the header, in pieces. Raises DeckFileError: unreadable, or a line that has no end."""
        for piece in _readable_pieces(self.path, self.encoding):
            skip = max(0, min(self.header_line + 1 - piece.first, len(piece.lines)))
            yield Piece(piece.first + skip, piece.lines[skip:], piece.read)

    def cells(self, line: str) -> list[str]:
        """The cells of one line. Raises RowRejected where its quotes don't pair."""
        return line.split(self.delimiter) if '"' not in line else split(line, self.delimiter)


def open_text(path: Path, columns: Mapping[Column, str] | None, header_row: int | None = None) -> TextSource:
    """Find out how the text is written and what its columns are.

    UTF-8 where all of it is UTF-8, UTF-16 where it says so, else Windows-1252 (Latin-1 and what Windows adds to it).
    Raises DeckFileError: unreadable, not text, no header, or a header that could mean two things.
    """
    try:
        size = path.stat().st_size
        encoding = _encoding(path)
        first_lines = _first_lines(path, encoding)
        delimiter, header_line, layout = _find_header(path, first_lines, columns, header_row)
    except OSError as error:
        raise DeckFileError(f"{path}: {error.strerror or error}") from error
    above = tuple(line.strip() for line in first_lines[:header_line] if line.strip())
    return TextSource(path, size, encoding, delimiter, header_line, layout, above)


def first_text_rows(path: Path) -> list[list[str]]:
    """The lines in which a header is looked for, in cells by the delimiter that gives most of them.

    Raises DeckFileError.
    """
    try:
        lines = _first_lines(path, _encoding(path))
    except OSError as error:
        raise DeckFileError(f"{path}: {error.strerror or error}") from error
    return [_most_cells(line) for line in lines]


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one line. Raises RowRejected where its quotes don't pair."""
    if '"' not in line:
        return line.split(delimiter)
    if '="' in line:  # how a spreadsheet is told that digits are text
        line = _AS_TEXT[delimiter].sub(r"\1", line)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        raise RowRejected("a quote is not closed on its line, or stands inside a cell without being doubled") from None


def _encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] in _UTF_16:
            return "utf-16"
        if b"\0" in start[:2]:  # the same without its mark: every other byte of digits and letters is 0
            return "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
        file.seek(0)
        try:
            while piece := file.read(limits.PIECE_BYTES):
                decoder.decode(piece)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8-sig"


def _readable_pieces(path: Path, encoding: str) -> Iterator[Piece]:
    try:
        yield from _pieces(path, encoding)
    except OSError as error:
        raise DeckFileError(f"{path}: {error.strerror or error}") from error


def _pieces(path: Path, encoding: str) -> Iterator[Piece]:
    # "replace" is for the five bytes that Windows-1252 leaves open, and for a UTF-16 file cut short
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(encoding)("replace"), translate=True)
    number, read, rest = 1, 0, ""
    with path.open("rb") as file:
        while data := file.read(limits.PIECE_BYTES):
            read += len(data)
            lines = (rest + decoder.decode(data)).split("\n")
            rest = lines.pop()
            if len(rest) > limits.MAX_LINE_CHARACTERS:
                raise DeckFileError(
                    f"line {number + len(lines)} is longer than {limits.MAX_LINE_CHARACTERS:,} characters"
                )
            yield Piece(number, lines, read)
            number += len(lines)
    lines = (rest + decoder.decode(b"", final=True)).split("\n")
    yield Piece(number, lines if lines[-1] else lines[:-1], read)


def _find_header(
    path: Path, first_lines: list[str], columns: Mapping[Column, str] | None, header_row: int | None
) -> tuple[str, int, Layout]:
    """The delimiter under which most columns are understood, the number of the header's last line, and the columns."""
    for at in range(len(first_lines)) if header_row is None else [header_row - 1] * (header_row <= len(first_lines)):
        found = []
        for delimiter in DELIMITERS:
            rows = [_cells(line, delimiter) for line in first_lines[at : at + 2]]
            if (header := header_at(rows, 0, columns)) is not None:
                found.append((*header, delimiter))
        if found:
            below = [line for line in first_lines[at + 1 : at + 1 + LOOKED_AT_BELOW] if line.strip()]
            lines, layout, delimiter = max(found, key=lambda one: (len(one[1].positions), _fitting(below, *one[1:])))
            return delimiter, at + lines, layout
    raise no_header(path.name, next((line.strip() for line in first_lines if line.strip()), ""), columns)


def _fitting(lines: list[str], layout: Layout, delimiter: str) -> int:
    """How many lines have as many cells by a delimiter as the header that it makes."""
    return sum(len(_cells(line, delimiter)) == len(layout.header) for line in lines)


def _first_lines(path: Path, encoding: str) -> list[str]:
    """The lines in which a header is looked for."""
    lines: list[str] = []
    for piece in _pieces(path, encoding):
        lines += piece.lines
        if len(lines) >= HEADER_SEARCH_LINES:
            break
    return lines[:HEADER_SEARCH_LINES]


def _most_cells(line: str) -> list[str]:
    found = []
    for delimiter in DELIMITERS:
        with contextlib.suppress(RowRejected):
            found.append(split(line, delimiter))
    return max(found, key=len, default=[])


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return split(line, delimiter)
    except RowRejected:
        return []
