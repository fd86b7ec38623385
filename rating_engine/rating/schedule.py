"""Time of day: which band an instant is in, by weekday, local time and holidays; and where it changes after that.

Law: the band is a function of the local wall clock alone. Windows are half-open, [starts, ends): an instant at the end
of one belongs to the next. Of several windows that hold an instant the first counts; where none does, the band is ''.

So daylight saving needs no rule of its own. What the clock skips in spring is in no band: a window of 02:30 to 03:30
begins at 03:00 that night. The hour it shows twice in autumn is in the same bands twice: a window of 02:00 to 02:30
holds, ends, and holds again an hour later.

Time zones are those of the machine's IANA database, else of the package tzdata; a zone is read once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo

HOLIDAY: Final = 8  # beside 1 Monday to 7 Sunday
MINUTES_PER_DAY: Final = 1440
MAX_LOOKAHEAD_SECONDS: Final = 31 * 86_400  # no call lasts a month; bounds the work of `changes`

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_DAY_NAMES: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun", "holiday")
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})")
# Of one machine only, or counting leap seconds: with these two engines would tell one instant differently.
_UNFIT_ZONES: Final = ("localtime", "posixrules", "posix", "right")


class InvalidSchedule(ValueError):
    """Text that names no days, time, period or zone; says what was wrong with it."""


@dataclass(frozen=True, slots=True)
class Window:
    """`band` from minute `starts` to minute `ends` (0 to 1440) of the local day; ends <= starts goes into the next day.

    `days`: 1 Monday to 7 Sunday, 8 holidays, on which the other days do not count. A window that goes into the next day
    belongs to the day it starts on, whatever day the next one is.
    """

    band: str
    days: frozenset[int]
    starts: int
    ends: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The windows of a tariff or route in order, in the time zone `zone` (a name of the IANA database)."""

    windows: tuple[Window, ...] = ()
    holidays: frozenset[date] = frozenset()
    zone: str = "UTC"

    def band_at(self, at: datetime) -> str:
        """The band that an aware instant is in; '' where no window holds it.

        Raises InvalidSchedule for an unknown zone, ValueError for a naive `at`.
        """
        return self._band(_wall_clock(at, self.zone)) if self.windows else ""

    def changes(self, at: datetime, seconds: int) -> tuple[tuple[int, str], ...]:
        """Where the band changes in the `seconds` after `at`: (second from `at`, the band from then on), ascending.

        A second k, 0 < k < seconds, is the first whole one with `at` + k in the new band, also where `at` has a
        fraction. Looks no further than MAX_LOOKAHEAD_SECONDS. Raises as `band_at` does.
        """
        if not self.windows:
            return ()
        # Bands change on whole seconds. Counted from the second that `at` is in, a change after n of them is also the
        # first whole second counted from `at` itself.
        start = at.replace(microsecond=0)
        band = self.band_at(start)
        found = []
        for second, wall in self._boundaries(start, min(seconds, MAX_LOOKAHEAD_SECONDS)):
            following = self._band(wall)
            if following != band:
                found.append((second, following))
                band = following
        return tuple(found)

    def _band(self, wall: datetime) -> str:
        minute = wall.hour * 60 + wall.minute
        today = self._kind_of_day(wall.date())
        yesterday = self._kind_of_day(wall.date() - _DAY)
        for window in self.windows:
            overnight = window.ends <= window.starts
            if today in window.days and window.starts <= minute and (overnight or minute < window.ends):
                return window.band
            if overnight and yesterday in window.days and minute < window.ends:
                return window.band
        return ""

    def _kind_of_day(self, day: date) -> int:
        return HOLIDAY if day in self.holidays else day.isoweekday()

    def _boundaries(self, start: datetime, seconds: int) -> Iterator[tuple[int, datetime]]:
        """Every (second from `start`, wall clock) at which the band may change: the minutes at which windows start and
        end, and where the clock is put forward or back."""
        minutes = sorted({minute for window in self.windows for minute in (window.starts, window.ends)})
        for first, last, begins in _even_stretches(start, seconds, self.zone):
            if first:
                yield first, begins
            ends = begins + (last - first) * _SECOND
            midnight = begins.replace(hour=0, minute=0, second=0)
            while midnight < ends:
                for minute in minutes:
                    wall = midnight + timedelta(minutes=minute)
                    if begins < wall < ends:
                        yield first + (wall - begins) // _SECOND, wall
                midnight += _DAY


ALWAYS: Final = Schedule()


