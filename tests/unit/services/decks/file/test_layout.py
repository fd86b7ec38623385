"""Headers matched generously, refused where a guess could cost money."""

from __future__ import annotations

import pytest

from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.layout import SYNONYMS, Column, Layout, find_layout


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
    assert layout_of(header).currency == currency
