"""The rows of a deck file on their way to PostgreSQL: checked, the bad ones set apart, the suspects put aside."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rating_engine.services.deck_file.errors import DeckFileError, RowRejected
from rating_engine.services.deck_file.rejects import RejectedRows
from rating_engine.services.deck_file.repeats import SeenPrefixes
from rating_engine.services.deck_file.rows import RowChecker
from rating_engine.services.deck_file.source import DeckSource, Piece

SUSPECTS_IN_MEMORY: Final = 8 * 1024 * 1024  # bytes; more of them wait in a temporary file
SUSPECT_CHUNK: Final = 64 * 1024
RATES_AT_ONCE: Final = 20_000  # made of rows with many codes before they go to PostgreSQL: some megabytes
MAX_RATES: Final = 20_000_000  # in one deck, twenty times the size it is measured with: ranges can make any number


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A row of which `codes` prefixes have other terms in earlier rows: the first is `prefix`, in `first_line`."""

    line: int
    codes: int
    prefix: str
    first_line: int


class DeckReading:
    """One pass over a file. `prefix_rows` first, then what was found on the way."""

    def __init__(self, source: DeckSource, checker: RowChecker, rejects: RejectedRows) -> None:
        self.size = source.size
        self.read = 0
        self.rows = 0
        self.longest_prefix = 0
        self.suspects = 0
        self._rates = 0
        self._source = source
        self._checker = checker
        self._rejects = rejects
        self._seen = SeenPrefixes(source.size)
        self._suspects = tempfile.SpooledTemporaryFile(SUSPECTS_IN_MEMORY)  # noqa: SIM115  # closed by `close`

    def close(self) -> None:
        """Give up the temporary file."""
        self._suspects.close()

    def prefix_rows(self, start: str) -> Iterator[bytes]:
        """COPY text of rows whose prefix is new for certain, each begun with `start`; a piece of the file a step."""
        for piece in self._source.rows():
            yield from self._check(piece, start)
            self.read = piece.read

    def suspect_rows(self) -> Iterator[bytes]:
        """COPY text of the suspects: line, line in the slot, prefix, terms."""
        self._suspects.seek(0)
        while chunk := self._suspects.read(SUSPECT_CHUNK):
            yield chunk

    def reject_repeats(self, repeats: Sequence[Contradiction], lines: Iterator[tuple[int, str]]) -> None:
        """Reject rows that contradict an earlier one, in the order of their lines.

        `lines` are `numbered_lines`, further on with each call.
        """
        for said in repeats:
            cells = self._source.cells(next(text for number, text in lines if number == said.line))
            codes = len(self._checker.check(cells)[0])
            self._rejects.add(said.line, cells, _repeat_reason(said, codes))

    def numbered_lines(self) -> Iterator[tuple[int, str]]:
        """The lines below the header from the first on, read again."""
        for piece in self._source.rows():
            yield from enumerate(piece.lines, start=piece.first)

    def _check(self, piece: Piece, start: str) -> Iterator[bytes]:
        taken: list[str] = []
        suspects: list[str] = []
        rows = 0
        check, cells, seen = self._checker.check, self._source.cells, self._seen.line_of
        longest = self.longest_prefix
        for number, line in enumerate(piece.lines, start=piece.first):
            try:
                codes, terms = check(cells(line))
            except RowRejected as problem:
                self._reject(number, line, str(problem))
                continue
            rows += 1
            for prefix in codes:
                if len(prefix) > longest:
                    longest = len(prefix)
                earlier = seen(prefix, number)
                if earlier:
                    suspects.append(f"{number}\t{earlier}\t{prefix}\t{terms}\n")
                else:
                    taken.append(f"{start}{prefix}\t{terms}\n")
            if len(taken) + len(suspects) >= RATES_AT_ONCE:
                yield self._put(taken, suspects)
                taken, suspects = [], []
        self.longest_prefix = longest
        self.rows += rows
        yield self._put(taken, suspects)

    def _put(self, taken: list[str], suspects: list[str]) -> bytes:
        """Put the suspects aside; the others as COPY text."""
        self.suspects += len(suspects)
        self._rates += len(taken) + len(suspects)
        if self._rates > MAX_RATES:
            raise DeckFileError(f"its rows and ranges make more than {MAX_RATES:,} rates")
        self._suspects.write("".join(suspects).encode())
        return "".join(taken).encode()

    def _reject(self, number: int, line: str, reason: str) -> None:
        try:
            cells = self._source.cells(line)
        except RowRejected:
            cells = line.split(self._source.delimiter)
        if any(map(str.strip, cells)):  # spreadsheets leave empty rows, with or without delimiters
            self.rows += 1
            self._rejects.add(number, cells, reason)


def _repeat_reason(said: Contradiction, codes: int) -> str:
    """Why a row with this many codes was not taken, or not all of it."""
    if codes == 1:
        return f"the prefix stands in line {said.first_line} already, with other terms"
    others = "" if said.codes == codes else "; its other codes were taken"
    return (
        f"{said.codes} of its {codes} codes stand in earlier lines with other terms,"
        f" such as {said.prefix} in line {said.first_line}{others}"
    )
