"""What operators write, checked: names, amounts, whole numbers, moments. Everything wrong is an InvalidRequest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar

from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.money import AMOUNT_DECIMALS, MAX_AMOUNT, InvalidAmount, parse_amount
from rating_engine.rating.schedule import InvalidSchedule, zone_named

MAX_NAME: Final = 100  # characters; it stands on invoices and command lines
MAX_TEXT: Final = 1_000  # of a description
MAX_INTEGER: Final = 2**31 - 1  # of the columns
FACTOR_DECIMALS: Final = 6
MAX_FACTOR: Final = Decimal("999999.999999")  # NUMERIC(12,6): multipliers

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_Choice = TypeVar("_Choice", bound=StrEnum)


def name_of(text: str, field: str) -> str:
    """A name as people give it: 1 to 100 printable characters, no space at its ends."""
    if not 1 <= len(text) <= MAX_NAME or text != text.strip() or not text.isprintable():
        raise InvalidRequest(field, f"a name has 1 to {MAX_NAME} printable characters and no space at its ends")
    return text


def text_of(text: str, field: str) -> str:
    """A line or two for people."""
    if len(text) > MAX_TEXT:
        raise InvalidRequest(field, f"may have {MAX_TEXT} characters at most")
    return text


def currency_of(text: str, field: str = "currency") -> str:
    """An ISO 4217 code."""
    if not _CURRENCY.fullmatch(text):
        raise InvalidRequest(field, f"{text!r} is not an ISO 4217 code such as EUR")
    return text


def whole_number(text: str, field: str, *, least: int = 0, most: int = MAX_INTEGER) -> int:
    """A whole number from `least` to `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and least <= int(text) <= most):
        raise InvalidRequest(field, f"{text!r} is not a whole number from {least} to {most}")
    return int(text)


def yes_or_no(text: str, field: str) -> bool:
    """What `yes` and `no` mean."""
    if text not in ("yes", "no"):
        raise InvalidRequest(field, f"{text!r} is neither yes nor no")
    return text == "yes"


def choice_of(kind: type[_Choice], text: str, field: str) -> _Choice:
    """One of the words of an enumeration."""
    try:
        return kind(text)
    except ValueError:
        raise InvalidRequest(field, f"{text!r} is none of {_listed(kind)}") from None


def amount_of(text: str, field: str, decimals: int = AMOUNT_DECIMALS, maximum: Decimal = MAX_AMOUNT) -> Decimal:
    """An amount of money that is not negative."""
    try:
        return parse_amount(text, field, decimals, maximum=maximum)
    except InvalidAmount as error:
        raise InvalidRequest(error.field, error.problem) from None


def factor_of(text: str, field: str) -> Decimal:
    """A factor of prices: above zero, at most six decimals."""
    factor = amount_of(text, field, FACTOR_DECIMALS, MAX_FACTOR)
    if factor == 0:
        raise InvalidRequest(field, "must be above zero; 1 changes nothing")
    return factor


def zone_of(text: str, field: str) -> str:
    """A time zone by its name in the IANA database."""
    try:
        zone_named(text)
    except InvalidSchedule as error:
        raise InvalidRequest(field, str(error)) from None
    return text


def day_of(text: str, field: str) -> date:
    """A day, as 2026-12-25."""
    try:
        if len(text) != len("2026-12-25"):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(field, f"{text!r} is not a day such as 2026-12-25") from None


def moment_of(text: str, field: str, zone: str = "UTC") -> datetime:
    """An instant: 2026-03-01 (midnight), 2026-03-01T08:00, in `zone` where it names no offset of its own.

    What the clocks of the zone show twice or never, as they are changed, needs its offset.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(field, f"{text!r} is not a moment such as 2026-03-01 or 2026-03-01T08:00+01:00") from None
    if moment.tzinfo is not None:
        return moment
    local = moment.replace(tzinfo=zone_named(zone))
    if moment.time() != time() and local.utcoffset() != local.replace(fold=1).utcoffset():
        raise InvalidRequest(
            field, f"{text!r} is not one moment in {zone}, since clocks are changed then: add the offset, as in +01:00"
        )
    return local


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)
