from decimal import Decimal, localcontext
from fractions import Fraction

import pytest

from rating_engine.rating.money import (
    MAX_AMOUNT,
    InvalidAmount,
    format_amount,
    parse_amount,
    quantise,
    quantise_fraction,
)


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("12.50", "12.50"),
        ("12.", "12"),
        (".5", "0.5"),
        ("+1", "1"),
        (" 7 ", "7"),
        ("1E-6", "0.000001"),
        (12, "12"),
        (Decimal("1E+3"), "1000"),
        ("0.0000010000", "0.000001"),
        ("1." + "0" * 62, "1"),
        ("99999999999999.999999", "99999999999999.999999"),
    ],
)
def test_a_plain_number_is_read_exactly(value, amount):
    assert parse_amount(value, "amount") == Decimal(amount)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "'' is not a plain number like 12.50"),
        ("1,000.00", "not a plain number"),
        ("1.000,00", "not a plain number"),
        ("1 000", "not a plain number"),
        ("1_000", "not a plain number"),
        ("0x10", "not a plain number"),
        ("--1", "not a plain number"),
        ("Infinity", "not a plain number"),
        ("1e999", "not a plain number"),
        ("١٢", "not a plain number"),
        ("1\n2", "not a plain number"),
        ("1" + "0" * 100_000, "not a plain number"),
        ("1." + "0" * 63, "not a plain number"),
        (Decimal("NaN"), "NaN is not an amount"),
        (Decimal("-Infinity"), "-Infinity is not an amount"),
        ("-1", "-1 is negative"),
        ("0.0000001", "more than 6 decimals"),
        ("100000000000000", "above the limit of 99999999999999.999999"),
        (0.5, "is a float, which is not exact"),
        (True, "True is not an amount"),
        (None, "is a NoneType"),
        (b"1", "is a bytes"),
    ],
)
def test_what_is_no_amount_is_refused_by_name_and_with_the_reason(value, problem):
    with pytest.raises(InvalidAmount) as refused:
        parse_amount(value, "balance")

    assert refused.value.field == "balance"
    assert problem in refused.value.problem


def test_the_error_stays_short_whatever_was_sent():
    for sent in ("9" * 100_000, 10**100_000, Decimal("9" * 10_000)):
        with pytest.raises(InvalidAmount) as refused:
            parse_amount(sent, "amount")
        assert len(str(refused.value)) < 200


def test_a_debit_may_be_negative_where_that_is_allowed_but_not_beyond_the_column():
    assert parse_amount("-5.25", "amount", allow_negative=True) == Decimal("-5.25")
    with pytest.raises(InvalidAmount, match="limit"):
        parse_amount(-MAX_AMOUNT - 1, "amount", allow_negative=True)


def test_minus_zero_is_zero():
    assert format(parse_amount("-0.00", "amount"), "f") == "0.00"


@pytest.mark.parametrize(
    ("amount", "decimals", "rounded"),
    [
        ("0.005", 2, "0.01"),
        ("0.0049999999", 2, "0.00"),
        ("2.5", 0, "3"),
        ("-0.005", 2, "-0.01"),
        ("1E+3", 2, "1000.00"),
        ("123456789012345678901234567890123456789.555", 2, "123456789012345678901234567890123456789.56"),
    ],
)
def test_halves_are_rounded_away_from_zero_however_many_digits(amount, decimals, rounded):
    assert str(quantise(Decimal(amount), decimals)) == rounded


@pytest.mark.parametrize(
    ("value", "decimals", "rounded"),
    [
        (Fraction(1, 3), 8, "0.33333333"),
        (Fraction(2, 3), 2, "0.67"),
        (Fraction(1, 200), 2, "0.01"),
        (Fraction(-1, 200), 2, "-0.01"),
        (Fraction(-1, 3), 2, "-0.33"),
        (Fraction(10**40, 3), 1, "3" * 40 + ".3"),
        (Fraction(0), 2, "0.00"),
    ],
)
def test_a_fraction_is_rounded_the_same_way(value, decimals, rounded):
    assert str(quantise_fraction(value, decimals)) == rounded


@pytest.mark.parametrize(
    ("amount", "decimals", "text"),
    [
        ("0.10", None, "0.1"),
        ("1E-8", None, "0.00000001"),
        ("1E+3", None, "1000"),
        ("1000", None, "1000"),
        ("-0.00", None, "0"),
        ("0E+5", None, "0"),
        ("1234567.891", 2, "1234567.89"),
        ("1E-8", 6, "0.000000"),
        ("-0.001", 2, "0.00"),
        ("5", 0, "5"),
        ("5", 2, "5.00"),
    ],
)
def test_amounts_are_written_plainly(amount, decimals, text):
    assert format_amount(Decimal(amount), decimals) == text


def test_a_narrow_decimal_context_of_the_caller_changes_nothing():
    with localcontext(prec=3):
        assert parse_amount("12345678.123456", "amount") == Decimal("12345678.123456")
        assert str(quantise(Decimal("12345.6789"), 2)) == "12345.68"
        assert format_amount(Decimal("12345.6789")) == "12345.6789"
