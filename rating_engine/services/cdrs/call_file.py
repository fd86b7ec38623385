"""A file of calls, as a simulation reads it: delimited text with a header, a call a line, memory the same however long.

Law: a row is one line, so that a quote that is not closed costs its row and not everything down to the next quote.

Columns are found by their names (NAMES). A row that is no call is left out with its reason; the others go on.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.decks.file.dates import InvalidInstant, read_instant, zone_of
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.lines import numbered_lines
from rating_engine.services.decks.file.source import split

MAX_SECONDS: Final = 31 * 86_400  # no call lasts a month
MAX_DIGITS: Final = 9  # of that, zeros in front and all
DELIMITERS: Final = (",", ";", "\t", "|")
ROWS_AT_ONCE: Final = 1_000  # priced between two signs of progress

NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "start": ("start", "start time", "starttime", "calldate", "date", "started at", "setup time"),
        "destination": ("destination", "dst", "called", "called number", "callee", "number", "b number"),
        "seconds": ("seconds", "billsec", "duration", "answered seconds", "talk time"),
        "caller": ("caller", "src", "callerid", "calling number", "a number", "from"),
        "login": ("login", "accountcode", "account", "subscriber"),
    }
)
_NEEDED: Final = ("start", "destination", "seconds")


@dataclass(frozen=True, slots=True)
class FileCall:
    """A call of a file. `caller`, `login`: '' where the file does not say."""

    line: int
    started_at: datetime
    destination: str
    seconds: int
    caller: str
    login: str


@dataclass(frozen=True, slots=True)
class BadCall:
    """A row that is no call, and why."""

    line: int
    problem: str


class CallFile:
    """Opened for one reading; `size` and `read` are in bytes."""

    def __init__(self, path: Path, time_zone: str) -> None:
        """`time_zone`: of times without an offset. Errors: InvalidRequest (it cannot be read, or lacks a column)."""
        self._path = path
        self._zone = zone_of(time_zone)
        self.read = 0
        try:
            self.size = os.path.getsize(path)
            with path.open(encoding="utf-8-sig") as file:
                header = next(numbered_lines(file), (1, ""))[1]
            self._delimiter = max(DELIMITERS, key=header.count)
            self._columns = self._found(split(header, self._delimiter))
        except OSError as error:
            raise InvalidRequest("calls", f"{path}: {error.strerror or error}") from None
        except UnicodeDecodeError:
            raise InvalidRequest("calls", f"{path} is not text in UTF-8") from None
        except (DeckFileError, RowRejected) as error:
            raise InvalidRequest("calls", f"{path}: {error}") from None

    def calls(self) -> Iterator[list[FileCall | BadCall]]:
        """Every row after the header, in portions. Errors: InvalidRequest (no UTF-8, or a line without end)."""
        try:
            with self._path.open("rb") as raw, io.TextIOWrapper(raw, "utf-8-sig") as text:
                portion: list[FileCall | BadCall] = []
                for number, line in numbered_lines(text):
                    if number > 1 and line.strip(f' \t"{self._delimiter}'):
                        portion.append(self._call(number, line))
                    if len(portion) >= ROWS_AT_ONCE:
                        self.read = raw.tell()
                        yield portion
                        portion = []
                self.read = self.size
                yield portion
        except (UnicodeDecodeError, DeckFileError) as error:
            raise InvalidRequest("calls", f"{self._path}: {error}") from None

    def _found(self, header: list[str]) -> dict[str, int]:
        names = [" ".join(cell.replace("_", " ").casefold().split()) for cell in header]
        columns: dict[str, int] = {}
        for column, known in NAMES.items():
            found = [position for name in known for position, cell in enumerate(names) if cell == name]
            if found:
                columns[column] = found[0]
        missing = [name for name in _NEEDED if name not in columns]
        if missing:
            raise InvalidRequest(
                "calls", f"{self._path} has no column {' and no '.join(missing)} in its first line: {', '.join(header)}"
            )
        return columns

    def _call(self, line: int, text: str) -> FileCall | BadCall:
        try:
            row = split(text, self._delimiter)
        except RowRejected as error:
            return BadCall(line, str(error))
        cells = {name: row[at].strip() if at < len(row) else "" for name, at in self._columns.items()}
        try:
            started_at = read_instant(cells["start"], self._zone)
        except InvalidInstant as error:
            return BadCall(line, f"start: {error}")
        if started_at is None:
            return BadCall(line, f"start: {cells['start'][:20]!r} is no date")
        seconds = cells["seconds"]
        if not (seconds.isascii() and seconds.isdecimal()) or len(seconds) > MAX_DIGITS or int(seconds) > MAX_SECONDS:
            return BadCall(line, f"seconds: {seconds[:20]!r} is not a whole number up to {MAX_SECONDS}")
        return FileCall(
            line, started_at, cells["destination"], int(seconds), cells.get("caller", ""), cells.get("login", "")
        )
