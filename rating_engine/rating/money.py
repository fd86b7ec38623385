"""Exact money: reading amounts, writing them, rounding them.

Law: an amount is a `Decimal`, never a float. It is refused rather than bent to fit its column, rounded only
where a caller asks for it, and written in plain notation: no exponent, no thousands separator, no locale.
"""

from __future__ import annotations

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_HALF_UP, Context, Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

AMOUNT_DECIMALS: Final = 6
PRICE_DECIMALS: Final = 8
MAX_AMOUNT: Final = Decimal("99999999999999.999999")  # NUMERIC(20,6): the amount columns
MAX_PRICE: Final = Decimal("9999999999.99999999")  # NUMERIC(18,8): the price columns
MAX_AMOUNT_TEXT: Final = 64  # characters; an amount of either column has at most 22, the rest is for zeros

# The default decimal context rounds silently at 28 digits; in this one nothing is rounded unless asked for.
EXACT: Final = Context(
    prec=MAX_PREC,
    Emax=MAX_EMAX,
    Emin=MIN_EMIN,
    rounding=ROUND_HALF_UP,
    traps=[InvalidOperation],
)

# An exponent of two digits covers what spreadsheets and str(Decimal) write (1E-8); more is no amount.
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,2})?", re.ASCII)


class InvalidAmount(ValueError):
    """A value that is no amount, or does not fit; names the field and what was wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def parse_amount(
    value: Decimal | int | str,
    field: str,
    decimals: int = AMOUNT_DECIMALS,
    *,
    maximum: Decimal = MAX_AMOUNT,
    allow_negative: bool = False,
) -> Decimal:
    """The exact amount that `value` stands for; trailing zeros don't count as decimals, -0 is 0.

    Raises InvalidAmount naming `field`: for a float, a bool, text that is not a plain number, NaN, infinity,
    a negative amount unless `allow_negative`, more than `decimals` decimals, or more than `maximum` either side.
    """
    amount = _decimal_of(value, field)
    if not amount.is_finite():
        raise InvalidAmount(field, f"{amount} is not an amount")
    if amount < 0 and not allow_negative:
        raise InvalidAmount(field, f"{_short(str(amount))} is negative")
    if amount.copy_abs() > maximum:
        raise InvalidAmount(field, f"{_short(str(amount))} is above the limit of {format_amount(maximum)}")
    if quantise(amount, decimals) != amount:
        raise InvalidAmount(field, f"{_short(str(amount))} has more than {decimals} decimals")
    return amount if amount else amount.copy_abs()


def read_amount(text: str, field: str) -> Decimal:
    """The number that a text is, exactly as it is written, whatever column it is for. Raises InvalidAmount."""
    return _decimal_of(text, field)


def quantise(amount: Decimal, decimals: int) -> Decimal:
    """`amount` rounded to `decimals` places, halves away from zero; exact however many digits it has."""
    return amount.quantize(unit(decimals), rounding=ROUND_HALF_UP, context=EXACT)


def quantise_fraction(value: Fraction, decimals: int) -> Decimal:
    """`value` as a Decimal of `decimals` places, halves away from zero: how a third is shown to people."""
    doubled, denominator = 2 * abs(value.numerator) * 10**decimals, 2 * value.denominator
    units = (doubled + value.denominator) // denominator
    return EXACT.multiply(units if value >= 0 else -units, unit(decimals))


def format_amount(amount: Decimal, decimals: int | None = None) -> str:
    """`amount` in plain notation: with `decimals` places (rounded half up), or as many as it needs."""
    if decimals is not None:
        rounded = quantise(amount, decimals)
        return format(rounded if rounded else rounded.copy_abs(), "f")
    if not amount:
        return "0"
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def unit(decimals: int) -> Decimal:
    """One of the last of so many decimals: 0.01 for 2."""
    return Decimal((0, (1,), -decimals))


def _decimal_of(value: object, field: str) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool):
        raise InvalidAmount(field, f"{value} is not an amount")
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, str):
        text = value.strip()
        if len(text) <= MAX_AMOUNT_TEXT and _NUMBER.fullmatch(text):
            return Decimal(text)
        raise InvalidAmount(field, f"{_short(value)!r} is not a plain number like 12.50")
    if isinstance(value, float):
        raise InvalidAmount(field, "is a float, which is not exact; give a Decimal or text")
    raise InvalidAmount(field, f"is a {type(value).__name__}; give a Decimal, an int or text")


def _short(text: str) -> str:
    """What was sent, as an error message may carry it."""
    return text if len(text) <= MAX_AMOUNT_TEXT else text[:MAX_AMOUNT_TEXT] + "..."
