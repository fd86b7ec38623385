"""Windows of the week, as A2Billing has them at each rate, made into the bands of a tariff.

An instant is in one band of a tariff, but may be in the windows of several rates. So the week is cut where any window
begins or ends; stretches that are in the same windows are one band, and a rate counts in every band of its window.

Law: a rate counts at a minute in its bands exactly if its window holds that minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

from rating_engine.rating.schedule import MINUTES_PER_DAY, Window

WEEK: Final = 7 * MINUTES_PER_DAY
ALL_WEEK: Final = (0, WEEK)

Span = tuple[int, int]  # minutes of the week from Monday 00:00, half-open


def bands_of(spans: Iterable[Span]) -> tuple[tuple[Window, ...], Mapping[Span, tuple[str, ...]]]:
    """The windows of the tariff in order, and the bands of each span. The whole week has the band '', any time."""
    partial = sorted({span for span in spans if span != ALL_WEEK})
    edges = sorted({0, WEEK}.union(*partial))
    names: dict[tuple[Span, ...], str] = {}
    stretches: list[tuple[str, int, int]] = []
    for begins, ends in pairwise(edges):
        within = tuple(span for span in partial if span[0] <= begins and ends <= span[1])
        if within:
            band = names.setdefault(within, f"time-{len(names) + 1}")
            stretches.append((band, begins, ends))
    of_span = {span: tuple(band for within, band in names.items() if span in within) for span in partial}
    return _windows(stretches), {ALL_WEEK: ("",), **of_span}


def _windows(stretches: Iterable[tuple[str, int, int]]) -> tuple[Window, ...]:
    """A stretch cut at midnight; equal pieces of several days are one window."""
    days: dict[tuple[str, int, int], set[int]] = {}
    for band, begins, ends in stretches:
        while begins < ends:
            day, starts = divmod(begins, MINUTES_PER_DAY)
            until = min(ends, (day + 1) * MINUTES_PER_DAY)
            days.setdefault((band, starts, until - day * MINUTES_PER_DAY), set()).add(day + 1)
            begins = until
    return tuple(Window(band, frozenset(on), starts, ends) for (band, starts, ends), on in days.items())
