"""Headers matched generously, refused where a guess could cost money."""

from __future__ import annotations

import pytest

from rating_engine.services.decks.file.columns import SYNONYMS, Column
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.layout import Layout, find_layout


def layout_of(header: str) -> Layout:
    layout = find_layout(header.split(","))
    assert layout is not None
    return layout


def columns_of(header: str) -> dict[str, str]:
    """What each understood header name was taken for."""
    layout = layout_of(header)
    return {layout.header[position]: column.value for column, position in layout.positions.items()}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("prefix,price", {"prefix": "prefix", "price": "price"}),
        ("PREFIX,Price", {"PREFIX": "prefix", "Price": "price"}),
        (" Dial Code , Rate ", {"Dial Code": "prefix", "Rate": "price"}),
        ("dial-code,rate/min", {"dial-code": "prefix", "rate/min": "price"}),
        ("DialCode,Price per Minute", {"DialCode": "prefix", "Price per Minute": "price"}),
        ("Destination,Code,Rate", {"Destination": "direction", "Code": "prefix", "Rate": "price"}),
        ("Код,Цена,Направление", {"Код": "prefix", "Цена": "price", "Направление": "direction"}),
        ("prefix,price (EUR)", {"prefix": "prefix", "price (EUR)": "price"}),
        ("prefix,USD Rate", {"prefix": "prefix", "USD Rate": "price"}),
        ("prefix,price_1,price_n", {"prefix": "prefix", "price_1": "price_1", "price_n": "price_n"}),
        ("prefix,price,increments", {"prefix": "prefix", "price": "price", "increments": "intervals"}),
        (
            "prefix,price,Initial Interval,Increment",
            {"prefix": "prefix", "price": "price", "Initial Interval": "interval_1", "Increment": "interval_n"},
        ),
        (
            "prefix,price,minimum,billing block,setup fee",
            {
                "prefix": "prefix",
                "price": "price",
                "minimum": "interval_1",
                "billing block": "interval_n",
                "setup fee": "connect_fee",
            },
        ),
        (
            "prefix,price,price_unit,free_seconds,grace_period,postcall_surcharge,currency",
            {
                "prefix": "prefix",
                "price": "price",
                "price_unit": "price_unit",
                "free_seconds": "free_seconds",
                "grace_period": "grace_period",
                "postcall_surcharge": "postcall_surcharge",
                "currency": "currency",
            },
        ),
    ],
)
def test_a_column_is_known_by_many_names(header: str, expected: dict[str, str]) -> None:
    assert columns_of(header) == expected


def test_of_several_names_of_one_column_the_more_exact_one_is_taken_and_the_others_are_reported() -> None:
    layout = layout_of("Country,Destination,Prefix,Rate,Remarks")
    assert layout.name(Column.DIRECTION) == "Destination"
    assert layout.ignored == ("Country", "Remarks")


def test_no_name_stands_for_two_columns() -> None:
    names = [name for synonyms in SYNONYMS.values() for name in synonyms]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    "cells", [["prefix", "direction"], ["price", "direction"], ["79", "0.05"], [""], ["Price list of", "Carrier X"]]
)
def test_a_row_that_does_not_name_a_prefix_and_a_price_is_no_header(cells: list[str]) -> None:
    assert find_layout(cells) is None


@pytest.mark.parametrize(
    ("header", "said"),
    [
        pytest.param("country code,code,rate", "several columns", id="a code that may lack its country"),
        pytest.param("country code,area code,code,rate", "several columns", id="a number twice"),
        pytest.param("country code,area code,city code,rate", "several columns", id="a number in three columns"),
        pytest.param("cc,country code,area code,rate", "several columns", id="a country twice"),
        pytest.param("prefix,price,price_1", "more than one column says the price", id="two kinds of price"),
        pytest.param("prefix,price,price_n", "more than one column says the price", id="price and price_n"),
        pytest.param("prefix,rate,Rate", "two columns are called rate", id="a price twice"),
        pytest.param("prefix,rate (USD),setup fee (EUR)", "different currencies: EUR, USD", id="two currencies"),
        pytest.param("prefix,price,rejected_line,rejected_reason", "rejected", id="a list of rejected rows"),
    ],
)
def test_a_header_that_could_cost_money_if_misread_is_refused(header: str, said: str) -> None:
    with pytest.raises(DeckFileError, match=said):
        find_layout(header.split(","))


