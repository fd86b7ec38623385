"""CSV files of rate cards, as the three systems write and take them: with a header, or columns in a known order."""

from __future__ import annotations

import gzip
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from rating_engine.importers.dump_text import DumpError, check_unpacked, is_gzipped
from rating_engine.importers.model import Options
from rating_engine.importers.peer import TableFormat
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.lines import numbered_lines
from rating_engine.services.decks.file.source import split

DELIMITERS: Final = (",", ";", "\t", "|", ":")
SEARCH_LINES: Final = 20  # in which the first row is looked for
CHECK_BYTES: Final = 1024 * 1024  # read at a time to find out the encoding

_BRACKETS: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class TableFile:
    """A file understood. `columns`: of the table, in the order of its cells, '' where a cell is not looked at."""

    path: Path
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    columns: tuple[str, ...]
    header_lines: int

    @property
    def ignored(self) -> tuple[str, ...]:
        """Names in the header that say nothing here."""
        return tuple(name for name, column in zip(self.header, self.columns, strict=True) if name and not column)

    def rows(self, reject: Callable[[int, str], None]) -> Iterator[tuple[int, Sequence[str | None]]]:
        """The rows with their lines; empty ones are stepped over, and those whose cells are not clear rejected.

        A row is one line, so that a quote that is not closed costs its row alone. Raises DumpError: unreadable.
        """
        width = len(self.columns)
        for number, line in self.lines():
            try:
                cells = split(line, self.delimiter)
            except RowRejected as error:
                reject(number, str(error))
                continue
            if any(map(str.strip, cells[width:])):
                reject(
                    number, f"has {len(cells)} cells, not {width}: one with the delimiter in it must stand in quotes"
                )
            else:
                yield number, [*cells[:width], *[None] * (width - len(cells))]

    def lines(self) -> Iterator[tuple[int, str]]:
        """The lines below the header that say something. Raises DumpError."""
        with _opened(self.path, self.encoding) as file:
            try:
                for number, line in numbered_lines(file):
                    if number > self.header_lines and line.strip(f' \t"{self.delimiter}'):
                        yield number, line
            except (OSError, EOFError, DeckFileError) as error:
                raise DumpError(f"{self.path} cannot be read: {error}") from error


def open_table(path: Path, form: TableFormat, options: Options) -> TableFile:
    """Find out the delimiter and the columns of a file. Raises DumpError with what it lacks."""
    encoding = _encoding(path)
    with _opened(path, encoding) as file:
        lines = _first_lines(path, file)
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is None:
        raise DumpError(f"{path} is empty")
    cells_by = {mark: _cells(lines[first], mark) for mark in DELIMITERS}
    named = {mark: [_column(cell, form) for cell in cells] for mark, cells in cells_by.items()}
    delimiter, columns = max(named.items(), key=lambda one: sum(map(bool, one[1])))
    if set(form.needed) <= set(columns):
        _refuse_twice(path, columns)
        header = tuple(cell.strip() for cell in cells_by[delimiter])
        return TableFile(path, encoding, delimiter, header, tuple(columns), first + 1)
    return _without_header(path, encoding, lines[first], form, options)


def _first_lines(path: Path, file: TextIO) -> list[str]:
    try:
        return [line for _, line in itertools.islice(numbered_lines(file), SEARCH_LINES)]
    except DeckFileError as error:
        raise DumpError(f"{path} cannot be read: {error}") from None


def _without_header(path: Path, encoding: str, line: str, form: TableFormat, options: Options) -> TableFile:
    wanted = ", ".join(form.needed)
    if not form.positions:
        raise DumpError(f"{path}: no header that names {wanted}. The file begins with: {line.strip()[:200]!r}")
    for column in options.columns:
        if column not in form.columns:
            raise DumpError(f"--columns: {column!r} is none of {', '.join(form.columns)}")
    positions = (*form.positions, *options.columns)
    for mark in DELIMITERS:
        cells = _cells(line, mark)
        while len(cells) > len(form.positions) and not cells[-1].strip():  # a delimiter at the end of the line
            cells.pop()
        if len(cells) >= 3 and cells[0].strip().removeprefix("+").isalnum():
            if len(cells) > len(positions):
                raise DumpError(
                    f"{path}: rows have {len(cells)} cells, of which the first {len(positions)} are known: say with"
                    " --columns what the others are, in their order"
                )
            return TableFile(path, encoding, mark, positions, positions, 0)
    raise DumpError(
        f"{path}: neither a header that names {wanted}, nor rows of {', '.join(form.positions[:3])}. The file begins"
        f" with: {line.strip()[:200]!r}"
    )


def _cells(line: str, mark: str) -> list[str]:
    try:
        return split(line.rstrip("\r\n"), mark)
    except RowRejected:
        return []


def _column(cell: str, form: TableFormat) -> str:
    plain = _plain(cell)
    if not plain:
        return ""
    return next((column for column, names in form.columns.items() if plain in map(_plain, (column, *names))), "")


def _plain(name: str) -> str:
    return "".join(_WORD.findall(_BRACKETS.sub("", name))).casefold()


def _refuse_twice(path: Path, columns: Sequence[str]) -> None:
    for column in columns:
        if column and columns.count(column) > 1:
            raise DumpError(f"{path}: two columns are {column}: remove one of them")


def _encoding(path: Path) -> str:
    try:
        with _opened(path, "utf-8-sig") as file:
            read = 0
            while text := file.read(CHECK_BYTES):
                read += len(text)
                check_unpacked(path, read)
    except UnicodeDecodeError:
        return "cp1252"
    except (OSError, EOFError) as error:
        raise DumpError(f"{path}: {error}") from error
    return "utf-8-sig"


def _opened(path: Path, encoding: str) -> TextIO:
    errors = "strict" if encoding.startswith("utf") else "replace"
    if is_gzipped(path):
        return io.TextIOWrapper(gzip.open(path), encoding, errors, newline=None)
    return path.open(encoding=encoding, errors=errors, newline=None)
