"""Time of day: the windows of a tariff, and the calendars of its holidays."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.schedule import MINUTES_PER_DAY, InvalidSchedule, Window, parse_clock, parse_days
from rating_engine.services.tariffs.fields import day_of, name_of, text_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import tariff_bands as store

MAX_FILE_BYTES: Final = 2_000_000  # far more than MAX_HOLIDAYS days with their names

_Value = TypeVar("_Value")

_BAND: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class Bands:
    """The use cases of `rating-engine tariff band` and `rating-engine holidays`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def windows(self, tariff: str) -> tuple[Window, ...]:
        """The windows of a tariff in the order in which they are tried. Errors: NotFound, Unavailable."""
        return await store.list_windows(self._database, tariff)

    async def add(
        self, tariff: str, *, band: str, days: str, starts: str, ends: str, position: int | None = None
    ) -> tuple[Window, ...]:
        """A window [starts, ends) of a band, tried after those there are, or at a position counted from 1.

        `days`: mon-fri,holiday. `starts`, `ends`: 08:00, in the tariff's time zone; an end at or before the start is of
        the next day. Returns all windows. Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        if not _BAND.fullmatch(band):
            raise InvalidRequest("band", "must be 1 to 32 of a-z, 0-9, _ and -, beginning with a letter")
        if position is not None and position < 1:
            raise InvalidRequest("position", "must be 1 or more")
        window = Window(
            band,
            _parsed(parse_days, days, "days"),
            _parsed(parse_clock, starts, "from"),
            _parsed(parse_clock, ends, "to"),
        )
        if window.starts == MINUTES_PER_DAY:
            raise InvalidRequest("from", "24:00 is the end of a day; 00:00 starts one")
        return await store.add_window(self._database, tariff, window, position)

    async def remove(self, tariff: str, position: int) -> tuple[Window, ...]:
        """Take the window at a position away; returns those left. Errors: InvalidRequest, NotFound, Unavailable."""
        if position < 1:
            raise InvalidRequest("position", "must be 1 or more")
        return await store.remove_window(self._database, tariff, position)

    async def holidays(self, calendar: str | None = None) -> list[tuple[str, date, str]]:
        """(calendar, day, name), of one calendar or every one. Errors: Unavailable."""
        return await store.list_holidays(self._database, calendar)

    async def add_holiday(self, calendar: str, day: str, name: str = "") -> int:
        """A day of a calendar, created if need be; returns how many days changed: 0 or 1.

        Errors: InvalidRequest, Unavailable.
        """
        checked = [(day_of(day, "day"), text_of(name, "name"))]
        return await store.add_holidays(self._database, _calendar(calendar), checked)

    async def remove_holiday(self, calendar: str, day: str) -> None:
        """Errors: InvalidRequest, NotFound, Unavailable."""
        await store.remove_holiday(self._database, calendar, day_of(day, "day"))

    async def import_holidays(self, calendar: str, file: Path) -> int:
        """Add the days of a CSV file, all or none; returns how many changed. Days that are there stay.

        Errors: InvalidRequest naming the line, Unavailable.
        """
        return await store.add_holidays(self._database, _calendar(calendar), read_holidays(file))


def read_holidays(file: Path) -> list[tuple[date, str]]:
    """The rows `date,name` of a CSV file, a heading before them allowed. Raises InvalidRequest naming the line."""
    try:
        with file.open("rb") as opened:
            data = opened.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise InvalidRequest("file", f"{file} is larger than {MAX_FILE_BYTES:,} bytes; is it a calendar?")
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise InvalidRequest("file", f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidRequest("file", f"{file} is not UTF-8 text") from None
    days: dict[date, str] = {}
    reader = csv.reader(text.splitlines())
    for cells in reader:
        line = reader.line_num
        if not any(cell.strip() for cell in cells) or (line == 1 and cells[0].strip().lower() in ("date", "day")):
            continue
        day = day_of(cells[0].strip(), f"line {line}")
        if day in days:
            raise InvalidRequest(f"line {line}", f"{day} came before")
        days[day] = text_of(",".join(cells[1:]).strip(), f"line {line}")
    if not days:
        raise InvalidRequest("file", f"{file} has no days")
    return list(days.items())


def _parsed(parse: Callable[[str], _Value], text: str, field: str) -> _Value:
    try:
        return parse(text)
    except InvalidSchedule as error:
        raise InvalidRequest(field, str(error)) from None


def _calendar(name: str) -> str:
    if name == "none":
        raise InvalidRequest("calendar", "'none' is the word for no calendar")
    return name_of(name, "calendar")
