"""For which calls the rates of a row count: from when to when, from whom, in which band; or that it closes.

Laws: dates are half-open, [from, to). A row that says that its codes are closed is no rate: a delta ends what there is,
and a whole deck simply lacks it. What has its date still ahead counts until then.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from rating_engine.rating.nanp import Jurisdiction
from rating_engine.services.decks.file.codes import CodeReader, Dash, shown
from rating_engine.services.decks.file.columns import Column
from rating_engine.services.decks.file.dates import DateOrder, instant_of
from rating_engine.services.decks.file.errors import RowRejected
from rating_engine.services.decks.file.layout import Layout
from rating_engine.services.decks.file.words import says_any_time, says_closed

ANY_ORIGIN: Final = frozenset(("", "any", "all", "*", "default", "indeterminate"))
JURISDICTIONS: Final = {
    **dict.fromkeys(("inter", "interstate"), Jurisdiction.INTER),
    **dict.fromkeys(("intra", "intrastate"), Jurisdiction.INTRA),
}

_BAND: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")  # as schema.sql has it for tariff_bands
_OFF_PEAK: Final = frozenset(("offpeak", "off_peak", "off-peak"))
_FROM_EVER: Final = "-infinity"
_FOR_EVER: Final = "infinity"
_ANY: Final = "\\N"  # NULL, as COPY writes it


@dataclass(frozen=True, slots=True)
class Conditions:
    """Of a row. `origins`: prefixes of callers' numbers, '' for any; `starts`, `ends` None: unbounded.

    `closed`: the row is no rate. In a delta it ends what of its codes began before `ends` (None: all of it);
    `any_origin` and `any_band` where the file has no such column: of all of them.
    """

    origins: tuple[str, ...] = ("",)
    band: str = ""
    starts: datetime | None = None
    ends: datetime | None = None
    closed: bool = False
    any_origin: bool = True
    any_band: bool = True

    def keys(self, band: str, origin: str | None = None) -> list[tuple[str, str]]:
        """For each origin, or the given one: what tells its rates from others of the prefix, and the COPY text of all
        conditions."""
        starts, ends = _copy_instant(self.starts, _FROM_EVER), _copy_instant(self.ends, _FOR_EVER)
        return [
            (f"/{origin}/{band}" if origin or band else "", f"{origin}\t{band}\t{starts}\t{ends}")
            for origin in (self.origins if origin is None else (origin,))
        ]

    def closings(self) -> list[str]:
        """For each origin the COPY text of a closing: origin, band, when (see storage/decks/deck_delta)."""
        band, ends = _ANY if self.any_band else self.band, _copy_instant(self.ends, _FROM_EVER)
        return [f"{_ANY if self.any_origin else origin}\t{band}\t{ends}" for origin in self.origins]


class ConditionReader:
    """Reads them in a time zone, for a version that comes into force at `comes_at`."""

    def __init__(
        self, layout: Layout, zone: tzinfo, comes_at: datetime, *, delta: bool, date_order: DateOrder | None = None
    ) -> None:
        self._date_order = date_order
        self._layout = layout
        self._zone = zone
        self._comes_at = comes_at
        self._delta = delta

    def read(self, values: Mapping[Column, str]) -> Conditions:
        """The conditions of a row by its cells that say something. Raises RowRejected."""
        starts, ends = (
            instant_of(values[column], self._zone, self._layout.name(column), self._date_order)
            if column in values
            else None
            for column in (Column.EFFECTIVE_FROM, Column.EFFECTIVE_TO)
        )
        if starts is not None and ends is not None and ends <= starts:
            raise RowRejected(f"{self._layout.name(Column.EFFECTIVE_TO)}: the rate ends before it begins")
        said = Conditions(
            origins=self._origins(values.get(Column.ORIGIN, "")),
            band=self._band(values.get(Column.BAND, "")),
            starts=starts,
            ends=ends,
            any_origin=Column.ORIGIN not in self._layout.positions,
            any_band=Column.BAND not in self._layout.positions,
        )
        if says_closed(values.get(Column.STATUS, "")):
            return self._closed(said)
        return replace(said, closed=True) if ends is not None and ends <= self._comes_at else said

    def _closed(self, said: Conditions) -> Conditions:
        """Closed at its end where it says one, else at the one date it has; a whole deck has the rate until then."""
        starts, ends = (said.starts, said.ends) if said.ends is not None else (None, said.starts)
        is_ahead = ends is not None and ends > self._comes_at
        return replace(said, starts=starts, ends=ends, closed=self._delta or not is_ahead)

    def _origins(self, text: str) -> tuple[str, ...]:
        if text.casefold() in ANY_ORIGIN:
            return ("",)
        if jurisdiction := JURISDICTIONS.get(text.casefold()):
            return (jurisdiction,)
        return CodeReader(Dash.RANGE).whole(text, self._layout.name(Column.ORIGIN))

    def _band(self, text: str) -> str:
        word = "-".join(text.casefold().split())
        if says_any_time(text):
            return ""
        if word in _OFF_PEAK:
            return "off-peak"
        if not _BAND.fullmatch(word):
            raise RowRejected(
                f"{self._layout.name(Column.BAND)}: {shown(text)} is no name of a band: letters, digits, - and _, at"
                " most 32"
            )
        return word


def _copy_instant(instant: datetime | None, unbounded: str) -> str:
    return unbounded if instant is None else instant.astimezone(UTC).isoformat()
