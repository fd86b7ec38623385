"""What values of settings must be, whoever gives them: names, amounts, whole numbers, currencies, time zones.

Everything wrong is an InvalidRequest that names the field.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.money import AMOUNT_DECIMALS, MAX_AMOUNT, InvalidAmount, parse_amount
from rating_engine.rating.number import normalise_callerid
from rating_engine.rating.schedule import InvalidSchedule, zone_named

MAX_INTEGER: Final = 2**31 - 1  # of the columns
MAX_NAME: Final = 100  # characters; it stands on invoices and command lines
MAX_TEXT: Final = 1_000  # of a description
MAX_LINE: Final = 200  # of a heading: it may stand in the head of a mail
MAX_REASON: Final = 200  # it stands in a line of a statement
MAX_REFERENCE: Final = 200  # of an idempotency key
# How the engine's own references begin, of ledger entries and of transfers: one of somebody else's would be taken for
# theirs, and what it stands for never be charged.
OWN_REFERENCES: Final = (
    "transfer:",
    "card:",
    "code:",
    "register:",
    "balance:",
    "did:",
    "subscription:",
    "payment:",
    "credit_note:",
    "minimum:",
    "message:",
)
FACTOR_DECIMALS: Final = 6
MAX_FACTOR: Final = Decimal("999999.999999")  # NUMERIC(12,6): multipliers

_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,188}[A-Za-z0-9])?")
_LOGIN: Final = re.compile(r"[!-+\--~]{1,64}")  # printable ASCII without space or comma: it travels in AGI arguments
_PREFIX: Final = re.compile(r"[0-9]{1,32}")


def check_name(name: str, field: str = "name") -> None:
    """A name as people give it: 1 to 100 printable characters, no space at its ends."""
    if not 1 <= len(name) <= MAX_NAME or name != name.strip() or not name.isprintable():
        raise InvalidRequest(field, f"a name has 1 to {MAX_NAME} printable characters and no space at its ends")


def check_text(text: str, field: str) -> None:
    """A line or two for people."""
    if len(text) > MAX_TEXT:
        raise InvalidRequest(field, f"may have {MAX_TEXT} characters at most")
    if "\0" in text:
        raise InvalidRequest(field, "has a NUL character, which no text can have")


def check_line(text: str, field: str, *, empty: bool = False) -> None:
    """A heading: one line of printable characters."""
    least = 0 if empty else 1
    if not least <= len(text) <= MAX_LINE or not text.isprintable():
        raise InvalidRequest(field, f"must be a line of {least} to {MAX_LINE} printable characters")


def check_long_text(text: str, field: str, most: int, *, empty: bool = False) -> None:
    """Some lines or pages for people."""
    if not text.strip() and not empty:
        raise InvalidRequest(field, "is empty")
    if len(text) > most:
        raise InvalidRequest(field, f"may have {most} characters at most")
    if "\0" in text:
        raise InvalidRequest(field, "has a NUL character, which no text can have")


def check_reason(text: str, field: str = "reason") -> None:
    """Why something was done: a line for those who will ask."""
    if not 1 <= len(text.strip()) <= MAX_REASON or not text.isprintable():
        raise InvalidRequest(field, f"must be a line of 1 to {MAX_REASON} printable characters")


def check_currency(code: str, field: str = "currency") -> None:
    """An ISO 4217 code."""
    if not _CURRENCY.fullmatch(code):
        raise InvalidRequest(field, f"{code[:40]!r} is not an ISO 4217 code such as EUR")


def check_login(login: str, field: str = "login") -> None:
    """Who calls, as Asterisk's accountcode has it."""
    if not _LOGIN.fullmatch(login):
        raise InvalidRequest(field, "must be 1 to 64 printable ASCII characters without space or comma")


def check_email(address: str, field: str) -> None:
    """One address that mail goes to, in ASCII."""
    if not is_email(address):
        raise InvalidRequest(field, f"{address[:80]!r} is not an address such as anna@example.org")


def is_email(address: str) -> bool:
    """Whether it is one address that mail can go to."""
    return bool(_EMAIL.fullmatch(address))


def check_callerid(callerid: str, field: str = "callerid") -> None:
    """A caller id as it goes into a dialplan variable; '': none."""
    if callerid and normalise_callerid(callerid) != callerid:
        raise InvalidRequest(field, "may have digits, letters and + only, 40 at most")


def check_prefix(prefix: str, field: str = "prefix") -> None:
    """How a destination begins."""
    if not _PREFIX.fullmatch(prefix):
        raise InvalidRequest(field, f"{prefix[:40]!r} is not 1 to 32 digits")


def check_key(key: str | None, field: str = "reference") -> None:
    """Whether an idempotency key, of the engine's own too, fits its column."""
    if key is not None and (not 1 <= len(key) <= MAX_REFERENCE or "\0" in key):
        raise InvalidRequest(field, f"must have 1 to {MAX_REFERENCE} characters")


def check_reference(reference: str | None, field: str = "reference") -> None:
    """The same of one that somebody gives from outside: it is none of the engine's own."""
    check_key(reference, field)
    if reference is not None and reference.startswith(OWN_REFERENCES):
        raise InvalidRequest(field, f"may not begin with {reference.partition(':')[0]}: which the engine's own have")


def check_whole(number: int | None, field: str, *, least: int = 0, most: int = MAX_INTEGER) -> None:
    """A whole number from `least` to `most`; None (no limit) is for the caller to allow."""
    if number is not None and not least <= number <= most:
        raise InvalidRequest(field, f"must be from {least} to {most}")


def check_amount(
    amount: Decimal | None,
    field: str,
    decimals: int = AMOUNT_DECIMALS,
    maximum: Decimal = MAX_AMOUNT,
    *,
    allow_negative: bool = False,
) -> None:
    """An amount of money that its column holds exactly; None (no limit) is for the caller to allow."""
    if amount is None:
        return
    try:
        parse_amount(amount, field, decimals, maximum=maximum, allow_negative=allow_negative)
    except InvalidAmount as error:
        raise InvalidRequest(error.field, error.problem) from None


def check_above_zero(amount: Decimal, field: str) -> None:
    """An amount that is money."""
    if amount <= 0:
        raise InvalidRequest(field, "must be above zero")


def check_not_zero(amount: Decimal, field: str) -> None:
    """An amount that changes something, up or down."""
    if amount == 0:
        raise InvalidRequest(field, "must not be zero: it would change nothing")


def check_factor(factor: Decimal, field: str) -> None:
    """A factor of prices: above zero, at most six decimals."""
    check_amount(factor, field, FACTOR_DECIMALS, MAX_FACTOR)
    if factor == 0:
        raise InvalidRequest(field, "must be above zero; 1 changes nothing")


def check_zone(name: str, field: str = "time_zone") -> None:
    """A time zone by its name in the IANA database."""
    try:
        zone_named(name)
    except InvalidSchedule as error:
        raise InvalidRequest(field, str(error)) from None
