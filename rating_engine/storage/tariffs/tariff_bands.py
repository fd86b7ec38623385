"""The time-of-day windows of a tariff, and the holidays of calendars, as operators list and change them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import asyncpg

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.rating.schedule import Window, parse_clock, render_clock
from rating_engine.storage.postgres.pool import Connection, Database
from rating_engine.storage.tariffs.tariff_settings import changing_tariff, unknown_tariff

MAX_WINDOWS: Final = 100  # of a tariff: gone through in order at every call
MAX_HOLIDAYS: Final = 5_000  # of a calendar: a century of them; every engine remembers the days

WINDOWS: Final = (
    "SELECT band, days, left(starts::text, 5) AS starts, left(ends::text, 5) AS ends "
    "FROM tariff_bands WHERE tariff_id = $1 ORDER BY position"
)
# What is there already with the same name is left alone: its tariffs need not be read anew.
_ADD_DAYS: Final = """
    INSERT INTO holidays (calendar, day, name) SELECT $1, * FROM unnest($2::date[], $3::text[])
    ON CONFLICT (calendar, day) DO UPDATE SET name = EXCLUDED.name WHERE holidays.name <> EXCLUDED.name
    RETURNING 1"""


async def list_windows(database: Database, tariff: str) -> tuple[Window, ...]:
    """The windows of a tariff in the order in which they are tried. Errors: NotFound, Unavailable."""
    tariff_id = await database.fetchval("SELECT tariff_id FROM tariffs WHERE name = $1", tariff)
    if tariff_id is None:
        raise unknown_tariff(tariff)
    return tuple(window_from_row(row) for row in await database.fetch(WINDOWS, tariff_id))


async def add_window(database: Database, tariff: str, window: Window, position: int | None) -> tuple[Window, ...]:
    """Put a window at a position, counted from 1, before what is there (None: last); returns all of them.

    Errors: NotFound, InvalidRequest, Unavailable.
    """
    async with changing_tariff(database, tariff) as (connection, settings):
        windows = [window_from_row(row) for row in await connection.fetch(WINDOWS, settings.tariff_id)]
        if len(windows) >= MAX_WINDOWS:
            raise InvalidRequest("band", f"a tariff may have {MAX_WINDOWS} windows")
        windows.insert(len(windows) if position is None else position - 1, window)
        await _replace(connection, settings.tariff_id, windows)
    return tuple(windows)


async def remove_window(database: Database, tariff: str, position: int) -> tuple[Window, ...]:
    """Take the window at a position away; returns those that are left. Errors: NotFound, Unavailable."""
    async with changing_tariff(database, tariff) as (connection, settings):
        windows = [window_from_row(row) for row in await connection.fetch(WINDOWS, settings.tariff_id)]
        if position > len(windows):
            raise NotFound(f"tariff {tariff!r} has no window {position}; see: rating-engine tariff bands {tariff}")
        del windows[position - 1]
        await _replace(connection, settings.tariff_id, windows)
    return tuple(windows)


async def replace_windows(database: Database, tariff: str, windows: Sequence[Window]) -> None:
    """Make these the windows of a tariff; nothing changes where they are already. Errors: as `add_window`."""
    if len(windows) > MAX_WINDOWS:
        raise InvalidRequest("band", f"a tariff may have {MAX_WINDOWS} windows, not {len(windows)}")
    async with changing_tariff(database, tariff) as (connection, settings):
        there = [window_from_row(row) for row in await connection.fetch(WINDOWS, settings.tariff_id)]
        if there != list(windows):
            await _replace(connection, settings.tariff_id, windows)


async def list_holidays(database: Database, calendar: str | None = None) -> list[tuple[str, date, str]]:
    """(calendar, day, name) of every calendar or one, by day. Errors: Unavailable."""
    rows = await database.fetch(
        "SELECT calendar, day, name FROM holidays WHERE $1::text IS NULL OR calendar = $1 ORDER BY calendar, day",
        calendar,
    )
    return [(row["calendar"], row["day"], row["name"]) for row in rows]


async def add_holidays(database: Database, calendar: str, days: Sequence[tuple[date, str]]) -> int:
    """Add days, or name those that are there anew; returns how many that changed. Errors: InvalidRequest, Unavailable.

    No day may come twice.
    """
    async with database.connection() as connection, connection.transaction():
        changed = await connection.fetch(_ADD_DAYS, calendar, [day for day, _ in days], [name for _, name in days])
        number = await connection.fetchval("SELECT count(*) FROM holidays WHERE calendar = $1", calendar)
        if number > MAX_HOLIDAYS:
            raise InvalidRequest("calendar", f"{calendar!r} may have {MAX_HOLIDAYS} days; remove the past ones")
    return len(changed)


async def remove_holiday(database: Database, calendar: str, day: date) -> None:
    """Errors: NotFound, Unavailable."""
    removed = await database.fetchval(
        "DELETE FROM holidays WHERE calendar = $1 AND day = $2 RETURNING 1", calendar, day
    )
    if removed is None:
        raise NotFound(f"calendar {calendar!r} has no {day}; see: rating-engine holidays list {calendar}")


async def _replace(connection: Connection, tariff_id: int, windows: Iterable[Window]) -> None:
    """Positions are counted anew: the windows are few, and a gap or a swap would be harder to get right."""
    await connection.execute("DELETE FROM tariff_bands WHERE tariff_id = $1", tariff_id)
    await connection.executemany(
        "INSERT INTO tariff_bands (tariff_id, position, band, days, starts, ends) "
        "VALUES ($1, $2, $3, $4, $5::text::time, $6::text::time)",
        [
            (
                tariff_id,
                position,
                window.band,
                sorted(window.days),
                render_clock(window.starts),
                render_clock(window.ends),
            )
            for position, window in enumerate(windows, start=1)
        ],
    )


def window_from_row(row: asyncpg.Record) -> Window:
    """A window in a row of band, days, starts and ends, the clock as HH:MM."""
    return Window(row["band"], frozenset(row["days"]), parse_clock(row["starts"]), parse_clock(row["ends"]))