@cache
def zone_named(name: str) -> ZoneInfo:
    """The time zone of a name of the IANA database, as Europe/Berlin. Raises InvalidSchedule for any other."""
    if name.split("/")[0] not in _UNFIT_ZONES:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):  # not found, no name at all, a folder of the database
            pass
    raise InvalidSchedule(f"{name[:64]!r} is no time zone like UTC or Europe/Berlin")


def period_start(at: datetime, zone: str, period: str) -> date:
    """The local day on which the 'day', 'week' (from Monday) or 'month' that holds the instant `at` began.

    Raises InvalidSchedule for another period or an unknown zone, ValueError for a naive `at`.
    """
    day = _wall_clock(at, zone).date()
    if period == "day":
        return day
    if period == "week":
        return day - timedelta(days=day.weekday())
    if period == "month":
        return day.replace(day=1)
    raise InvalidSchedule(f"{period!r} is no period: day, week or month")


def parse_days(text: str) -> frozenset[int]:
    """The days of a window from text like `mon-fri,holiday`; a range may go over Sunday, as `sat-mon`.

    Raises InvalidSchedule naming the part that is no day.
    """
    days: set[int] = set()
    for part in text.lower().split(","):
        first, dash, last = part.strip().partition("-")
        day = _day_named(first.strip())
        days.add(day)
        if not dash:
            continue
        last_day = _day_named(last.strip())
        if HOLIDAY in (day, last_day):
            raise InvalidSchedule(f"{part.strip()[:32]!r} has holiday in a range; it stands alone")
        while day != last_day:
            day = day % 7 + 1
            days.add(day)
    return frozenset(days)


def render_days(days: frozenset[int]) -> str:
    """The text that `parse_days` reads as these days: ranges of three days and more, in the order of the week."""
    parts: list[str] = []
    day = 1
    while day <= HOLIDAY:
        last = day
        while last + 1 in days and last + 1 < HOLIDAY:
            last += 1
        if day in days:
            wide = last - day >= 2
            parts += [f"{_DAY_NAMES[day - 1]}-{_DAY_NAMES[last - 1]}"] if wide else _DAY_NAMES[day - 1 : last]
            day = last
        day += 1
    return ",".join(parts)


def parse_day(text: str) -> date:
    """A day of text like 2026-12-25. Raises InvalidSchedule."""
    try:
        if len(text) != len("2026-12-25"):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidSchedule(f"{text[:32]!r} is not a day such as 2026-12-25") from None


def parse_clock(text: str) -> int:
    """The minute of the day of text like `08:00`; `24:00`, the end of the day, is 1440. Raises InvalidSchedule."""
    clock = _CLOCK.fullmatch(text.strip())
    if not clock:
        raise InvalidSchedule(f"{text[:32]!r} is no time like 08:00")
    minute = int(clock[1]) * 60 + int(clock[2])
    if int(clock[2]) > 59 or minute > MINUTES_PER_DAY:
        raise InvalidSchedule(f"{text[:32]!r} is no time from 00:00 to 24:00")
    return minute


def render_clock(minute: int) -> str:
    """The text that `parse_clock` reads as this minute of the day, 0 to 1440."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _day_named(name: str) -> int:
    if name not in _DAY_NAMES:
        raise InvalidSchedule(f"{name[:32]!r} is no day: mon, tue, wed, thu, fri, sat, sun or holiday")
    return _DAY_NAMES.index(name) + 1


def _wall_clock(at: datetime, zone: str) -> datetime:
    """What the clocks of the zone show at an instant, as a naive datetime."""
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    # By way of UTC: a local time that the clock skipped is then what the clock showed instead.
    return at.astimezone(UTC).astimezone(zone_named(zone)).replace(tzinfo=None, fold=0)


def _even_stretches(start: datetime, seconds: int, zone: str) -> Iterator[tuple[int, int, datetime]]:
    """The `seconds` after `start`, cut where the zone's clock is put forward or back.

    Each stretch as (first second, the one after its last, the wall clock at the first); none is longer than a day.
    """
    origin = start.astimezone(UTC)

    def wall_at(second: int) -> datetime:
        return _wall_clock(origin + second * _SECOND, zone)

    first = 0
    while first < seconds:
        begins = wall_at(first)
        last = min(first + 86_400, seconds)  # no zone puts its clock twice in a day
        if wall_at(last) - begins != (last - first) * _SECOND:
            even = first
            while last - even > 1:
                middle = (even + last) // 2
                is_even = wall_at(middle) - begins == (middle - first) * _SECOND
                even, last = (middle, last) if is_even else (even, middle)
        yield first, last, begins
        first = last
