"""For which calls the rates of a row count: dates, callers, times of day, closed rows; and their rarer terms."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.file.dates import zone_of
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.layout import find_layout
from rating_engine.services.decks.file.rows import Closing, RowChecker, Says
from rating_engine.services.decks.file.terms import DeckTerms
from rating_engine.storage.decks.deck_columns import ROW

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def says(header: str, row: str, *, delta: bool = False, zone: str = "Europe/Berlin") -> Says:
    """What a row says at noon of 26 November 2026."""
    layout = find_layout(header.split(";"))
    assert layout is not None
    terms = DeckTerms("EUR", PriceUnit.MINUTE, True, zone_of(zone), NOW, delta)
    return RowChecker(layout, terms).check(row.split(";"))[1]


def rates(header: str, row: str, **how: str) -> list[dict[str, str]]:
    """The rates of a row by column, but the prefix."""
    found = says(header, row, **how)  # type: ignore[arg-type]  # only the zone
    assert isinstance(found, tuple)
    return [dict(zip(ROW[1:], text.split("\t"), strict=True)) for _, text in found]


def closings(header: str, row: str) -> list[tuple[str, ...]]:
    """Origin, band and time of the closings of a row of a delta."""
    found = says(header, row, delta=True)
    assert isinstance(found, Closing)
    return [tuple(text.split("\t")) for text in found.texts]


DATED = "prefix;price;effective date;valid to"


@pytest.mark.parametrize(
    ("row", "window"),
    [
        ("79;1;;", ("-infinity", "infinity")),
        ("79;1;30.11.2026;", ("2026-11-29T23:00:00+00:00", "infinity")),
        ("79;1;;2026-12-01", ("-infinity", "2026-11-30T23:00:00+00:00")),
        ("79;1;2026-11-30 08:00;12/31/2026", ("2026-11-30T07:00:00+00:00", "2026-12-30T23:00:00+00:00")),
        ("79;1;01.01.2020;", ("2019-12-31T23:00:00+00:00", "infinity")),
    ],
)
def test_dates_are_half_open_and_of_the_time_zone(row: str, window: tuple[str, str]) -> None:
    (rate,) = rates(DATED, row)
    assert (rate["effective_from"], rate["effective_to"]) == window


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("79;1;05/06/2026;", "^effective date: '05/06/2026' may be two days"),
        ("79;1;;whenever", "^valid to: 'whenever' is not a date"),
        ("79;1;2026-12-01;2026-12-01", "^valid to: the rate ends before it begins"),
    ],
)
def test_dates_that_cannot_be_used_reject_their_row(row: str, reason: str) -> None:
    with pytest.raises(RowRejected, match=reason):
        says(DATED, row)


@pytest.mark.parametrize(
    ("cell", "band"),
    [
        *[(cell, "peak") for cell in ("peak", "Peak", " PEAK ")],
        *[(cell, "off-peak") for cell in ("Off-Peak", "off peak", "OffPeak", "off_peak")],
        *[(cell, "") for cell in ("", "any", "All", "24/7", "all day", "flat")],
        ("Sunday night", "sunday-night"),
    ],
)
def test_a_band_is_known_however_it_is_written(cell: str, band: str) -> None:
    (rate,) = rates("prefix;price;time class", f"79;1;{cell}")
    assert rate["band"] == band


@pytest.mark.parametrize("cell", ["8-20", "peak!", "x" * 33, "пик"])
def test_what_is_no_name_of_a_band_rejects_its_row(cell: str) -> None:
    with pytest.raises(RowRejected, match=r"^time class: .* is no name of a band"):
        says("prefix;price;time class", f"79;1;{cell}")


BANDED = "prefix;rate;peak rate;off-peak rate;weekend rate;status"


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("79;;0,3;0.2;0.1;", [("peak", "0.3", "f"), ("off-peak", "0.2", "f"), ("weekend", "0.1", "f")]),
        ("79;0.4;0.3;;n/a;", [("", "0.4", "f"), ("peak", "0.3", "f")]),
        ("79;0.4;blocked;;;", [("", "0.4", "f"), ("peak", "0", "t")]),
        ("79;;0.3;;;blocked", [("peak", "0.3", "t")]),
        ("79;;;;;blocked", [("", "0", "t")]),
        ("79;;0.3;-;;", [("peak", "0.3", "f"), ("off-peak", "0", "t")]),
        ("79;-;;;;", [("", "0", "t")]),
    ],
)
def test_a_price_column_of_each_band_makes_a_rate_of_each_price(row: str, expected: list[tuple[str, str, str]]) -> None:
    assert [(rate["band"], rate["price_n"], rate["blocked"]) for rate in rates(BANDED, row)] == expected


def test_a_row_without_any_price_is_rejected() -> None:
    with pytest.raises(RowRejected, match=r"^rate: is empty"):
        says(BANDED, "79;;;;;")
    with pytest.raises(RowRejected, match=r"^peak rate: 'x' is not a plain number"):
        says(BANDED, "79;1;x;;;")


def test_one_price_column_of_a_band_is_enough() -> None:
    layout = find_layout(["code", "peak rate"])
    assert layout is not None
    rows = RowChecker(layout, DeckTerms("EUR", PriceUnit.MINUTE, True))
    assert rows.check(["79", "1"])[1][0][0] == "//peak"  # type: ignore[index]  # rates, and no closing
    assert rows.bands == {"peak"}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("prefix;peak rate;band", "the band stands in several columns"),
        ("prefix;peak rate;price_1", "more than one column says the price"),
        ("prefix;peak rate;Peak Rate", "two columns are called peak rate"),
        ("prefix;price;effective date;Effective Date", "two columns are called effective date"),
    ],
)
def test_a_header_that_says_a_band_or_a_date_twice_is_refused(header: str, said: str) -> None:
    with pytest.raises(DeckFileError, match=said):
        find_layout(header.split(";"))


@pytest.mark.parametrize(
    ("cell", "origins"),
    [
        ("", [""]),
        ("any", [""]),
        ("49", ["49"]),
        ("+49", ["49"]),
        ("49, 43, 4101-4103", ["49", "43", "4101", "4102", "4103"]),
    ],
)
def test_an_origin_is_a_list_of_prefixes_of_callers(cell: str, origins: list[str]) -> None:
    found = rates("prefix;price;a-number", f"79;1;{cell}")
    assert [rate["origin"] for rate in found] == origins


def test_a_row_whose_codes_and_origins_make_too_many_rates_is_rejected() -> None:
    with pytest.raises(RowRejected, match="says more than 10000 rates"):
        says("prefix;price;origin", "7000-7999;1;4900-4919")
    with pytest.raises(RowRejected, match=r"^origin: 'EEA' is not a prefix of digits"):
        says("prefix;price;origin", "79;1;EEA")


def test_rates_are_told_apart_by_origin_and_band_and_not_by_their_dates() -> None:
    header = "prefix;price;origin;band;effective from"
    rows = ["79;1;;;", "79;1;49;;", "79;1;;peak;", "79;1;49;peak;", "79;1;49;peak;2026-12-01"]
    keys = [found[0][0] for row in rows if isinstance(found := says(header, row), tuple)]
    assert len(set(keys)) == 4
    assert keys[0] == ""
    assert keys[3] == keys[4]


CLOSED = "prefix;price;status;effective date;end date"


@pytest.mark.parametrize("status", ["closed", "Deleted", "DISCONTINUED", "removed", "expired"])
def test_a_closed_row_is_left_out_of_a_whole_deck(status: str) -> None:
    assert says(CLOSED, f"79;0.1;{status};;") == ()
    assert says(CLOSED, f"79;;{status};;") == ()


def test_a_row_that_has_ended_is_left_out_of_a_whole_deck() -> None:
    assert says(CLOSED, "79;0.1;;2026-01-01;2026-11-26") == ()
    assert says(CLOSED, "79;0.1;active;;26.11.2026 13:00") == ()  # noon in UTC


@pytest.mark.parametrize("row", ["79;0.1;closed;2026-12-01;", "79;0.1;closed;;2026-12-01"])
def test_a_row_that_closes_later_counts_until_then_in_a_whole_deck(row: str) -> None:
    (rate,) = rates(CLOSED, row)
    assert (rate["effective_from"], rate["effective_to"]) == ("-infinity", "2026-11-30T23:00:00+00:00")


@pytest.mark.parametrize(
    ("row", "when"),
    [
        ("79;;closed;;", "-infinity"),
        ("79;0.1;deleted;2026-12-01;", "2026-11-30T23:00:00+00:00"),
        ("79;0.1;deleted;2026-01-01;2026-12-01", "2026-11-30T23:00:00+00:00"),
        ("79;0.1;;;2026-11-01", "2026-10-31T23:00:00+00:00"),
    ],
)
def test_a_closed_row_of_a_delta_ends_its_codes_at_its_date(row: str, when: str) -> None:
    assert closings(CLOSED, row) == [("\\N", "\\N", when)]


def test_a_closing_is_for_all_callers_and_bands_unless_the_file_tells_them_apart() -> None:
    assert closings("prefix;price;status;origin", "79;;closed;49,43") == [
        ("49", "\\N", "-infinity"),
        ("43", "\\N", "-infinity"),
    ]
    assert closings("prefix;price;status;origin;band", "79;;closed;;peak") == [("", "peak", "-infinity")]


def test_minimum_charge_and_extras_are_terms_of_the_rate() -> None:
    extras = {"surcharge_after": 60, "block_seconds": 30, "block_charge": "0.01", "added_seconds": 0}
    layout = find_layout(["prefix", "price", "min charge", "extras"])
    assert layout is not None
    rows = RowChecker(layout, DeckTerms("EUR", PriceUnit.MINUTE, True))
    _, found = rows.check(["79", "1", "0,05", json.dumps(extras)])
    assert isinstance(found, tuple)
    rate = dict(zip(ROW[1:], found[0][1].split("\t"), strict=True))
    assert rate["minimum_charge"] == "0.05"
    assert rate["extras"] == '{"block_charge":"0.01","block_seconds":30,"surcharge_after":60}'


@pytest.mark.parametrize(
    ("extras", "reason"),
    [
        ("{", "extras: is not JSON"),
        ("[1]", "extras: is not a JSON object"),
        ('{"speed": 1}', "extras: 'speed' is none of surcharge_unit, "),
        ('{"decimals": 2}', "extras: 'decimals' is none of"),
        ('{"price_1": "2"}', "extras: 'price_1' is none of"),
        ('{"surcharge_after": -1}', "extras: surcharge_after: must be from 0"),
        ('{"block_charge": "0.01"}', "extras: block_seconds: must be at least 1"),
        ('{"block_charge": 0.0123456789, "block_seconds": 1}', "extras: block_charge: .*decimals"),
        ('{"tiers": [{"price": "x"}]}', "extras: "),
        ('{"surcharge_after": "' + "1" * 4_000 + '"}', "extras: is longer than"),
    ],
)
def test_extras_that_no_rate_has_reject_their_row(extras: str, reason: str) -> None:
    layout = find_layout(["prefix", "price", "extras"])
    assert layout is not None
    with pytest.raises(RowRejected, match=f"^{reason}"):
        RowChecker(layout, DeckTerms("EUR", PriceUnit.MINUTE, False)).check(["79", "1", extras])
