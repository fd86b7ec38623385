"""The prefixes of a row, written out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.services.decks.file.codes import MAX_CODES_IN_ROW, CodeReader, Dash
from rating_engine.services.decks.file.errors import RowRejected
from rating_engine.services.decks.file.notes import Notes


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
        pytest.param("34-91", ["3491"], id="a country code and an area code"),
        pytest.param("+355-422", ["355422"], id="of the same width"),
        pytest.param("7-7", ["77"], id="of the same digits"),
        pytest.param("1-242", ["1242"], id="of other widths"),
        pytest.param("1-242-357", ["1242357"], id="in three parts"),
        pytest.param("234-802,803, 8050", ["234802", "234803", "2348050"], id="areas after the first leave it out"),
        pytest.param("234-802, 234803", ["234802", "234803"], id="or repeat it"),
        pytest.param("9370, 71, 72", ["9370", "9371", "9372"], id="a list whose later codes are shortened"),
        pytest.param("44, 4420", ["44", "4420"], id="a longer code is whole"),
        pytest.param("0044, 01149", ["44", "49"], id="what callers dial before a country code"),
        pytest.param("'7901", ["7901"], id="a spreadsheet's mark of text"),
    ],
)
def test_a_cell_says_its_codes_in_every_usual_way(cell: str, expected: list[str]) -> None:
    assert list(CodeReader().whole(cell, "Code")) == expected


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
        ("7902,01", "seems to shorten codes"),
        ("1242, 1", "seems to shorten codes"),
        ("393, 39", "seems to shorten codes"),
        ("3933, 39", "seems to shorten codes"),
        ("44-45", "may be a range or a country code and an area code"),
        ("380-389", "may be a range or a country code and an area code"),
        ("3491-4989", "are not of one country"),
        ("3491-3989", "are not of one country"),
        ("34..91", "are not of one country"),
        ("044", "begins with 0"),
        ("00", "begins with 0"),
        ("000", "begins with 0"),
        ("0098-0102", "begins with 0"),
        ("70000-79999999", "not the same number"),
        ("740000-759999", f"more than {MAX_CODES_IN_ROW} codes"),
        ("70000-79999,80000", f"says more than {MAX_CODES_IN_ROW} codes"),
        ("1" * 33, "more than 32 digits"),
        ("1" * 33 + "-" + "1" * 33, "more than 32 digits"),
        ("٧٩,79", "not a prefix of digits"),
    ],
)
def test_what_could_be_read_in_two_ways_or_is_too_much_is_rejected(cell: str, reason: str) -> None:
    with pytest.raises(RowRejected, match=reason):
        CodeReader().whole(cell, "Code")


def test_a_country_code_and_area_code_together_keep_to_the_length_of_a_number() -> None:
    with pytest.raises(RowRejected, match="Area: has more than 32 digits"):
        CodeReader().joined("7", "1" * 32, "Country", "Area")


@given(st.integers(0, 10**9), st.integers(0, 50))
def test_a_range_is_every_code_from_its_first_to_its_last(first: int, more: int) -> None:
    width = len(str(first + more))
    codes = CodeReader().whole(f"7901{first:0{width}}-7901{first + more:0{width}}", "Code")
    assert [int(code[4:]) for code in codes] == list(range(first, first + more + 1))
    assert {len(code) for code in codes} == {4 + width}


@pytest.mark.parametrize(("dash", "codes"), [(Dash.RANGE, ("44", "45")), (Dash.AREA, ("4445",))])
def test_a_profile_says_what_a_dash_is_that_could_be_either(dash: Dash, codes: tuple[str, ...]) -> None:
    assert CodeReader(dash).whole("44-45", "Code") == codes


@pytest.mark.parametrize(
    ("country", "areas", "codes"),
    [
        ("44", "020, 0161", ("4420", "44161")),
        ("0044", "20", ("4420",)),
        ("39", "06", ("3906",)),
        ("225", "07-08", ("22507", "22508")),
        ("1", "201-299", tuple(f"1{area}" for area in range(201, 300))),
    ],
)
def test_an_area_loses_its_trunk_zero_where_the_country_has_one(
    country: str, areas: str, codes: tuple[str, ...]
) -> None:
    assert CodeReader().joined(country, areas, "Country", "Area") == codes


@pytest.mark.parametrize("area", ["0", "00"])
def test_an_area_of_zeros_alone_is_refused(area: str) -> None:
    with pytest.raises(RowRejected, match="is no area code"):
        CodeReader().joined("44", area, "Country", "Area")


def test_what_was_read_otherwise_than_it_stands_there_is_said() -> None:
    notes = Notes()
    reader = CodeReader(digits_before="1", notes=notes)
    for cell in ("0044", "1201", "201", "9370, 71"):
        reader.whole(cell, "Code")
    assert list(notes) == [
        ("international prefixes were dropped", 1, "0044 is 44"),
        ("1 was put before codes", 4, "44 is 144"),
        ("shortened codes were completed", 1, "71 after 9370 is 9371"),
    ]


@given(st.text(alphabet="0123456789-,; +", max_size=12))
def test_a_code_is_digits_whatever_the_cell_says(cell: str) -> None:
    try:
        codes = CodeReader().whole(cell, "Code")
    except RowRejected:
        return
    assert codes
    assert all(code.isdigit() for code in codes)
    assert len(set(codes)) == len(codes)
