"""Removing decks that were replaced long enough ago.

Laws: a deck that is in force, or may be at an instant that any engine still prices calls at, is never removed; nor is
one whose turn is still to come, also where another one of the same instant comes before it. What fails is only logged,
and goes on after the next load.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

import asyncpg
import structlog

from rating_engine.storage.decks.deck_staging import count_of
from rating_engine.storage.postgres.connecting import Connection
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import CLOCKS_APART

KEPT_DECKS: Final = 5  # replaced or withdrawn decks that stay for each tariff, to compare with and to go back to
STILL_ASKED: Final[timedelta] = CLOCKS_APART  # how long ago engines may believe to be
REMOVED_AT_ONCE: Final = 2  # decks removed after one load: twice what it adds, so that it keeps up
REMOVAL_BATCH: Final = 20_000  # rates removed in one transaction: tenths of a second
REMOVAL_LOCK: Final = 0x4445434B  # "DECK": one process at a time removes

# Beyond the kept ones, those that nobody's calls can be priced by any more, the one that went first at the end.
_REMOVABLE: Final = """
    SELECT deck_id FROM (
        SELECT *, row_number() OVER (
            ORDER BY CASE state WHEN 'withdrawn' THEN published_at ELSE effective_from END DESC NULLS LAST, version DESC
        ) AS nth
        FROM rate_decks
        WHERE tariff_id = $1
          AND (state = 'withdrawn'
               OR (state = 'published' AND effective_from <= now() AND deck_id <> deck_at(tariff_id, now())))
    ) AS old
    WHERE nth > $2
      AND (state = 'withdrawn'
           OR (effective_from, version) < (SELECT effective_from, version FROM rate_decks AS asked
                                           WHERE asked.deck_id = deck_at($1, now() - $3::interval)))
    ORDER BY nth"""

_log = structlog.get_logger(__name__)


async def remove_old_decks(connection: Connection, tariff_id: int) -> None:
    """Remove decks beyond KEPT_DECKS, some at a time. What fails here is left for the next load."""
    try:
        old = await connection.fetch(_REMOVABLE, tariff_id, KEPT_DECKS, STILL_ASKED)
        for row in old[::-1][:REMOVED_AT_ONCE]:
            # From here on no list has it; whoever reads it finds out by its count.
            await connection.execute("UPDATE rate_decks SET published_at = NULL WHERE deck_id = $1", row["deck_id"])
            while await _remove_rates(connection, row["deck_id"]):
                pass
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        _log.warning("old_decks_not_removed", tariff_id=tariff_id, error=str(error))


@contextlib.asynccontextmanager
async def decks_kept(database: Database) -> AsyncIterator[None]:
    """No deck loses a rate meanwhile: for who reads one for minutes. Takes a connection. Errors: Unavailable."""
    async with database.connection() as connection:
        await connection.execute("SELECT pg_advisory_lock_shared($1)", REMOVAL_LOCK)
        try:
            yield
        finally:
            if not connection.is_closed():
                await connection.execute("SELECT pg_advisory_unlock_shared($1)", REMOVAL_LOCK)


async def _remove_rates(connection: Connection, deck_id: int) -> bool:
    """Remove a batch of a deck's rates, at the end the deck; whether there is more to do."""
    async with connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", REMOVAL_LOCK):
            return False  # another process is at it
        removed = count_of(
            await connection.execute(
                "DELETE FROM rates WHERE ctid = ANY (ARRAY(SELECT ctid FROM rates WHERE deck_id = $1 LIMIT $2))",
                deck_id,
                REMOVAL_BATCH,
            )
        )
        if removed == REMOVAL_BATCH:
            query = "UPDATE rate_decks SET rate_count = rate_count - $2 WHERE deck_id = $1"
            await connection.execute(query, deck_id, removed)
            return True
        await connection.execute("DELETE FROM rate_decks WHERE deck_id = $1", deck_id)
    return False
