"""A charge explained, line by line, for the people who pay it.

Law: the exact amounts of the lines add up to the exact total, which is the cost before its one rounding.
They are derived in fractions from the rate itself, not from the integers of `terms` and `spans`; tests hold one
against the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from rating_engine.rating.money import PRICE_DECIMALS, quantise_fraction
from rating_engine.rating.rate import IncrementMode, Rate, SurchargeUnit
from rating_engine.rating.spans import Price, Span, counted_seconds, is_covered_whole, prices_of, spans_of

SHOWN_DECIMALS: Final = PRICE_DECIMALS  # a third of a cent is shown rounded here; the cost is not made of it


class LineKind(StrEnum):
    """What a line of a charge is for, in the order of the lines."""

    CONNECT_FEE = "connect_fee"
    COVERED = "covered"  # seconds that packages pay: they cost nothing
    FIRST_INTERVAL = "first_interval"
    STEP_CHARGE = "step_charge"  # of the tier in the next line
    TIER = "tier"
    NEXT_INTERVALS = "next_intervals"
    BLOCK_CHARGE = "block_charge"
    SURCHARGE = "surcharge"
    MINIMUM_CHARGE = "minimum_charge"  # what the other lines are short of it


@dataclass(frozen=True, slots=True)
class Line:
    """`quantity` times `exact_unit_price`, for `seconds` billed seconds (0 for fees).

    Intervals and tiers count increments; or seconds, where they need not be whole: with increment_mode `total`, and
    where packages pay a part. Prices are multiplied by the multiplier of the rate.
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


def lines_of(rate: Rate, seconds: int) -> tuple[Line, ...]:
    """Why a call of `seconds` costs what it does. Fees of zero have no line."""
    if seconds <= rate.grace_period:
        return ()
    counted = counted_seconds(rate, seconds)
    spans = spans_of(rate, counted)
    billed = sum(span.seconds for span in spans)
    covered_whole = is_covered_whole(rate, billed)
    multiplier = Fraction(rate.multiplier)
    lines: list[Line] = []
    with_fees = not (covered_whole and rate.waived_fees)
    if rate.connect_fee and with_fees:
        lines.append(Line(LineKind.CONNECT_FEE, 1, 0, multiplier * Fraction(rate.connect_fee)))
    lines += _usage(rate, spans)
    if not with_fees:
        return tuple(lines)
    if rate.block_charge and counted >= rate.block_seconds:
        blocks = counted // rate.block_seconds
        lines.append(Line(LineKind.BLOCK_CHARGE, blocks, 0, multiplier * Fraction(rate.block_charge)))
    if rate.postcall_surcharge and seconds >= rate.surcharge_after:
        percent = rate.surcharge_unit is SurchargeUnit.PERCENT
        surcharge = Fraction(rate.postcall_surcharge) * (_total(lines) / 100 if percent else multiplier)
        lines.append(Line(LineKind.SURCHARGE, 1, 0, surcharge))
    missing = multiplier * Fraction(rate.minimum_charge) - _total(lines)
    if missing > 0 and not covered_whole:
        lines.append(Line(LineKind.MINIMUM_CHARGE, 1, 0, missing))
    return tuple(lines)


def _usage(rate: Rate, spans: list[Span]) -> list[Line]:
    prices = prices_of(rate)
    covered = sum(span.seconds - span.paid for span in spans)
    lines = [Line(LineKind.COVERED, covered, covered, Fraction(0))] if covered else []
    for span in spans:
        price = prices[span.price]
        if span.paid and price.step_charge:
            lines.append(Line(LineKind.STEP_CHARGE, 1, 0, price.step_charge))
        if span.paid:
            lines.append(_span_line(rate, span, price))
    return lines


def _span_line(rate: Rate, span: Span, price: Price) -> Line:
    kind = LineKind(price.usage.value)
    # After tiers, increments are whole in either mode.
    parted = kind is LineKind.NEXT_INTERVALS and rate.increment_mode is IncrementMode.TOTAL and not rate.tiers
    if parted or span.paid < span.seconds:
        return Line(kind, span.paid, span.paid, price.a_second)
    return Line(kind, span.paid // price.increment, span.paid, price.a_second * price.increment)


def _total(lines: list[Line]) -> Fraction:
    return sum((line.exact_amount for line in lines), Fraction(0))
