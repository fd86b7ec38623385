"""What a row says, and why one is rejected."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.rating.rate import PriceUnit, Rate
from rating_engine.services.decks.file.errors import RowRejected
from rating_engine.services.decks.file.layout import find_layout
from rating_engine.services.decks.file.rows import RowChecker, Says
from rating_engine.services.decks.file.terms import MAX_DIRECTION_CHARACTERS, DeckTerms
from rating_engine.storage.decks.deck_columns import ROW

HEADER = (
    "prefix;direction;price_1;price_n;price_unit;interval_1;interval_n;connect_fee;free_seconds;grace_period;surcharge"
)


def checker(header: str, *, price_unit: PriceUnit = PriceUnit.MINUTE, decimal_comma: bool = True) -> RowChecker:
    layout = find_layout(header.split(";"))
    assert layout is not None
    return RowChecker(layout, DeckTerms("EUR", price_unit, decimal_comma))


def taken(header: str, row: str, **terms: object) -> dict[str, str]:
    """The row as COPY gets it, by column."""
    (prefix,), says = checker(header, **terms).check(row.split(";"))  # type: ignore[arg-type]  # the keywords above
    return dict(zip(ROW, [prefix, *only_rate(says).split("\t")], strict=True))


def only_rate(says: Says) -> str:
    """The COPY text of a row that says one rate."""
    assert isinstance(says, tuple)
    ((_, text),) = says
    return text


ALWAYS = {"origin": "", "band": "", "effective_from": "-infinity", "effective_to": "infinity"}


def test_every_column_of_a_row_arrives_in_its_place() -> None:
    assert taken(HEADER, "79;Russia;0.5;0.25;interval;60;6;0.01;5;3;0.02") == {
        "prefix": "79",
        **ALWAYS,
        "direction": "Russia",
        "price_1": "0.5",
        "price_n": "0.25",
        "price_unit": "interval",
        "interval_1": "60",
        "interval_n": "6",
        "connect_fee": "0.01",
        "free_seconds": "5",
        "grace_period": "3",
        "postcall_surcharge": "0.02",
        "minimum_charge": "0",
        "extras": "",
        "blocked": "f",
    }


def test_everything_but_prefix_and_price_has_a_default() -> None:
    assert taken("prefix;price", "79;0.5") == {
        "prefix": "79",
        **ALWAYS,
        "direction": "",
        "price_1": "0.5",
        "price_n": "0.5",
        "price_unit": "minute",
        "interval_1": "1",
        "interval_n": "1",
        "connect_fee": "0",
        "free_seconds": "0",
        "grace_period": "0",
        "postcall_surcharge": "0",
        "minimum_charge": "0",
        "extras": "",
        "blocked": "f",
    }


def test_empty_cells_have_the_same_defaults_as_missing_columns() -> None:
    assert taken(HEADER, "79;;0.5;;;;;;;;") == taken("prefix;price_1", "79;0.5")


@pytest.mark.parametrize(
    ("header", "row", "column", "value"),
    [
        pytest.param("prefix;price", "+79;1", "prefix", "79", id="a plus"),
        pytest.param("prefix;price", " 79 ;1", "prefix", "79", id="spaces around a prefix"),
        pytest.param("prefix;price", "'79;1", "prefix", "79", id="a spreadsheet's mark of text"),
        pytest.param("prefix;price", "0079;1", "prefix", "79", id="what callers dial before a country code"),
        pytest.param("prefix;price", "79;0,05", "price_1", "0.05", id="a decimal comma"),
        pytest.param("prefix;price", "79; 0.05 ", "price_1", "0.05", id="spaces around a price"),
        pytest.param("prefix;price", "79;1E-3", "price_1", "0.001", id="an exponent"),
        pytest.param("prefix;price", "79;0", "price_1", "0", id="a price of nothing"),
        pytest.param("prefix;price_1;price_n", "79;1;0,5", "price_n", "0.5", id="a decimal comma later on"),
        pytest.param("prefix;price_1;price_n", "79;1;", "price_n", "1", id="no price_n: the same as price_1"),
        pytest.param("prefix;price;price_unit", "79;1;Per Minute", "price_unit", "minute", id="a unit in words"),
        pytest.param("prefix;price;price_unit", "79;1;INTERVAL", "price_unit", "interval", id="a unit in capitals"),
        pytest.param("prefix;price;setup fee", "79;1;0,05", "connect_fee", "0.05", id="a fee with a decimal comma"),
        pytest.param("prefix;price;increments", "79;1;60/1", "interval_1", "60", id="60/1, the first"),
        pytest.param("prefix;price;increments", "79;1;60 / 1", "interval_n", "1", id="60/1, the next"),
        pytest.param("prefix;price;increments", "79;1;30+6", "interval_n", "6", id="30+6"),
        pytest.param("prefix;price;increment", "79;1;60", "interval_n", "60", id="one increment is both"),
        pytest.param("prefix;price;increment", "79;1;60", "interval_1", "60", id="one increment is both, the first"),
        pytest.param("prefix;price;name", "79;1; Russia ", "direction", "Russia", id="spaces around a name"),
        pytest.param("prefix;price;currency", "79;1;eur", "price_1", "1", id="the tariff's own currency"),
        pytest.param("prefix;price;name;", "79;1;Russia;;;", "direction", "Russia", id="empty cells too many"),
        pytest.param("prefix;price;name;increments", "79;1", "direction", "", id="cells missing at the end"),
    ],
)
def test_cells_are_read_as_carriers_write_them(header: str, row: str, column: str, value: str) -> None:
    assert taken(header, row)[column] == value


@pytest.mark.parametrize(
    ("header", "row", "reason"),
    [
        pytest.param("prefix;price", ";1", "prefix: is empty", id="no prefix"),
        pytest.param("prefix;price", "7x;1", "prefix: '7x' is not a prefix of digits", id="letters"),
        pytest.param("prefix;price", "7901 7902;1", "not a prefix of digits", id="two prefixes"),
        pytest.param("prefix;price", "79.0;1", "not a prefix of digits", id="a prefix that was a number once"),
        pytest.param("prefix;price", "٧٩;1", "not a prefix of digits", id="digits of another script"),
        pytest.param("prefix;price", "1" * 33 + ";1", "more than 32 digits", id="too long"),
        pytest.param("Dial Code;price", "x;1", "^Dial Code: ", id="the column is named as in the file"),
        pytest.param("prefix;price", "79;", "price: is empty", id="no price"),
        pytest.param("prefix;price", "79; ", "price: is empty", id="a blank price"),
        pytest.param("prefix;price", "79;free", "price: 'free' is not a plain number", id="a word for a price"),
        pytest.param("prefix;price", "79;-0.1", "price: -0.1 is negative", id="negative"),
        pytest.param("prefix;price", "79;0.000000001", "more than 8 decimals", id="so little that it would be nothing"),
        pytest.param("prefix;price", "79;10000000000", "above the limit", id="too much"),
        pytest.param("prefix;price", "79;1.23,45", "not a plain number", id="thousands of two digits"),
        pytest.param("prefix;price", "79;1,234,567", "not a plain number", id="two commas"),
        pytest.param("prefix;price", "79;NaN", "not a plain number", id="NaN"),
        pytest.param("prefix;price_1;price_n", "79;1;x", "price_n: 'x' is not a plain number", id="a bad price_n"),
        pytest.param("prefix;price;unit", "79;1;second", "unit: 'second' is neither minute nor interval", id="unit"),
        pytest.param("prefix;price;interval_1", "79;1;0", "interval_1: must be from 1", id="an interval of nothing"),
        pytest.param("prefix;price;interval_1", "79;1;1.5", "'1.5' is not a whole number", id="half a second"),
        pytest.param("prefix;price;minimum", "79;1;0", "^minimum: must be from 1", id="a column by its own name"),
        pytest.param("prefix;price;increments", "79;1;0/1", "^increments: must be from 1", id="0/1"),
        pytest.param("prefix;price;increments", "79;1;1/2/3", "not a whole number", id="three increments"),
        pytest.param("prefix;price;setup fee", "79;1;-1", "^setup fee: -1 is negative", id="a negative fee"),
        pytest.param("prefix;price;currency", "79;1;USD", "not the tariff's currency, EUR", id="another currency"),
        pytest.param("prefix;price;name", "79;1;a\0b", "NUL", id="NUL"),
        pytest.param("prefix;price;name", "79;1;" + "x" * (MAX_DIRECTION_CHARACTERS + 1), "longer than", id="long"),
        pytest.param("prefix;price", "79;0;05", "has 3 cells, the header has 2", id="a delimiter inside a price"),
    ],
)
def test_a_row_that_cannot_be_taken_says_why(header: str, row: str, reason: str) -> None:
    with pytest.raises(RowRejected, match=reason):
        taken(header, row)


def test_a_comma_is_no_decimal_point_where_it_separates_cells() -> None:
    with pytest.raises(RowRejected, match="not a plain number"):
        taken("prefix;price", "79;0,05", decimal_comma=False)


def test_a_rejected_row_is_rejected_again_where_its_terms_were_seen_before() -> None:
    rows = checker("prefix;price;increments")
    for _ in range(2):
        with pytest.raises(RowRejected):
            rows.check(["79", "1", "0/1"])
        with pytest.raises(RowRejected):
            rows.check(["79", "bad", "1/1"])


def test_rows_of_the_same_terms_keep_their_own_prefix_and_price() -> None:
    rows = checker("prefix;price;increments")
    first, second = rows.check(["79", "1", "60/1"]), rows.check(["49", "2", "60/1"])
    start, end = "\t\t-infinity\tinfinity\t\t", "\tminute\t60\t1\t0\t0\t0\t0\t0\t\tf"
    assert first == (("79",), (("", f"{start}1\t1{end}"),))
    assert second == (("49",), (("", f"{start}2\t2{end}"),))


def test_what_copy_would_take_for_a_column_or_a_row_stays_part_of_a_name() -> None:
    assert taken("prefix;price;name", "79;1;a\\b\tc")["direction"] == "a\\\\b\\tc"


def codes(header: str, row: str) -> tuple[str, ...]:
    """The prefixes that a row is for."""
    return checker(header).check(row.split("|"))[0]


def test_country_and_area_codes_in_their_own_columns_make_the_prefix() -> None:
    header = "country code;area codes;price"
    assert codes(header, "+7|901, 902-903|1") == ("7901", "7902", "7903")
    assert codes(header, "39|06|1") == ("3906",)
    assert codes(header, "7||1") == ("7",)
    for row, reason in [("|901|1", "country code: is empty"), ("7,8|901|1", "'7,8' is not a country code")]:
        with pytest.raises(RowRejected, match=reason):
            codes(header, row)


@pytest.mark.parametrize(
    ("row", "blocked"),
    [
        ("79;blocked;;", "t"),
        ("79; Blocked ;;", "t"),
        ("79;0.1;Blocked;", "t"),
        ("79;;barred;", "t"),
        ("79;n/a;blocked;", "t"),
        ("79;-;;yes", "t"),
        ("79;0.1;;TRUE", "t"),
        ("79;0.1;Active;no", "f"),
        ("79;0.1;Increase;", "f"),
    ],
)
def test_a_blocked_row_is_taken_with_or_without_a_price(row: str, blocked: str) -> None:
    line = taken("prefix;price;status;blocked", row)
    assert line["blocked"] == blocked
    assert line["price_1"] == ("0.1" if "0.1" in row else "0")


def test_a_price_in_words_blocks_its_own_row_alone() -> None:
    rows = checker("prefix;price;increments")
    first, second, third = (only_rate(rows.check(["79", price, "60/1"])[1]) for price in ("1", "blocked", "2"))
    assert [text[-1] for text in (first, second, third)] == ["f", "t", "f"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("79;1;sleeping;", "status: 'sleeping' says neither that calls are taken nor that they are blocked"),
        ("79;1;;perhaps", "blocked: 'perhaps' is neither yes nor no"),
        ("79;;;", "price: is empty"),
        ("79;?;active;", r"price: '\?' is not a plain number"),
    ],
)
def test_a_row_that_may_be_blocked_or_not_is_rejected(row: str, reason: str) -> None:
    with pytest.raises(RowRejected, match=reason):
        taken("prefix;price;status;blocked", row)


@given(st.from_regex(r"\A[0-9]{1,10}(\.[0-9]{1,8})?\Z"))
def test_every_price_taken_as_it_stands_is_one_that_a_rate_takes(price: str) -> None:
    row = taken("prefix;price", f"79;{price}")
    assert Rate(price_1=row["price_1"]).price_1 == Decimal(price)


@given(st.text(max_size=30))
def test_a_price_is_taken_exactly_as_a_rate_reads_it_or_not_at_all(text: str) -> None:
    header = find_layout(["prefix", "price"])
    assert header is not None
    rows = RowChecker(header, DeckTerms("EUR", PriceUnit.MINUTE, decimal_comma=False))
    try:
        _, says = rows.check(["79", text])
    except RowRejected:
        return
    if only_rate(says).endswith("\tt"):  # a word that blocks
        return
    price = only_rate(says).split("\t")[ROW.index("price_1") - 1]
    assert Rate(price_1=price) == Rate(price_1=text)


@pytest.mark.parametrize(("cell", "price"), [("0.123456789", "0.12345679"), ("0.0123456789012345", "0.01234568")])
def test_more_decimals_than_are_kept_are_rounded_and_that_is_said(cell: str, price: str) -> None:
    rows = checker("prefix;price")
    assert only_rate(rows.check(["79", cell])[1]).split("\t")[ROW.index("price_1") - 1] == price
    assert list(rows.notes) == [("amounts were rounded to 8 decimals", 1, f"{cell} is {price}")]


@pytest.mark.parametrize(
    "word", ["N/A", "not offered", "closed", "Blocked", "-", "n/a", "TBA", "#N/A", "—", "No Service"]
)
def test_a_word_in_the_place_of_a_price_blocks_the_code(word: str) -> None:
    assert only_rate(checker("prefix;price").check(["79", word])[1]).endswith("\tt")
