"""The rows of a deck file on their way to PostgreSQL: checked, the bad ones set apart, the suspects put aside."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.notes import Notes
from rating_engine.services.decks.file.rejects import RejectedRows
from rating_engine.services.decks.file.repeats import SeenKeys
from rating_engine.services.decks.file.rows import Closing, RowChecker
from rating_engine.services.decks.file.source import DeckSource, Piece

SUSPECTS_IN_MEMORY: Final = 8 * 1024 * 1024  # bytes; more of them wait in a temporary file
SUSPECT_CHUNK: Final = 64 * 1024
RATES_AT_ONCE: Final = 20_000  # made of rows with many codes before they go to PostgreSQL: some megabytes
MAX_ROWS: Final = 20_000_000  # taken or not: what is rejected is written beside the file
MAX_RATES: Final = 20_000_000  # in one deck, twenty times the size it is measured with: ranges can make any number


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row of which `codes` rates contradict earlier rows: the first is of `prefix`, and the row in `first_line`.

    `overlaps`: both count at some instant; otherwise they begin at the same one.
    """

    line: int
    codes: int
    prefix: str
    first_line: int
    overlaps: bool


@dataclass(frozen=True, slots=True)
class VainClosing:
    """A row of a delta that ends what is not there: `codes` of its closings, the first of them of `prefix`."""

    line: int
    codes: int
    prefix: str


