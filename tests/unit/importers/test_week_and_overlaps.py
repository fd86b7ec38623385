"""Windows of the week and rates that overlap, by brute force: what counts here at an instant is what counted there."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rating_engine.importers.model import DeckRow
from rating_engine.importers.overlaps import Candidate, first_come
from rating_engine.importers.week import WEEK, bands_of
from rating_engine.rating.rate import Rate
from rating_engine.rating.schedule import Schedule

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)

spans = st.tuples(st.integers(0, WEEK - 1), st.integers(1, WEEK)).filter(lambda span: span[0] < span[1])


@settings(max_examples=100)
@given(st.lists(spans, max_size=5), st.lists(st.integers(0, WEEK - 1), min_size=1, max_size=20))
def test_a_rate_counts_at_a_minute_exactly_if_its_window_holds_it(windows, minutes):
    made, bands = bands_of(windows)
    schedule = Schedule(windows=made)
    edges = [minute for begins, ends in windows for minute in (begins, ends - 1, ends % WEEK)]

    for minute in [*minutes, *edges]:
        band = schedule.band_at(MONDAY + timedelta(minutes=minute, seconds=59))
        for span in windows:
            counts = bands[span] == ("",) or band in bands[span]
            assert counts == (span[0] <= minute < span[1])


DAYS = [None, *(datetime(2027, 1, day, tzinfo=UTC) for day in (1, 2, 3, 4))]
BANDS = [("",), ("a",), ("b",), ("a", "b")]


@st.composite
def candidates(draw: Any) -> list[Candidate]:
    found = []
    for number in range(draw(st.integers(1, 5))):
        begins, ends = draw(st.sampled_from(DAYS)), draw(st.sampled_from(DAYS))
        if begins is not None and ends is not None and begins >= ends:
            begins = None
        row = DeckRow("49", "", Rate(price_1=number), effective_from=begins, effective_to=ends)
        found.append(Candidate(row, draw(st.sampled_from(BANDS)), None))  # type: ignore[arg-type]  # not looked at
    return found


def holds(row: DeckRow, at: datetime) -> bool:
    return (row.effective_from is None or row.effective_from <= at) and (
        row.effective_to is None or at < row.effective_to
    )


@settings(max_examples=200)
@given(candidates())
def test_the_rate_that_counts_is_the_first_that_is_valid(tried):
    rows = [row for _, made in first_come(tried) for row in made]

    for day in range(-1, 6):
        at = datetime(2027, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
        for band in ("a", "b", ""):
            valid = [one.row for one in tried if holds(one.row, at) and (one.bands == ("",) or band in one.bands)]
            here = [row for row in rows if holds(row, at)]
            # as a look-up chooses: the exact band before any time
            chosen = [row for row in here if row.band == band] or [row for row in here if row.band == ""]
            assert len(chosen) <= 1
            assert [row.rate for row in chosen] == [row.rate for row in valid[:1]]


def test_rows_of_a_prefix_never_share_their_key():
    always = Candidate(DeckRow("49", "", Rate(price_1=1)), ("",), None)  # type: ignore[arg-type]
    banded = Candidate(replace(always.row, rate=Rate(price_1=2)), ("a",), None)  # type: ignore[arg-type]

    rows = [row for _, made in first_come([banded, always]) for row in made]

    assert sorted((row.band, row.rate.price_1) for row in rows) == [("", 1), ("a", 2)]
