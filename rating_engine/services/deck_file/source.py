"""A deck file as numbered lines and cells, read in pieces: memory stays the same however long the file is.

Law: a row is one line. A line break inside quotes is refused with its line, so that one forgotten quote costs the row
it stands in and not everything down to the next quote.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rating_engine.services.deck_file.errors import DeckFileError, RowRejected
from rating_engine.services.deck_file.layout import Layout, find_layout

PIECE_BYTES: Final = 256 * 1024  # read, checked and sent to PostgreSQL at a time: some milliseconds of work
MAX_LINE_CHARACTERS: Final = 64 * 1024  # a row of a deck has some hundreds; more is another kind of file
HEADER_SEARCH_LINES: Final = 20  # carriers put their name, dates and remarks above the header
DELIMITERS: Final = (",", ";", "\t", "|")

_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # XLSX (a ZIP) and XLS (OLE2): what they begin with


@dataclass(frozen=True, slots=True)
class Piece:
    """Lines in a row; the first has number `first`. `read` counts the bytes of the file up to here."""

    first: int
    lines: list[str]
    read: int


@dataclass(frozen=True, slots=True)
class DeckSource:
    """A file whose header was found. `header_line` counts from 1; the rows come after it."""

    path: Path
    size: int
    encoding: str
    delimiter: str
    header_line: int
    layout: Layout

    def rows(self) -> Iterator[Piece]:
        """The lines below the header, in pieces. Raises DeckFileError: unreadable, or a line that has no end."""
        for piece in _readable_pieces(self.path, self.encoding):
            skip = max(0, min(self.header_line + 1 - piece.first, len(piece.lines)))
            yield Piece(piece.first + skip, piece.lines[skip:], piece.read)

    def cells(self, line: str) -> list[str]:
        """The cells of one line. Raises RowRejected where its quotes don't pair."""
        return line.split(self.delimiter) if '"' not in line else split(line, self.delimiter)


def open_deck(path: Path) -> DeckSource:
    """Find out how the file is written and what its columns are.

    UTF-8 where all of it is UTF-8, UTF-16 where it says so, else Windows-1252 (Latin-1 and what Windows adds to it).
    Raises DeckFileError: unreadable, not text, no header, or a header that could mean two things.
    """
    try:
        if not path.is_file():
            raise DeckFileError(f"{path}: there is no such file")
        size = path.stat().st_size
        encoding = _encoding(path)
        delimiter, header_line, layout = _find_header(path, encoding)
    except OSError as error:
        raise DeckFileError(f"{path}: {error.strerror or error}") from error
    return DeckSource(path, size, encoding, delimiter, header_line, layout)


def split(line: str, delimiter: str) -> list[str]:
    """The cells of one line. Raises RowRejected where its quotes don't pair."""
    if '"' not in line:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True))
    except csv.Error:
        raise RowRejected("a quote is not closed on its line, or stands inside a cell without being doubled") from None


def _encoding(path: Path) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        start = file.read(4)
        if start in _WORKBOOKS:
            raise DeckFileError(f"{path} is an Excel workbook: save the sheet as CSV and import that")
        if start[:2] in _UTF_16:
            return "utf-16"
        file.seek(0)
        try:
            while piece := file.read(PIECE_BYTES):
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
        while data := file.read(PIECE_BYTES):
            read += len(data)
            lines = (rest + decoder.decode(data)).split("\n")
            rest = lines.pop()
            if len(rest) > MAX_LINE_CHARACTERS:
                raise DeckFileError(f"line {number + len(lines)} is longer than {MAX_LINE_CHARACTERS} characters")
            yield Piece(number, lines, read)
            number += len(lines)
    lines = (rest + decoder.decode(b"", final=True)).split("\n")
    yield Piece(number, lines if lines[-1] else lines[:-1], read)


def _find_header(path: Path, encoding: str) -> tuple[str, int, Layout]:
    """The delimiter under which most columns are understood, the header's line number, and the columns."""
    first_lines: list[str] = []
    for piece in _pieces(path, encoding):
        first_lines += piece.lines
        if len(first_lines) >= HEADER_SEARCH_LINES:
            break
    for number, line in enumerate(first_lines[:HEADER_SEARCH_LINES], start=1):
        found = [(layout, delimiter) for delimiter in DELIMITERS if (layout := _layout(line, delimiter)) is not None]
        if found:
            layout, delimiter = max(found, key=lambda one: len(one[0].positions))
            return delimiter, number, layout
    shown = next((line.strip()[:200] for line in first_lines if line.strip()), "")
    raise DeckFileError(
        f"no header in the first {HEADER_SEARCH_LINES} lines of {path.name}: it must name a prefix column (prefix,"
        f" code, dial code ...) and a price column (price, rate, price_1 ...)."
        + (f" The file begins with: {shown!r}" if shown else " The file is empty.")
    )


def _layout(line: str, delimiter: str) -> Layout | None:
    try:
        return find_layout(split(line, delimiter))
    except RowRejected:
        return None
