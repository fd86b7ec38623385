"""Law: within a region every number has the same longest match, and the region is as wide as that allows."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import assume, given
from hypothesis import strategies as st

from rating_engine.services.facts.regions import region, significant

DIGITS = "0123"  # few digits, so that prefixes meet often
PREFIXES = st.sets(st.text(DIGITS, min_size=1, max_size=5), min_size=1, max_size=25)
NUMBERS = st.text(DIGITS, min_size=1, max_size=8)


def longest_match(prefixes: set[str], number: str) -> str | None:
    return max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default=None)


def region_in(prefixes: set[str], number: str) -> str:
    """The region as the engine finds it: from the longest match and the two neighbours in text order."""
    longest = max(map(len, prefixes))
    ordered = sorted(prefixes)
    place = bisect_right(ordered, number[:longest])
    before = ordered[place - 1] if place else None
    after = ordered[place] if place < len(ordered) else None
    return region(significant(number, longest), longest_match(prefixes, number), before, after)


@given(PREFIXES, NUMBERS, NUMBERS)
def test_every_number_of_a_region_has_the_same_longest_match(prefixes: set[str], number: str, other: str) -> None:
    longest = max(map(len, prefixes))
    assume(significant(other, longest).startswith(region_in(prefixes, number)))
    assert longest_match(prefixes, other) == longest_match(prefixes, number)


@given(PREFIXES, NUMBERS, st.text(DIGITS, max_size=6))
def test_whatever_digits_follow_a_region_the_match_stays(prefixes: set[str], number: str, rest: str) -> None:
    found = region_in(prefixes, number)
    assume(not found.endswith("$"))
    assert longest_match(prefixes, found + rest) == longest_match(prefixes, number)


@given(PREFIXES, NUMBERS)
def test_a_region_cannot_be_wider(prefixes: set[str], number: str) -> None:
    found = region_in(prefixes, number)
    assume(len(found) > 1)
    wider = found[:-1]
    answers = {longest_match(prefixes, number)} | {
        longest_match(prefixes, longer)
        for longer in ({wider} | {prefix for prefix in prefixes if prefix.startswith(wider)})
    }
    assert len(answers) > 1
