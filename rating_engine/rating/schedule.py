"""Time of day: which band an instant is in, by weekday, local time and holidays.

Windows are half-open, [starts, ends): an instant at the end of one belongs to the next. Of several windows that hold an
instant the first counts; where none does, the band is ''.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

HOLIDAY: Final = 8  # beside 1 Monday to 7 Sunday


@dataclass(frozen=True, slots=True)
class Window:
    """`band` from minute `starts` to minute `ends` (0 to 1440) of the local day; ends <= starts goes into the next day.

    `days`: 1 Monday to 7 Sunday, 8 holidays, on which the other days do not count.
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


ALWAYS: Final = Schedule()
