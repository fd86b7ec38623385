from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from rating_engine.rating.exchange import ExchangeRates

JANUARY, MARCH, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 3, 5))
SECOND = timedelta(seconds=1)

RATES = ExchangeRates(
    [
        ("EUR", "USD", MARCH, Decimal("1.2000000000")),
        ("EUR", "USD", JANUARY, Decimal("1.1000000000")),
        ("EUR", "USD", MAY, Decimal("1.3000000000")),
        ("GBP", "EUR", JANUARY, Decimal("1.15")),
        ("USD", "IDR", JANUARY, Decimal("16234.5")),
        ("USD", "EUR", MARCH, Decimal("0.9")),
    ]
)


@pytest.mark.parametrize(
    ("at", "rate"),
    [
        (JANUARY - SECOND, None),
        (JANUARY, "1.1"),
        (MARCH - timedelta(microseconds=1), "1.1"),
        (MARCH, "1.2"),  # from its instant on
        (MAY, "1.3"),
        (MAY + timedelta(days=3650), "1.3"),  # until another comes
        (MARCH.astimezone(timezone(timedelta(hours=9))), "1.2"),
    ],
)
def test_the_newest_rate_in_force_counts(at, rate):
    assert RATES.rate_at("EUR", "USD", at) == (None if rate is None else Decimal(rate))


def test_a_currency_in_itself_is_one_even_before_any_rate():
    assert RATES.rate_at("EUR", "EUR", JANUARY - SECOND) == 1
    assert ExchangeRates().rate_at("XAF", "XAF", JANUARY) == 1


@pytest.mark.parametrize(
    ("currency_from", "currency_to", "rate"),
    [
        ("EUR", "GBP", "0.8695652174"),  # 1 / 1.15 = 0.86956521739...
        ("IDR", "USD", "0.0000615972"),  # 1 / 16234.5 = 0.00006159721...
    ],
)
def test_the_opposite_pair_is_turned_round_to_ten_decimals(currency_from, currency_to, rate):
    assert RATES.rate_at(currency_from, currency_to, JANUARY) == Decimal(rate)


def test_a_half_of_the_last_decimal_is_rounded_up():
    rates = ExchangeRates([("AAA", "BBB", JANUARY, Decimal("64000"))])  # 1 / 64000 = 0.000015625 exactly

    assert rates.rate_at("BBB", "AAA", JANUARY) == Decimal("0.000015625")
    halves = ExchangeRates([("AAA", "BBB", JANUARY, Decimal("1024000"))])  # 0.0000009765625 exactly
    assert halves.rate_at("BBB", "AAA", JANUARY) == Decimal("0.0000009766")
    odd = ExchangeRates([("AAA", "BBB", JANUARY, Decimal("800000000"))])  # 0.00000000125 exactly
    assert odd.rate_at("BBB", "AAA", JANUARY) == Decimal("0.0000000013")


def test_a_rate_of_the_pair_itself_counts_before_a_newer_one_of_the_opposite_pair():
    assert RATES.rate_at("USD", "EUR", JANUARY) == Decimal("0.9090909091")  # there is only EUR in USD yet
    assert RATES.rate_at("USD", "EUR", MAY) == Decimal("0.9")


def test_nothing_is_worked_out_through_a_third_currency():
    assert RATES.rate_at("GBP", "USD", MAY) is None


def test_the_rates_are_those_of_the_rows_when_they_were_read():
    rows = [("EUR", "USD", JANUARY, Decimal("1.1"))]
    rates = ExchangeRates(rows)
    rows.append(("EUR", "USD", MARCH, Decimal("9")))

    assert rates.rate_at("EUR", "USD", MAY) == Decimal("1.1")
