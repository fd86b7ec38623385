"""What people write at a command line, as values: `none`, `yes`, `12.50`, `mon-fri`, `2026-03-01T08:00`.

Law: words are understood here and nowhere below. Whether a value is one that its field may have is for the domain to
say; what is no such value at all is an InvalidRequest that names the field.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import CallKey
from rating_engine.rating.money import InvalidAmount, read_amount
from rating_engine.rating.schedule import InvalidSchedule, parse_clock, parse_day, parse_days, zone_named
from rating_engine.services.decks.file.dates import InvalidInstant, read_instant

NONE: Final = "none"  # takes a limit away

_WHOLE: Final = re.compile(r"-?[0-9]{1,12}")
_SHOWN: Final = 64  # characters of what was written, in its error
_Choice = TypeVar("_Choice", bound=StrEnum)
_Value = TypeVar("_Value")


def if_given(text: str | None, parse: Callable[[str], _Value]) -> _Value | Leave:
    """What an option means; LEAVE where it was not given."""
    return LEAVE if text is None else parse(text)


def unless_none(text: str | None, parse: Callable[[str], _Value]) -> _Value | Leave | None:
    """The same of an option that `none` takes away."""
    return LEAVE if text is None else None if text == NONE else parse(text)


def whole(text: str, field: str) -> int:
    """A whole number."""
    if not _WHOLE.fullmatch(text):
        raise InvalidRequest(field, f"{text[:_SHOWN]!r} is not a whole number")
    return int(text)


def amount(text: str, field: str) -> Decimal:
    """An amount of money, or a factor, as it is written: 12.50."""
    try:
        return read_amount(text, field)
    except InvalidAmount as error:
        raise InvalidRequest(error.field, error.problem) from None


def yes_or_no(text: str, field: str) -> bool:
    """What `yes` and `no` mean."""
    if text not in ("yes", "no"):
        raise InvalidRequest(field, f"{text[:_SHOWN]!r} is neither yes nor no")
    return text == "yes"


def choice(kind: type[_Choice], text: str, field: str) -> _Choice:
    """One of the words of an enumeration."""
    try:
        return kind(text)
    except ValueError:
        words = list(kind)
        none_of = f"neither {words[0]} nor {words[1]}" if len(words) == 2 else f"none of {', '.join(words)}"
        raise InvalidRequest(field, f"{text[:_SHOWN]!r} is {none_of}") from None


def day(text: str, field: str) -> date:
    """A day, as 2026-12-25."""
    return _of_schedule(parse_day, text, field)


def zone(text: str, field: str) -> ZoneInfo:
    """A time zone by its name."""
    return _of_schedule(zone_named, text, field)


def plain(value: object) -> object:
    """A value as JSON has it: amounts and days as text."""
    return str(value) if isinstance(value, Decimal | date) else value


def call_key(text: str, field: str) -> CallKey:
    """A call as it is listed: exchange, uniqueid and attempt."""
    exchange, _, rest = text.partition("/")
    uniqueid, _, attempt = rest.rpartition("/")
    if not (exchange and uniqueid and attempt.isascii() and attempt.isdigit() and len(attempt) <= 4):
        raise InvalidRequest(field, f"{text[:_SHOWN]!r} is no call such as pbx1/1764412345.17/1")
    return CallKey(exchange, uniqueid, int(attempt))


def days(text: str, field: str = "days") -> frozenset[int]:
    """Days of the week: mon-fri,holiday."""
    return _of_schedule(parse_days, text, field)


def clock(text: str, field: str) -> int:
    """The minute of the day of 08:00; of 24:00 it is 1440."""
    return _of_schedule(parse_clock, text, field)


def moment(text: str, field: str, zone: str = "UTC") -> datetime:
    """An instant: 2026-03-01 (midnight), 2026-03-01T08:00, in `zone` where it names no offset of its own.

    What the clocks of the zone show twice or never, as they are changed, needs its offset.
    """
    try:
        found = read_instant(text, _of_schedule(zone_named, zone, "time_zone"))
    except InvalidInstant as error:
        raise InvalidRequest(field, str(error)) from None
    if found is None:
        raise InvalidRequest(field, f"{text[:_SHOWN]!r} is not a moment such as 2026-03-01 or 2026-03-01T08:00")
    return found


def _of_schedule(parse: Callable[[str], _Value], text: str, field: str) -> _Value:
    try:
        return parse(text)
    except InvalidSchedule as error:
        raise InvalidRequest(field, str(error)) from None
