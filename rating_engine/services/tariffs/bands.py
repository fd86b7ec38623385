"""Time of day: the windows of a tariff, and the calendars of its holidays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from rating_engine.domain.checks import check_text, check_whole
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff_card import Holiday, check_calendar, check_window
from rating_engine.rating.schedule import Window
from rating_engine.services.tariffs.holiday_file import read_holidays
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import tariff_bands as store


class Bands:
    """What one principal does with windows and holidays."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def windows(self, tariff: str) -> Sequence[Window]:
        """The windows of a tariff in the order in which they are tried. Errors: NotFound, Unavailable."""
        return await store.list_windows(self._database, tariff)

    async def add(self, tariff: str, window: Window, *, position: int | None = None) -> Sequence[Window]:
        """A window, tried after those there are, or at a position counted from 1; returns all windows.

        Its clock is the tariff's. Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        check_window(window)
        check_whole(position, "position", least=1)
        async with self._database.transaction(self._principal) as tx:
            windows = await store.add_window(tx, tariff, window, position)
            await record(tx, "tariff.bands", tariff, {"added": window.band, "windows": len(windows)})
        return windows

    async def remove(self, tariff: str, position: int) -> Sequence[Window]:
        """Take the window at a position away; returns those left. Errors: InvalidRequest, NotFound, Unavailable."""
        check_whole(position, "position", least=1)
        async with self._database.transaction(self._principal) as tx:
            windows = await store.remove_window(tx, tariff, position)
            await record(tx, "tariff.bands", tariff, {"removed": position, "windows": len(windows)})
        return windows

    async def replace(self, tariff: str, windows: Sequence[Window]) -> None:
        """Make these the windows of a tariff; nothing changes where they are already. Errors: as `add`."""
        for window in windows:
            check_window(window)
        async with self._database.transaction(self._principal) as tx:
            if await store.replace_windows(tx, tariff, windows):
                await record(tx, "tariff.bands", tariff, {"windows": len(windows)})

    async def holidays(self, cursor: Cursor, calendar: str | None = None) -> Page[Holiday]:
        """Days of one calendar or every one, by day. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_holidays(self._database, calendar, cursor)

    async def add_holiday(self, holiday: Holiday) -> bool:
        """A day of a calendar, created if need be; whether anything changed. Errors: InvalidRequest, Unavailable."""
        check_text(holiday.name, "name")
        return await self._add(holiday.calendar, [(holiday.day, holiday.name)]) > 0

    async def remove_holiday(self, calendar: str, day: date) -> None:
        """Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_holiday(tx, calendar, day)
            await record(tx, "holiday.remove", calendar, {"day": day})

    async def import_holidays(self, calendar: str, file: Path) -> int:
        """Add the days of a CSV file, all or none; returns how many changed. Days that are there stay.

        Errors: InvalidRequest naming the line, Unavailable.
        """
        return await self._add(calendar, read_holidays(file))

    async def _add(self, calendar: str, days: Sequence[tuple[date, str]]) -> int:
        check_calendar(calendar)
        async with self._database.transaction(self._principal) as tx:
            changed = await store.add_holidays(tx, calendar, days)
            if changed:
                await record(tx, "holiday.add", calendar, {"days": changed})
        return changed
