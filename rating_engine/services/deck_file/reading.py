"""The rows of a deck file on their way to PostgreSQL: checked, the bad ones set apart, the suspects put aside."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import Final

from rating_engine.services.deck_file.errors import RowRejected
from rating_engine.services.deck_file.rejects import RejectedRows
from rating_engine.services.deck_file.repeats import SeenPrefixes
from rating_engine.services.deck_file.rows import RowChecker
from rating_engine.services.deck_file.source import DeckSource, Piece

SUSPECTS_IN_MEMORY: Final = 8 * 1024 * 1024  # bytes; more of them wait in a temporary file
SUSPECT_CHUNK: Final = 64 * 1024


class DeckReading:
    """One pass over a file. `prefix_rows` first, then what was found on the way."""

    def __init__(self, source: DeckSource, checker: RowChecker, rejects: RejectedRows) -> None:
        self.size = source.size
        self.read = 0
        self.rows = 0
        self.longest_prefix = 0
        self.suspects = 0
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
            yield self._check(piece, start)
            self.read = piece.read

    def suspect_rows(self) -> Iterator[bytes]:
        """COPY text of the suspects: line, line in the slot, prefix, terms."""
        self._suspects.seek(0)
        while chunk := self._suspects.read(SUSPECT_CHUNK):
            yield chunk

    def reject_repeats(self, repeats: Sequence[tuple[int, int]], lines: Iterator[tuple[int, str]]) -> None:
        """Reject rows that contradict an earlier one: (line, line of the earlier one), in order.

        `lines` are `numbered_lines`, further on with each call.
        """
        for line, first_line in repeats:
            text = next(text for number, text in lines if number == line)
            reason = f"the prefix stands in line {first_line} already, with other terms"
            self._rejects.add(line, self._source.cells(text), reason)

    def numbered_lines(self) -> Iterator[tuple[int, str]]:
        """The lines below the header from the first on, read again."""
        for piece in self._source.rows():
            yield from enumerate(piece.lines, start=piece.first)

    def _check(self, piece: Piece, start: str) -> bytes:
        taken: list[str] = []
        suspects: list[str] = []
        check, cells, seen = self._checker.check, self._source.cells, self._seen.line_of
        longest = self.longest_prefix
        for number, line in enumerate(piece.lines, start=piece.first):
            try:
                prefix, terms = check(cells(line))
            except RowRejected as problem:
                self._reject(number, line, str(problem))
                continue
            if len(prefix) > longest:
                longest = len(prefix)
            earlier = seen(prefix, number)
            if earlier:
                suspects.append(f"{number}\t{earlier}\t{prefix}\t{terms}\n")
            else:
                taken.append(f"{start}{prefix}\t{terms}\n")
        self.longest_prefix = longest
        self.rows += len(taken) + len(suspects)
        self.suspects += len(suspects)
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