class DeckReading:
    """One pass over a file. `new_rows` first, then what was found on the way.

    With `delta` every rate is a suspect, since another version is to be changed by them.
    """

    def __init__(self, source: DeckSource, checker: RowChecker, rejects: RejectedRows, *, delta: bool = False) -> None:
        self.size = source.size
        self.read = 0
        self.rows = 0
        self.longest_prefix = 0
        self.suspects = 0
        self.closings = 0  # in a delta: codes that end
        self.blocked = 0  # codes of rows that could not be taken
        self.passed_over = 0  # rows that have neither a code nor a price
        self.left_out = 0  # in a whole deck: rows that say that they are closed
        self._rates = 0
        self._source = source
        self._checker = checker
        self._rejects = rejects
        self._seen: Callable[[str, int], int] = _suspect_all if delta else SeenKeys(source.size).line_of
        self._closings = tempfile.SpooledTemporaryFile(SUSPECTS_IN_MEMORY)  # noqa: SIM115  # closed by `close`
        self._suspects = tempfile.SpooledTemporaryFile(SUSPECTS_IN_MEMORY)  # noqa: SIM115  # closed by `close`

    def close(self) -> None:
        """Give up the temporary files."""
        self._suspects.close()
        self._closings.close()

    @property
    def notes(self) -> Notes:
        """What was read otherwise than it stands there."""
        return self._checker.notes

    @property
    def bands(self) -> frozenset[str]:
        """Of the rates, but ''."""
        return frozenset(self._checker.bands)

    def refuse_contradictions(self) -> None:
        """Raises DeckFileError where the rows that were read show that some of them were read wrongly."""
        self._checker.refuse_contradictions()

    def new_rows(self, start: str) -> Iterator[bytes]:
        """COPY text of rates whose key is new for certain, each begun with `start`; a piece of the file a step."""
        for piece in self._source.rows():
            yield from self._check(piece, start)
            self.read = piece.read

    def suspect_rows(self) -> Iterator[bytes]:
        """COPY text of the suspects: see storage/decks/deck_staging.SUSPECT_COLUMNS."""
        return _chunks(self._suspects)

    def closing_rows(self) -> Iterator[bytes]:
        """COPY text of the closings: see storage/decks/deck_delta.CLOSING_COLUMNS."""
        return _chunks(self._closings)

    def reject_repeats(self, repeats: Sequence[Contradiction], lines: Iterator[tuple[int, str]]) -> None:
        """Reject rows that contradict an earlier one, in the order of their lines.

        `lines` are `numbered_lines`, further on with each call.
        """
        for said in repeats:
            cells = self._source.cells(next(text for number, text in lines if number == said.line))
            try:
                codes, says = self._checker.check(cells)
            except RowRejected:  # rejected before, and blocked in vain: the code has a row that says what it is
                continue
            rates = 1 if isinstance(says, Closing) else len(says)
            self._rejects.add(said.line, cells, _repeat_reason(said, len(codes) * rates))

    def reject_vain(self, closings: Sequence[VainClosing], lines: Iterator[tuple[int, str]], base: int) -> None:
        """Reject rows that end what the version `base` does not have; as `reject_repeats`."""
        for said in closings:
            cells = self._source.cells(next(text for number, text in lines if number == said.line))
            others = f" and {said.codes - 1} more of its codes" if said.codes > 1 else ""
            reason = f"nothing to close: version {base} has no rate of {said.prefix}{others}"
            self._rejects.add(said.line, cells, reason)

    def numbered_lines(self) -> Iterator[tuple[int, str]]:
        """The lines below the header from the first on, read again."""
        for piece in self._source.rows():
            yield from enumerate(piece.lines, start=piece.first)

    def _check(self, piece: Piece, start: str) -> Iterator[bytes]:
        taken: list[str] = []
        suspects: list[str] = []
        rows = 0
        check, cells, seen = self._checker.check, self._source.cells, self._seen
        longest = self.longest_prefix
        for number, line in enumerate(piece.lines, start=piece.first):
            try:
                codes, says = check(cells(line))
            except RowRejected as problem:
                for prefix, text in self._reject(number, line, str(problem)):
                    longest = max(longest, len(prefix))
                    earlier = seen(prefix, number)
                    if earlier:
                        suspects.append(f"{number}\t{earlier}\t{prefix}\t{text}\n")
                    else:
                        taken.append(f"{start}{prefix}\t{text}\n")
                continue
            rows += 1
            if isinstance(says, Closing):
                self._close(number, codes, says)
                continue
            self.left_out += not says
            for prefix in codes:
                if len(prefix) > longest:
                    longest = len(prefix)
                for key, text in says:
                    earlier = seen(prefix + key, number)
                    if earlier:
                        suspects.append(f"{number}\t{earlier}\t{prefix}\t{text}\n")
                    else:
                        taken.append(f"{start}{prefix}\t{text}\n")
            if len(taken) + len(suspects) >= RATES_AT_ONCE:
                yield self._put(taken, suspects)
                taken, suspects = [], []
        self.longest_prefix = longest
        self.rows += rows
        if self.rows > MAX_ROWS:
            raise DeckFileError(
                f"has more than {MAX_ROWS:,} rows: line {piece.first + len(piece.lines) - 1:,} is beyond"
            )
        yield self._put(taken, suspects)

    def _close(self, number: int, codes: Sequence[str], says: Closing) -> None:
        rows = [f"{number}\t{prefix}\t{text}\n" for prefix in codes for text in says.texts]
        self.closings += len(rows)
        self._closings.write("".join(rows).encode())

    def _put(self, taken: list[str], suspects: list[str]) -> bytes:
        """Put the suspects aside; the others as COPY text."""
        self.suspects += len(suspects)
        self._rates += len(taken) + len(suspects)
        if self._rates > MAX_RATES:
            raise DeckFileError(f"its rows and ranges make more than {MAX_RATES:,} rates")
        self._suspects.write("".join(suspects).encode())
        return "".join(taken).encode()

    def _reject(self, number: int, line: str, reason: str) -> list[tuple[str, str]]:
        """Write a row to the rejects: its codes that are blocked instead, with their COPY text.

        Left out, a code would be called at the price of a shorter one.
        """
        blocked: list[tuple[str, str]] = []
        try:
            cells = self._source.cells(line)
        except RowRejected:
            cells = line.split(self._source.delimiter)
        if any(map(str.strip, cells)):  # spreadsheets leave empty rows, with or without delimiters
            if self._checker.is_another_header(cells):
                raise DeckFileError(f"line {number:,} is another header: keep one table in a file")
            if self._checker.says_nothing(cells):
                self.passed_over += 1
                return blocked
            self.rows += 1
            with contextlib.suppress(RowRejected):
                codes, text = self._checker.blocked_codes(cells)
                blocked = [(code, text) for code in codes]
            self.blocked += len(blocked)
            self._rejects.add(number, cells, f"{reason} (blocked until it is mended)" if blocked else reason)
        return blocked


def _suspect_all(key: str, line: int) -> int:
    return line


def _chunks(file: tempfile.SpooledTemporaryFile[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(SUSPECT_CHUNK):
        yield chunk


def _repeat_reason(said: Contradiction, rates: int) -> str:
    """Why a row of so many rates was not taken, or not all of it."""
    if rates == 1 and said.overlaps:
        return f"overlaps line {said.first_line}: one of them must end where the other begins"
    if rates == 1:
        return f"the prefix stands in line {said.first_line} already, with other terms"
    others = "" if said.codes == rates else "; its other codes were taken"
    return (
        f"{said.codes} of its {rates} codes stand in earlier lines with other terms,"
        f" such as {said.prefix} in line {said.first_line}{others}"
    )
