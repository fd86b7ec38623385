"""Prices without their tax."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating_engine.domain.tax import without_tax


@pytest.mark.parametrize(
    ("price", "percent", "net"),
    [("12", "19", "10.084034"), ("12", "0", "12.000000"), ("0", "19", "0.000000"), ("0.01", "100", "0.005000"),
     ("10", "21", "8.264463")],
)  # fmt: skip
def test_a_price_without_its_tax_is_rounded_once(price: str, percent: str, net: str):
    assert str(without_tax(Decimal(price), Decimal(percent))) == net
