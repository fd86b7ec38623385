"""FILE.rejected.csv: every row that was not taken, as it was, with its line and the reason.

Law: after an import the file is there exactly if rows were rejected, and lists those of that import.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.layout import REJECTED_LINE, REJECTED_REASON
from rating_engine.services.decks.file.source import DeckSource


class RejectedRows:
    """Writes the file beside the deck, from the first rejected row on; removes an earlier import's at the start."""

    def __init__(self, source: DeckSource) -> None:
        self.path = rejected_path(source.path)
        self.count = 0
        self._source = source
        self._width = len(source.layout.header)
        self._file: TextIO | None = None
        self._writer: Any = None

    def __enter__(self) -> Self:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, line: int, cells: Sequence[str], reason: str) -> None:
        """Write one row. Raises DeckFileError when the file cannot be written: rejects must not be lost."""
        try:
            if self._writer is None:
                self._open()
            kept = [*cells[: self._width], *[""] * (self._width - len(cells))]
            self._writer.writerow([*kept, line, reason, *cells[self._width :]])
        except OSError as error:
            raise self._unwritable(error) from error
        self.count += 1

    def _open(self) -> None:
        # With a byte order mark: without one, Excel reads UTF-8 as something else.
        self._file = self.path.open("w", encoding="utf-8-sig", newline="")
        self._writer = csv.writer(self._file, delimiter=self._source.delimiter)
        self._writer.writerow([*self._source.layout.header, REJECTED_LINE, REJECTED_REASON])

    def _unwritable(self, error: OSError) -> DeckFileError:
        return DeckFileError(f"cannot write {self.path}: {error.strerror or error}")


def rejected_path(deck: Path) -> Path:
    """Where the rejected rows of a deck go: deck.csv has them in deck.rejected.csv."""
    return deck.with_suffix(".rejected.csv")
