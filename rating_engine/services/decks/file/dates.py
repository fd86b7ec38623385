"""Dates and times as carriers write them, in the time zone of the tariff.

Law: what could be two instants is refused. A date alone is the first instant of that day there; a time of day that
comes twice, or not at all, when clocks are changed needs its offset; 05/06/2026 may be May or June, unless the file has
one order of day and month, which another of its dates shows or somebody said.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

from rating_engine.domain.errors import InvalidRequest
from rating_engine.services.decks.file.codes import shown
from rating_engine.services.decks.file.errors import RowRejected

EARLIEST_YEAR: Final = 1900  # before it, a slip of the keyboard
HALF_DAY_HOURS: Final = 12
MONTHS: Final = 12

_NUMBERS: Final = re.compile(r"(\d{1,2})([-/])(\d{1,2})\2(?:\d{4}|\d{2})(?!\d)", re.ASCII)
_CENTURY: Final = 2000  # of a year of two digits: decks are of this one
# A day as Excel counts them, where a cell lost its format: of 2000 to 2099.
_SERIAL: Final = re.compile(r"\d{5}(?:\.\d{1,10})?", re.ASCII)
_EARLIEST_SERIAL: Final = 36_526
_LAST_SERIAL: Final = 73_051
_SERIALS_BEGIN: Final = datetime(1899, 12, 30)  # noqa: DTZ001  # gets its zone where it is used
_DAY_SECONDS: Final = 86_400
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_NO_DATE: Final = frozenset(
    (
        *("", "-", "n/a", "na", "none", "open", "unlimited", "immediate", "immediately", "now", "asap", "at once"),
        *("with immediate effect", "immediate effect", "effective immediately", "in effect", "current", "forever"),
    )
)
_MONTH_NAMES: Final = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october"),
    *("november", "december"),
)
_TIME: Final = (
    r"(?:(?:\s*T\s*|,?\s+)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6}))?)?"
    r"\s*(?P<half>[ap]m)?\s*(?P<offset>Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?)?)?"
)
_FORMS: Final = tuple(
    re.compile(date + _TIME, re.IGNORECASE | re.ASCII)
    for date in (
        r"(?P<year>\d{4})([-/.])(?P<month>\d{1,2})\2(?P<day>\d{1,2})",  # 2026-11-30
        r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",  # 20261130
        r"(?P<day>\d{1,2})\.(?P<month>\d{1,2})\.(?P<year>\d{4}|\d{2})",  # 30.11.2026
        r"(?P<first>\d{1,2})([-/])(?P<other>\d{1,2})\2(?P<year>\d{4}|\d{2})",  # 11/30/2026 and 30/11/2026
        r"(?P<day>\d{1,2})[-/ ]?(?P<name>[a-z]{3,9})[-/ ,]*(?P<year>\d{4}|\d{2})",  # 30-Nov-2026
        r"(?P<name>[a-z]{3,9})\.? (?P<day>\d{1,2}),? (?P<year>\d{4})",  # November 30, 2026
    )
)


class DateOrder(StrEnum):
    """Of day and month in dates such as 05/06/2026."""

    DMY = "dmy"
    MDY = "mdy"


class InvalidInstant(Exception):
    """A text that is no instant, or not one alone; says why."""


def zone_of(name: str) -> tzinfo:
    """The time zone of this name. Errors: InvalidRequest."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        raise InvalidRequest("time_zone", f"{name!r} is no time zone, such as Europe/Berlin or UTC") from None


def instant_of(text: str, zone: tzinfo, name: str, order: DateOrder | None = None) -> datetime | None:
    """The instant that a cell says, in UTC; None where it says none. `name`: of its column; `order`: of the file.

    Raises RowRejected with the reason.
    """
    try:
        return read_instant(text, zone, order)
    except InvalidInstant as error:
        raise RowRejected(f"{name}: {error}") from None


def read_instant(text: str, zone: tzinfo, order: DateOrder | None = None) -> datetime | None:
    """The instant that a text says, in UTC; None where it says none. Raises InvalidInstant with the reason."""
    text = text.strip().removeprefix("'")
    if text.casefold() in _NO_DATE:
        return None
    for form in _FORMS:
        if found := form.fullmatch(text):
            return _instant(found.groupdict(), text, zone, order)
    if _SERIAL.fullmatch(text) and _EARLIEST_SERIAL <= float(text) < _LAST_SERIAL:
        local = _SERIALS_BEGIN + timedelta(seconds=round(float(text) * _DAY_SECONDS))
        return local.replace(tzinfo=zone).astimezone(UTC)
    raise InvalidInstant(f"{shown(text)} is not a date such as 2026-11-30, 30.11.2026 or 2026-11-30 08:00")


