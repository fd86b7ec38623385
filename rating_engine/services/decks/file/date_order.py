"""The order of day and month in a file: one for all of it, taken from the dates in which only one can be meant.

Law: a file with dates of both orders is refused, for one of them is wrong in every date that could be either.
"""

from __future__ import annotations

import contextlib
from typing import Final

from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.dates import DateOrder, order_shown
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.source import DeckSource

REMEMBERED: Final = 10_000  # distinct texts that are not looked at again

_DATES: Final = (Column.EFFECTIVE_FROM, Column.EFFECTIVE_TO)


def date_order_of(source: DeckSource) -> DateOrder | None:
    """The order that a file shows, by one pass over it where it has dates; None where it shows none.

    Raises DeckFileError where it shows both.
    """
    at = [source.layout.positions[column] for column in _DATES if column in source.layout.positions]
    shown: dict[DateOrder, tuple[int, str]] = {}
    seen: set[str] = set()
    for piece in source.rows() if at else ():
        for number, line in enumerate(piece.lines, start=piece.first):
            with contextlib.suppress(RowRejected, IndexError):
                cells = source.cells(line)
                for text in [cells[position] for position in at]:
                    if text not in seen and (order := order_shown(text)) is not None:
                        shown.setdefault(order, (number, text.strip()))
                    if len(seen) < REMEMBERED:
                        seen.add(text)
    if len(shown) > 1:
        told = " and ".join(f"{text} in line {number}" for number, text in shown.values())
        raise DeckFileError(f"its dates have no one order of day and month ({told}): say which with --date-order")
    return next(iter(shown), None)
