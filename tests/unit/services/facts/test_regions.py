"""Which numbers share an answer, and how many answers are kept."""

from __future__ import annotations

import pytest

from rating_engine.services.facts.regions import RegionMemory, region, regions_of, significant


@pytest.mark.parametrize(
    ("destination", "longest_prefix", "expected"),
    [
        ("79010000001", 4, "7901"),
        ("7901", 4, "7901"),
        ("790", 4, "790$"),
        ("", 4, "$"),
    ],
)
def test_an_answer_depends_on_as_many_digits_as_the_longest_prefix_and_on_an_earlier_end(
    destination: str, longest_prefix: int, expected: str
) -> None:
    assert significant(destination, longest_prefix) == expected


@pytest.mark.parametrize(
    ("number", "matched", "before", "after", "expected"),
    [
        pytest.param("7901", "7", "7", "8", "7", id="nothing else starts with the prefix"),
        pytest.param("7901", "7", "7", "795", "790", id="a longer prefix further on"),
        pytest.param("7901", "79", "789", "795", "790", id="longer prefixes on both sides"),
        pytest.param("7901", "7", "7899", "8", "79", id="the nearest prefix below is not the matched one"),
        pytest.param("7901", None, "33", "8", "7", id="no rate, and no prefix begins like it"),
        pytest.param("7901", None, "33", "7905", "7901", id="no rate, but a neighbour has one"),
        pytest.param("7901", None, None, None, "7", id="the only digit that matters in a deck without neighbours"),
        pytest.param("79$", "7", "7", "7905", "79$", id="a number that ends where longer prefixes go on"),
    ],
)
def test_a_region_ends_one_digit_after_the_last_that_another_prefix_shares(
    number: str, matched: str | None, before: str | None, after: str | None, expected: str
) -> None:
    assert region(number, matched, before, after) == expected


def test_a_number_may_be_in_the_region_of_any_of_its_beginnings() -> None:
    assert regions_of("790$") == ["7", "79", "790", "790$"]


def test_an_answer_serves_every_number_of_its_region_and_no_other() -> None:
    memory: RegionMemory[str] = RegionMemory(10)
    memory.keep("deck", "79", "Russia mobile")
    assert memory.find("deck", "7901") == "Russia mobile"
    assert memory.find("deck", "7801") is None
    assert memory.find("deck", "7$") is None
    assert memory.find("other deck", "7901") is None


def test_a_deck_whose_key_another_key_begins_with_does_not_answer_for_it() -> None:
    memory: RegionMemory[str] = RegionMemory(10)
    memory.keep("1.5", "79", "five")
    assert memory.find("1.57", "9") is None


def test_the_least_recently_used_answer_leaves_first() -> None:
    memory: RegionMemory[str] = RegionMemory(2)
    memory.keep("deck", "1", "one")
    memory.keep("deck", "2", "two")
    assert memory.find("deck", "1") == "one"
    memory.keep("deck", "3", "three")
    assert len(memory) == 2
    assert memory.find("deck", "2") is None
    assert memory.find("deck", "1") == "one"


def test_answers_that_weigh_more_leave_sooner() -> None:
    memory: RegionMemory[str] = RegionMemory(10, weigh=len)
    memory.keep("deck", "1", "four")
    memory.keep("deck", "1", "five5")
    memory.keep("deck", "2", "five5")
    assert (memory.find("deck", "1"), memory.find("deck", "2")) == ("five5", "five5")
    memory.keep("deck", "3", "sixsix")
    assert [memory.find("deck", number) for number in "123"] == [None, None, "sixsix"]


def test_an_answer_heavier_than_the_limit_is_not_kept() -> None:
    memory: RegionMemory[str] = RegionMemory(3, weigh=len)
    memory.keep("deck", "1", "1")
    memory.keep("deck", "2", "four")
    assert len(memory) == 0
    memory.keep("deck", "3", "333")
    assert memory.find("deck", "3") == "333"


def test_a_cleared_memory_has_no_answers() -> None:
    memory: RegionMemory[str] = RegionMemory(2)
    memory.keep("deck", "1", "one")
    memory.clear()
    assert memory.find("deck", "1") is None
