"""Checks of what a rate is made of. Law: what passes is exact and within its limits; what does not is named."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from rating_engine.rating.money import MAX_PRICE, PRICE_DECIMALS, InvalidAmount, format_amount, parse_amount

MAX_INTERVAL_SECONDS: Final = 86_400 * 31  # the longest month; more is a slip of units
MAX_MULTIPLIER_DIGITS: Final = 40  # significant: markup, volume step and exchange rate multiplied without rounding
MAX_MULTIPLIER: Final = Decimal(10**20)
MULTIPLIER_DECIMALS: Final = 60  # forty digits, of which the first may be the twenty-first decimal
_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)

Amount = Decimal | int | str
_Choice = TypeVar("_Choice", bound=StrEnum)


class InvalidRate(ValueError):
    """A field of a rate that cannot be used; names it and what was wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


def price(name: str, value: Amount) -> Decimal:
    """A price or fee as NUMERIC(18,8) holds it."""
    if type(value) is int and value == 0:  # what most fees are, a million times in an import
        return _ZERO
    try:
        return parse_amount(value, name, PRICE_DECIMALS, maximum=MAX_PRICE)
    except InvalidAmount as error:
        raise InvalidRate(name, error.problem) from None


def multiplier(name: str, value: Amount) -> Decimal:
    """An exact factor above zero."""
    if type(value) is int and value == 1:
        return _ONE
    try:
        factor = parse_amount(value, name, MULTIPLIER_DECIMALS, maximum=MAX_MULTIPLIER)
    except InvalidAmount as error:
        raise InvalidRate(name, error.problem) from None
    if not factor:
        raise InvalidRate(name, "must be above 0")
    if len(format_amount(factor).replace(".", "").strip("0")) > MAX_MULTIPLIER_DIGITS:
        raise InvalidRate(name, f"has more than {MAX_MULTIPLIER_DIGITS} significant digits")
    return factor


def whole(name: str, value: int, least: int, most: int) -> int:
    """A whole number within limits."""
    if type(value) is not int:  # a bool is an int, and no length
        raise InvalidRate(name, f"is a {type(value).__name__}; give a whole number (int)")
    if not least <= value <= most:
        raise InvalidRate(name, f"must be from {least} to {most}")
    return value


def choice(name: str, value: _Choice | str, choices: type[_Choice]) -> _Choice:
    """One of the words of a field."""
    try:
        return choices(value)
    except ValueError:
        raise InvalidRate(name, f"must be one of {', '.join(choices)}") from None


def yes_or_no(name: str, value: object) -> bool:
    """A bool, and nothing that only counts as one."""
    if not isinstance(value, bool):
        raise InvalidRate(name, f"is a {type(value).__name__}; give true or false")
    return value


def named(values: object, required: frozenset[str], known: frozenset[str], whose: str) -> Mapping[str, object]:
    """The fields of a stored `whose`, all of them known and the required ones there."""
    if not isinstance(values, Mapping):
        raise InvalidRate(whose, "is not a JSON object")
    for name in values:
        if name not in known:
            raise InvalidRate(str(name), f"is not a field of a {whose}")
    for name in sorted(required):
        if name not in values:
            raise InvalidRate(name, "is missing")
    return values