def test_a_number_may_stand_in_a_country_column_and_an_area_column() -> None:
    layout = layout_of("Country,CC,City Code,Rate,Status")
    assert {column: layout.name(column) for column in layout.positions} == {
        Column.COUNTRY_CODE: "CC",
        Column.AREA_CODE: "City Code",
        Column.PRICE: "Rate",
        Column.DIRECTION: "Country",
        Column.STATUS: "Status",
    }


def test_an_area_code_without_a_country_is_no_prefix() -> None:
    assert find_layout(["area code", "rate"]) is None


def test_a_country_code_beside_a_column_called_prefix_is_only_ignored() -> None:
    layout = layout_of("Country Code,Prefix,Rate")
    assert layout.name(Column.PREFIX) == "Prefix"
    assert layout.ignored == ("Country Code",)


@pytest.mark.parametrize(
    ("header", "currency"), [("prefix,rate (USD)", "USD"), ("prefix,price eur", "EUR"), ("prefix,price", None)]
)
def test_a_currency_in_the_name_of_a_price_is_noticed(header: str, currency: str | None) -> None:
    assert layout_of(header).currencies == ({currency} if currency else set())


def test_a_sign_may_be_of_several_currencies() -> None:
    assert {"USD", "CAD"} <= layout_of("prefix,rate ($)").currencies
    assert layout_of("prefix,rate ($),setup fee (USD)").currencies == {"USD"}
    with pytest.raises(DeckFileError, match="different currencies"):
        layout_of("prefix,rate ($),setup fee (EUR)")


@pytest.mark.parametrize(
    ("header", "factors"),
    [
        ("Code,Rate (cents/min)", {"price": "0.01"}),
        ("Code,Rate,Interval (min),Setup Fee (cents)", {"intervals": "60", "connect_fee": "0.01"}),
        ("Code,ppm", {"price": "0.01"}),
        ("Code,Rate per second", {"price": "60"}),
        ("Code,Price/sec (US cents)", {"price": "0.60"}),
        ("Code,Rate (per 6 sec)", {"price": "10"}),
        ("Code,Rate (¢)", {"price": "0.01"}),
        ("Code,Peak rate (pence),Off-Peak rate (pence)", {"price_peak": "0.01", "price_off_peak": "0.01"}),
        ("Code,USD/min", {}),
        ("Code,Rate per minute (USD)", {}),
        ("Code,price_1 (cents),price_n (cents)", {"price_1": "0.01", "price_n": "0.01"}),
    ],
)
def test_units_in_names_are_reckoned_with(header: str, factors: dict[str, str]) -> None:
    assert {column.value: str(factor) for column, factor in layout_of(header).factors.items()} == factors


@pytest.mark.parametrize(
    "header",
    [
        *("Code,Rate (per call)", "Code,Rate/hour", "Code,Rate (%)", "Code,Rate (per 7 sec)", "Code,Rate per SMS"),
        *("Code,Rate,Interval (ms)", "Code,price_1 per second,price_n", "Code,Rate,Setup Fee (per min)"),
    ],
)
def test_a_unit_of_which_no_price_can_be_made_refuses_the_file(header: str) -> None:
    try:
        layout = find_layout(header.split(","))
    except DeckFileError:
        return
    assert layout is None  # then the file has no header, and is refused for that


@pytest.mark.parametrize(
    "header",
    [
        *("Destinations,Dial Codes,New Offer", "Destination,Dial codes,Per Minute Cost(USD)", "Code,Cost / Min"),
        *("Code,Rates", "Code,Buy Rate", "Code,usd/min", "NPANXX,Rate", "Code,rate_cost,additional period"),
    ],
)
def test_names_that_carriers_send_are_known(header: str) -> None:
    layout = layout_of(header)
    assert {Column.PREFIX, Column.PRICE} <= layout.positions.keys()
    assert not layout.ignored
