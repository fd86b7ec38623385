"""Times as an exchange writes them into its logs and records: mostly without a zone, often without a year.

Law: a time that could be two instants is decided by what else is known of the call, or it is none: `choose` names what
does not fit. A channel's uniqueid begins with the second in which it was made, which knows no zone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from rating_engine.services.decks.file.dates import InvalidInstant, read_instant

_EPOCH: Final = re.compile(r"\d{9,11}(?:\.\d{1,9})?", re.ASCII)
_WITH_YEAR: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})[ T](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?", re.ASCII)
_WITHOUT_YEAR: Final = re.compile(r"([A-Z][a-z]{2})\s+(\d{1,2})\s+(\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_UNIQUEID: Final = re.compile(r"(?:.+-)?([0-9]{9,11})\.[0-9]{1,10}", re.ASCII)
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ExchangeClock:
    """`zone` None: this machine's own, where nobody said which."""

    zone: tzinfo | None

    def instants(self, text: str, about: datetime) -> list[datetime]:
        """Every instant that the text may be, the earliest first; where it has no year, near `about`.

        Raises InvalidInstant for what is no time.
        """
        text = text.strip()
        if _EPOCH.fullmatch(text):
            return [datetime.fromtimestamp(float(text), UTC)]
        if found := _WITH_YEAR.fullmatch(text):
            return self._of(_local(text, *found.groups()))
        if found := _WITHOUT_YEAR.fullmatch(text):
            month = str(_MONTHS.index(found[1]) + 1) if found[1] in _MONTHS else "0"
            years = {(about - _ONE_DAY).year, (about + _ONE_DAY).year}
            return sorted(
                one for year in years for one in self._of(_local(text, str(year), month, *found.groups()[1:]))
            )
        one = read_instant(text, self.zone or _own_zone())
        if one is None:
            raise InvalidInstant(f"{text[:40]!r} is no time")
        return [one]

    def _of(self, local: datetime) -> list[datetime]:
        """Both instants where the clocks of the zone show it twice."""
        both = (local.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1))
        return sorted(set(both))


def choose(instants: Iterable[datetime], earliest: datetime, latest: datetime, whose: str) -> datetime:
    """The one that is not before `earliest` nor after `latest`, by what is known of `whose`.

    Raises InvalidInstant where none is, or two are.
    """
    found = list(instants)
    fitting = [one for one in found if earliest <= one <= latest]
    if len(fitting) == 1:
        return fitting[0]
    shown = f"{found[-1]:%Y-%m-%d %H:%M:%S} UTC"
    if fitting:
        raise InvalidInstant(f"{shown} or {fitting[0]:%H:%M:%S} UTC, since clocks were changed then")
    raise InvalidInstant(
        f"{shown} does not fit {whose}, {earliest:%Y-%m-%d %H:%M:%S} to {latest:%Y-%m-%d %H:%M:%S} UTC:"
        " is the time zone that of the exchange?"
    )


def has_year(text: str) -> bool:
    """Whether a time says its year."""
    return _WITHOUT_YEAR.fullmatch(text.strip()) is None


def channel_made_at(uniqueid: str) -> datetime | None:
    """When a channel was made, to the second, by its uniqueid; None where that does not say."""
    found = _UNIQUEID.fullmatch(uniqueid)
    return None if found is None else datetime.fromtimestamp(int(found[1]), UTC)


def _own_zone() -> tzinfo:
    zone = datetime.now(UTC).astimezone().tzinfo
    assert zone is not None
    return zone


def _local(
    text: str, year: str, month: str, day: str, hour: str, minute: str, second: str, part: str | None
) -> datetime:
    try:
        whole = datetime(int(year), int(month), int(day), int(hour), int(minute), int(second))  # noqa: DTZ001  # gets its zone later
    except ValueError:
        raise InvalidInstant(f"{text[:40]!r} is no time of the calendar") from None
    return whole + timedelta(microseconds=int((part or "0").ljust(6, "0")[:6]))
