"""Lines of a text file that may be anybody's: none is held that is longer than a row can be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.limits import MAX_LINE_CHARACTERS


def numbered_lines(file: TextIO) -> Iterator[tuple[int, str]]:
    """The lines of a file from 1 on, without their ends. Raises DeckFileError for one that goes on and on."""
    number = 0
    while line := file.readline(MAX_LINE_CHARACTERS + 2):
        number += 1
        if len(line.rstrip("\r\n")) > MAX_LINE_CHARACTERS:
            raise DeckFileError(f"line {number} is longer than {MAX_LINE_CHARACTERS:,} characters")
        yield number, line.rstrip("\r\n")
