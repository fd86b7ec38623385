"""rating.matching: which row of a deck prices a call."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, CandidateRate, choose, needed
from rating_engine.rating.rate import Rate

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR, MICROSECOND = timedelta(hours=1), timedelta(microseconds=1)


def row(prefix: str = "79", **conditions: object) -> CandidateRate:
    plain = CandidateRate(prefix, "", "", EVER_SINCE, FOR_EVER, "", False, Rate(price_1="0.1"))
    return replace(plain, **conditions)  # type: ignore[arg-type]


def chosen(*rows: CandidateRate, at: datetime = NOON, origin: str = "", band: str = "") -> CandidateRate | None:
    found = choose(rows, at=at, origin=origin, band=band)
    assert found == choose(reversed(rows), at=at, origin=origin, band=band)
    return found


def test_a_row_counts_from_its_first_instant_to_just_before_its_last() -> None:
    june = row(effective_from=NOON, effective_to=NOON + HOUR)
    assert [chosen(june, at=NOON + shift) for shift in (-MICROSECOND, 0 * HOUR, HOUR - MICROSECOND, HOUR)] == [
        None, june, june, None,
    ]  # fmt: skip


def test_where_one_row_ends_and_the_next_begins_every_instant_has_exactly_one() -> None:
    before, after = row(effective_to=NOON), row(effective_from=NOON)
    assert chosen(before, after, at=NOON - MICROSECOND) == before
    assert chosen(before, after, at=NOON) == after


def test_instants_of_other_time_zones_are_the_same_instants() -> None:
    east = timezone(14 * HOUR)
    assert chosen(row(), at=NOON.astimezone(east)) == row()
    assert chosen(row(effective_from=NOON), at=NOON.astimezone(east) - MICROSECOND) is None


def test_the_row_of_the_longest_origin_the_caller_begins_with_counts() -> None:
    anybody, german, berlin = row(), row(origin="49"), row(origin="4930")
    rows = (anybody, german, berlin)
    callers = ("493012", "4989", "33", "")
    assert [chosen(*rows, origin=caller) for caller in callers] == [berlin, german, anybody, anybody]


def test_the_band_itself_counts_before_a_row_of_any_time() -> None:
    always, night = row(), row(band="night")
    assert [chosen(always, night, band=band) for band in ("night", "day", "")] == [night, always, always]


def test_the_origin_counts_before_the_band() -> None:
    german, night = row(origin="49"), row(band="night")
    assert chosen(german, night, origin="4930", band="night") == german


def test_a_longer_prefix_counts_before_every_condition_if_it_counts_at_all() -> None:
    longer, best = row("790", effective_to=NOON), row("79", origin="49", band="night")
    how = {"origin": "4930", "band": "night"}
    assert chosen(longer, best, at=NOON - MICROSECOND, **how) == longer
    assert chosen(longer, best, at=NOON, **how) == best


def test_of_rows_that_overlap_in_time_the_one_that_came_into_effect_last_counts() -> None:
    always, newer = row(), row(effective_from=NOON)
    assert chosen(always, newer, at=NOON) == newer
    assert chosen(always, newer, at=NOON - MICROSECOND) == always


def test_a_blocked_row_that_wins_is_the_answer() -> None:
    blocked = row("790", blocked=True, rate=None)
    assert chosen(row("79"), blocked) == blocked


@pytest.mark.parametrize(
    "condition",
    [{"origin": "4"}, {"band": "night"}, {"effective_from": NOON}, {"effective_to": NOON}],
    ids=lambda condition: next(iter(condition)),
)
def test_only_a_row_without_any_condition_hides_shorter_prefixes(condition: dict[str, object]) -> None:
    shorter, conditional, plain = row("7"), row("79", **condition), row("79")
    assert not conditional.is_unconditional
    assert needed([shorter, conditional]) == (conditional, shorter)
    assert needed([shorter, conditional, plain]) == (conditional, plain)


def test_of_no_rows_none_is_needed_and_none_chosen() -> None:
    assert needed([]) == ()
    assert chosen() is None
