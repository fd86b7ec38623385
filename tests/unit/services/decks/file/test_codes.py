"""The prefixes of a row, written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.services.decks.file.codes import MAX_CODES_IN_ROW, joined_codes, whole_codes
from rating_engine.services.decks.file.errors import RowRejected


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        pytest.param(" +79 ", ["79"], id="one"),
        pytest.param("7901, 7902; 7905", ["7901", "7902", "7905"], id="a list"),
        pytest.param("7901\n7902\n", ["7901", "7902"], id="a list in lines"),
        pytest.param("7901-7903", ["7901", "7902", "7903"], id="a range"),
        pytest.param("7901 – 7903", ["7901", "7902", "7903"], id="a range with a dash of typesetters"),
        pytest.param("7901, 7903-7904;", ["7901", "7903", "7904"], id="a list with a range"),
        pytest.param("7901,7901-7902", ["7901", "7902"], id="a code twice is once"),
        pytest.param("0098-0102", ["0098", "0099", "0100", "0101", "0102"], id="zeros in front stay"),
        pytest.param("'7901", ["7901"], id="a spreadsheet's mark of text"),
    ],
)
def test_a_cell_says_its_codes_in_every_usual_way(cell: str, expected: list[str]) -> None:
    assert list(whole_codes(cell, "Code")) == expected


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("", "Code: is empty"),
        (" ,; ", "Code: is empty"),
        ("7901 7902", "'7901 7902' is not a prefix of digits"),
        ("7901/02", "not a prefix of digits"),
        ("7901-7905-7909", "not a prefix of digits"),
        ("7901-09", "the ends of the range '7901-09' have not the same number of digits"),
        ("7909-7901", "the range '7909-7901' ends before it begins"),
        ("7901,02", "seems to shorten codes"),
        ("70000-80000", f"more than {MAX_CODES_IN_ROW} codes"),
        ("70000-79999,1", f"says more than {MAX_CODES_IN_ROW} codes"),
        ("1" * 33, "more than 32 digits"),
        ("1" * 33 + "-" + "1" * 33, "more than 32 digits"),
        ("٧٩,79", "not a prefix of digits"),
    ],
)
def test_what_could_be_read_in_two_ways_or_is_too_much_is_rejected(cell: str, reason: str) -> None:
    with pytest.raises(RowRejected, match=reason):
        whole_codes(cell, "Code")


def test_a_country_code_and_area_code_together_keep_to_the_length_of_a_number() -> None:
    with pytest.raises(RowRejected, match="Area: has more than 32 digits"):
        joined_codes("7", "1" * 32, "Country", "Area")


@given(st.integers(0, 10**9), st.integers(0, 50))
def test_a_range_is_every_code_from_its_first_to_its_last(first: int, more: int) -> None:
    width = len(str(first + more))
    codes = whole_codes(f"{first:0{width}}-{first + more:0{width}}", "Code")
    assert [int(code) for code in codes] == list(range(first, first + more + 1))
    assert {len(code) for code in codes} == {width}


@given(st.text(alphabet="0123456789-,; +", max_size=12))
def test_a_code_is_digits_whatever_the_cell_says(cell: str) -> None:
    try:
        codes = whole_codes(cell, "Code")
    except RowRejected:
        return
    assert codes
    assert all(code.isdigit() for code in codes)
    assert len(set(codes)) == len(codes)
