"""A charge explained, line by line, for the people who pay it.

Law: the exact amounts of the lines add up to the exact total, which is the cost before its one rounding.
They are derived in fractions from the rate itself, not from the integers of `terms`; tests hold one against
the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from rating_engine.rating.money import PRICE_DECIMALS, quantise_fraction
from rating_engine.rating.rate import IncrementMode, PriceUnit, Rate, SurchargeUnit
from rating_engine.rating.terms import SECONDS_PER_MINUTE

SHOWN_DECIMALS: Final = PRICE_DECIMALS  # a third of a cent is shown rounded here; the cost is not made of it


class LineKind(StrEnum):
    """What a line of a charge is for, in the order of the lines."""

    CONNECT_FEE = "connect_fee"
    FIRST_INTERVAL = "first_interval"
    NEXT_INTERVALS = "next_intervals"
    SURCHARGE = "surcharge"


@dataclass(frozen=True, slots=True)
class Line:
    """`quantity` times `exact_unit_price`, for `seconds` billed seconds (0 for fees).

    `next_intervals` counts intervals; with increment_mode `total`, where they need not be whole, seconds.
    """

    kind: LineKind
    quantity: int
    seconds: int
    exact_unit_price: Fraction

    @property
    def exact_amount(self) -> Fraction:
        """What the line adds to the total, thirds and all."""
        return self.quantity * self.exact_unit_price

    @property
    def unit_price(self) -> Decimal:
        """The price of one, to read: eight decimals, rounded half up where it has no end or more of them."""
        return quantise_fraction(self.exact_unit_price, SHOWN_DECIMALS)

    @property
    def amount(self) -> Decimal:
        """The amount, to read: eight decimals, rounded half up where it has no end or more of them."""
        return quantise_fraction(self.exact_amount, SHOWN_DECIMALS)


def lines_of(rate: Rate, seconds: int, billed_seconds: int) -> tuple[Line, ...]:
    """Why a call of `seconds`, billed as `billed_seconds`, costs what it does. Fees of zero have no line."""
    if seconds <= rate.grace_period:
        return ()
    lines: list[Line] = []
    if rate.connect_fee:
        lines.append(Line(LineKind.CONNECT_FEE, 1, 0, Fraction(rate.connect_fee)))
    if billed_seconds:
        first = _price(rate, rate.price_1, rate.interval_1)
        lines.append(Line(LineKind.FIRST_INTERVAL, 1, rate.interval_1, first))
    if billed_seconds > rate.interval_1:
        lines.append(_next_intervals(rate, billed_seconds - rate.interval_1))
    if rate.postcall_surcharge:
        surcharge = Fraction(rate.postcall_surcharge)
        if rate.surcharge_unit is SurchargeUnit.PERCENT:
            surcharge *= sum((line.exact_amount for line in lines), Fraction(0)) / 100
        lines.append(Line(LineKind.SURCHARGE, 1, 0, surcharge))
    return tuple(lines)


def _next_intervals(rate: Rate, seconds: int) -> Line:
    one = _price(rate, rate.price_n, rate.interval_n)
    if rate.increment_mode is IncrementMode.TOTAL:
        return Line(LineKind.NEXT_INTERVALS, seconds, seconds, one / rate.interval_n)
    return Line(LineKind.NEXT_INTERVALS, seconds // rate.interval_n, seconds, one)


def _price(rate: Rate, price: Decimal, interval: int) -> Fraction:
    if rate.price_unit is PriceUnit.MINUTE:
        return Fraction(price) * interval / SECONDS_PER_MINUTE
    return Fraction(price)
