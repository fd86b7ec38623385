"""Where the header of a file stands: below whatever a carrier wrote above it, in one row or in two.

A header of two rows has cells that are merged: "Rate per minute (USD)" over "Peak", "Off-Peak" and "Weekend".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.layout import Layout, find_layout

HEADER_SEARCH_LINES: Final = 1_000  # carriers put their name, notices and conditions above the header

_BRACKETS: Final = str.maketrans("()[]", "    ")


def find_header(
    rows: Sequence[Sequence[str]], columns: Mapping[Column, str] | None, row: int | None
) -> tuple[int, Layout] | None:
    """The number of the header's last row, from 1, and its layout; None where no row is one.

    `columns`, `row`: of a profile, the names to go by and the row where it begins. Raises DeckFileError.
    """
    for at in range(len(rows)) if row is None else [row - 1] * (row <= len(rows)):
        if (found := header_at(rows, at, columns)) is not None:
            return at + found[0], found[1]
    return None


def header_at(
    rows: Sequence[Sequence[str]], at: int, columns: Mapping[Column, str] | None
) -> tuple[int, Layout] | None:
    """How many rows the header has that begins at `at`, and its layout; None where none does."""
    layout = find_layout(rows[at], columns)
    if at + 1 < len(rows) and _are_names(rows[at], rows[at + 1]):
        joined = find_layout(list(_joined(rows[at], rows[at + 1])), columns)
        if joined is not None and (layout is None or len(joined.positions) > len(layout.positions)):
            return 2, joined
    return None if layout is None else (1, layout)


def _are_names(above: Sequence[str], below: Sequence[str]) -> bool:
    """Whether two rows can be one header: words below some names, and nothing below others."""
    if len(below) < len(above):
        below = [*below, *[""] * (len(above) - len(below))]
    said = [cell.strip() for cell in below if cell.strip()]
    are_words = bool(said) and all(any(map(str.isalpha, cell)) for cell in said)
    return are_words and any(cell.strip() and not under.strip() for cell, under in zip(above, below, strict=False))


def _joined(above: Sequence[str], below: Sequence[str]) -> Iterator[str]:
    """The names of both rows; a name above counts for the columns right of it that have one below alone."""
    width = max(len(above), len(below))
    over = ""
    for at in range(width):
        top = above[at].strip() if at < len(above) else ""
        under = below[at].strip() if at < len(below) else ""
        over = top or (over if under else "")
        yield f"{under} ({over.translate(_BRACKETS)})" if under and over else under or top
