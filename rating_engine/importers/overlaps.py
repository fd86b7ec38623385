"""Several old rates of one prefix: which of them sells, and when.

The old systems try such rates in an order (by the buying price, as a rule) and sell by the first. Here a prefix has one
rate at a time; so a rate keeps the time that no rate tried before it has.

Law: at every instant and in every band, the rate that counts here is the first one there that is valid then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from rating_engine.importers.model import DeckRow
from rating_engine.importers.scratch import Record

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)
_END: Final = datetime.max.replace(tzinfo=UTC)

_Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An old rate as a row here, with the bands it counts in ('' alone: at any time) and the record it comes from."""

    row: DeckRow
    bands: tuple[str, ...]
    record: Record


def first_come(candidates: Iterable[Candidate]) -> Iterator[tuple[Candidate, list[DeckRow]]]:
    """Each candidate of one prefix, in the order they are tried, with the rows it becomes; none: it never sells."""
    ordered = list(candidates)
    every_band = {band for one in ordered for band in one.bands} | {""}
    taken: dict[tuple[str, str], list[_Span]] = {}
    for one in ordered:
        # beside a rate of some hours, one of all hours has to be spelled out: here the named band would always win
        bands = sorted(every_band) if one.bands == ("",) else one.bands
        rows = []
        for band in bands:
            spans = taken.setdefault((one.row.origin, band), [])
            for begins, ends in _left(_span(one.row), spans):
                rows.append(_limited(one.row, band, begins, ends))
                spans.append((begins, ends))
        yield one, rows


def _span(row: DeckRow) -> _Span:
    return row.effective_from or _BEGINNING, row.effective_to or _END


def _limited(row: DeckRow, band: str, begins: datetime, ends: datetime) -> DeckRow:
    starts, stops = None if begins == _BEGINNING else begins, None if ends == _END else ends
    return replace(row, band=band, effective_from=starts, effective_to=stops)


def _left(span: _Span, taken: list[_Span]) -> list[_Span]:
    """What is left of a span."""
    left = [span]
    for begins, ends in taken:
        left = [
            piece
            for first, last in left
            for piece in ((first, min(last, begins)), (max(first, ends), last))
            if piece[0] < piece[1]
        ]
    return left
