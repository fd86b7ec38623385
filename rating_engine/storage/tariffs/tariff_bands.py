"""The time-of-day windows of a tariff, and the holidays of calendars, as operators list and change them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

import asyncpg

from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff_card import Holiday
from rating_engine.rating.schedule import Window, parse_clock, render_clock
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs.tariff_settings import hold_tariff, unknown_tariff

MAX_WINDOWS: Final = 100  # of a tariff: gone through in order at every call
MAX_HOLIDAYS: Final = 5_000  # of a calendar: a century of them; every engine remembers the days

WINDOWS: Final = (
    "SELECT band, days, left(starts::text, 5) AS starts, left(ends::text, 5) AS ends "
    "FROM tariff_bands WHERE tariff_id = $1 ORDER BY position"
)
_HOLIDAYS: Final = """
    SELECT calendar, day, name FROM holidays
    WHERE ($1::text IS NULL OR calendar = $1) AND ($2::text IS NULL OR (calendar, day) > ($2, $3::text::date))
    ORDER BY calendar, day LIMIT $4"""
# What is there already with the same name is left alone: its tariffs need not be read anew.
_ADD_DAYS: Final = """
    INSERT INTO holidays (calendar, day, name) SELECT $1, * FROM unnest($2::date[], $3::text[])
    ON CONFLICT (calendar, day) DO UPDATE SET name = EXCLUDED.name WHERE holidays.name <> EXCLUDED.name
    RETURNING 1"""


async def list_windows(database: Questions, tariff: str) -> tuple[Window, ...]:
    """The windows of a tariff in the order in which they are tried. Errors: NotFound, Unavailable."""
    tariff_id = await database.fetchval("SELECT tariff_id FROM tariffs WHERE name = $1", tariff)
    if tariff_id is None:
        raise unknown_tariff(tariff)
    return await _windows_of(database, tariff_id)


async def add_window(tx: Transaction, tariff: str, window: Window, position: int | None) -> tuple[Window, ...]:
    """Put a window at a position, counted from 1, before what is there (None: last); returns all of them.

    Errors: NotFound, InvalidRequest, Unavailable.
    """
    held = await hold_tariff(tx, tariff)
    windows = list(await _windows_of(tx, held.tariff_id))
    if len(windows) >= MAX_WINDOWS:
        raise InvalidRequest("band", f"a tariff may have {MAX_WINDOWS} windows")
    windows.insert(len(windows) if position is None else position - 1, window)
    await _replace(tx, held.tariff_id, windows)
    return tuple(windows)


async def remove_window(tx: Transaction, tariff: str, position: int) -> tuple[Window, ...]:
    """Take the window at a position away; returns those that are left. Errors: NotFound, Unavailable."""
    held = await hold_tariff(tx, tariff)
    windows = list(await _windows_of(tx, held.tariff_id))
    if position > len(windows):
        raise NotFound(f"tariff {tariff!r} has no window {position}", hint=Hint.SEE_BANDS, about={"tariff": tariff})
    del windows[position - 1]
    await _replace(tx, held.tariff_id, windows)
    return tuple(windows)


async def replace_windows(tx: Transaction, tariff: str, windows: Sequence[Window]) -> bool:
    """Make these the windows of a tariff; whether it had others. Errors: as `add_window`."""
    if len(windows) > MAX_WINDOWS:
        raise InvalidRequest("band", f"a tariff may have {MAX_WINDOWS} windows, not {len(windows)}")
    held = await hold_tariff(tx, tariff)
    if await _windows_of(tx, held.tariff_id) == tuple(windows):
        return False
    await _replace(tx, held.tariff_id, windows)
    return True


async def list_holidays(database: Questions, calendar: str | None, cursor: Cursor) -> Page[Holiday]:
    """The days of every calendar or one, by day. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_HOLIDAYS, calendar, *cursor.position(str, str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["calendar"], row["day"].isoformat()), lambda row: Holiday(**row))


async def add_holidays(tx: Transaction, calendar: str, days: Sequence[tuple[date, str]]) -> int:
    """Add days, or name those that are there anew; returns how many that changed. Errors: InvalidRequest, Unavailable.

    No day may come twice.
    """
    changed = await tx.fetch(_ADD_DAYS, calendar, [day for day, _ in days], [name for _, name in days])
    number = await tx.fetchval("SELECT count(*) FROM holidays WHERE calendar = $1", calendar)
    if number > MAX_HOLIDAYS:
        raise InvalidRequest("calendar", f"{calendar!r} may have {MAX_HOLIDAYS} days; remove the past ones")
    return len(changed)


async def remove_holiday(tx: Transaction, calendar: str, day: date) -> None:
    """Errors: NotFound, Unavailable."""
    removed = await tx.fetchval("DELETE FROM holidays WHERE calendar = $1 AND day = $2 RETURNING 1", calendar, day)
    if removed is None:
        raise NotFound(f"calendar {calendar!r} has no {day}", hint=Hint.SEE_HOLIDAYS, about={"calendar": calendar})


async def _windows_of(database: Questions, tariff_id: int) -> tuple[Window, ...]:
    return tuple(window_from_row(row) for row in await database.fetch(WINDOWS, tariff_id))


async def _replace(tx: Transaction, tariff_id: int, windows: Iterable[Window]) -> None:
    """Positions are counted anew: the windows are few, and a gap or a swap would be harder to get right."""
    await tx.execute("DELETE FROM tariff_bands WHERE tariff_id = $1", tariff_id)
    await tx.connection.executemany(
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