def order_shown(text: str) -> DateOrder | None:
    """The order of day and month that a date shows, as 13/10/2026 does; None where it shows none."""
    found = _NUMBERS.match(text.strip().removeprefix("'"))
    if found is None:
        return None
    first, other = int(found[1]), int(found[3])
    if first > MONTHS >= other:
        return DateOrder.DMY
    return DateOrder.MDY if other > MONTHS >= first else None


def _instant(parts: dict[str, str | None], text: str, zone: tzinfo, order: DateOrder | None) -> datetime:
    try:
        day = datetime(_year(parts["year"] or ""), *_month_and_day(parts, text, order))  # noqa: DTZ001  # gets its zone below
        local = day + _since_midnight(parts)
    except (ValueError, OverflowError):
        raise InvalidInstant(f"{shown(text)} is not a day or time of the calendar") from None
    if local.year < EARLIEST_YEAR:
        raise InvalidInstant(f"{shown(text)} is before the year {EARLIEST_YEAR}")
    if offset := parts["offset"]:
        zone = _offset(offset, text)
    elif local != day and len({local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}) > 1:
        raise InvalidInstant(
            f"{shown(text)} is not one instant, since clocks are changed then: add the offset, as in +01:00"
        )
    try:
        return local.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:  # 31 December 9999, as some write "never", is over there when it is 10000 in UTC
        return _LAST


def _year(text: str) -> int:
    return int(text) + (_CENTURY if len(text) == len("26") else 0)


def _month_and_day(parts: dict[str, str | None], text: str, order: DateOrder | None) -> tuple[int, int]:
    if "first" in parts:
        return _american_or_not(int(parts["first"] or 0), int(parts["other"] or 0), text, order)
    if word := parts.get("name"):
        word = word.casefold()
        months = [number for number, full in enumerate(_MONTH_NAMES, start=1) if full.startswith(word)]
        if word == "sept":
            months = [_MONTH_NAMES.index("september") + 1]
        return (months[0] if len(months) == 1 else 0), int(parts["day"] or 0)
    return int(parts["month"] or 0), int(parts["day"] or 0)


def _american_or_not(first: int, other: int, text: str, order: DateOrder | None) -> tuple[int, int]:
    """Month and day of two numbers of which one should be the month."""
    if order is not None:
        month, day = (other, first) if order is DateOrder.DMY else (first, other)
        if month > MONTHS >= day:
            raise InvalidInstant(f"{shown(text)} has not the order of the file's other dates, {order.value}")
        return month, day
    if first <= MONTHS and other <= MONTHS and first != other:
        raise InvalidInstant(f"{shown(text)} may be two days: write the year first, as in 2026-11-30, or 30.11.2026")
    return (first, other) if first <= MONTHS else (other, first)


def _since_midnight(parts: dict[str, str | None]) -> timedelta:
    """Raises ValueError for what no clock shows."""
    if not parts["hour"]:
        return timedelta()
    hour = int(parts["hour"])
    if half := parts["half"]:
        if not 1 <= hour <= HALF_DAY_HOURS:
            raise ValueError(hour)
        hour = hour % HALF_DAY_HOURS + (HALF_DAY_HOURS if half.casefold() == "pm" else 0)
    fraction = (parts["fraction"] or "").ljust(6, "0")
    time = datetime(2000, 1, 1, hour, int(parts["minute"] or 0), int(parts["second"] or 0), int(fraction))  # noqa: DTZ001
    return time - datetime(2000, 1, 1)  # noqa: DTZ001  # a span


def _offset(offset: str, text: str) -> tzinfo:
    if offset[0] not in "+-":
        return UTC
    digits = offset[1:].replace(":", "").ljust(4, "0")
    span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    try:
        return timezone(-span if offset[0] == "-" else span)
    except ValueError:
        raise InvalidInstant(f"{shown(text)} has an offset of a day or more") from None
