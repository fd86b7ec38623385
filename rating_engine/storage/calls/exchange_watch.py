"""Which exchanges are watched right now: said by the engine that watches, read by every engine that answers calls.

And what the doctor asks of exchanges: the keys of their last calls, and how often two calls had one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from rating_engine.domain.outcomes import CallKey
from rating_engine.storage.calls.open_calls import key_from_row
from rating_engine.storage.postgres.pool import Database

MAX_EXCHANGES: Final = 1_000  # rows read; an operator has some dozens

_SAY: Final = """
    INSERT INTO exchange_watch (exchange, watched_until)
    SELECT exchange, now() + make_interval(secs => $2) FROM unnest($1::text[]) AS exchange
    ON CONFLICT (exchange) DO UPDATE SET watched_until = EXCLUDED.watched_until
"""
_READ: Final = """
    SELECT exchange, extract(epoch FROM watched_until - now())::float8 AS seconds FROM exchange_watch
    WHERE watched_until > now() LIMIT $1
"""
# Calls in slices were wanted, and could not be lengthened.
_UNWATCHED: Final = """
    WITH wanted AS (
        SELECT bucket, account_id FROM accounts WHERE COALESCE(quota, $1)
    ), recent AS (
        SELECT exchange, bucket, account_id FROM reservations
        UNION ALL
        SELECT exchange, bucket, account_id FROM cdrs WHERE ended_at > now() - interval '1 hour'
    )
    SELECT exchange, count(DISTINCT (bucket, account_id)) FROM recent JOIN wanted USING (bucket, account_id)
    WHERE exchange NOT IN (SELECT exchange FROM exchange_watch WHERE watched_until > now())
    GROUP BY exchange ORDER BY exchange LIMIT $2
"""

_RECENT: Final = """
    SELECT call_key, attempt FROM cdrs WHERE ended_at > now() - interval '1 hour'
    ORDER BY ended_at DESC LIMIT $1
"""
_COUNT: Final = """
    INSERT INTO exchange_conflicts AS kept (exchange, conflicts)
    SELECT * FROM unnest($1::text[], $2::bigint[]) AS counted(exchange, conflicts) ORDER BY exchange
    ON CONFLICT (exchange) DO UPDATE SET last_at = now(), (conflicts, since) = (
        SELECT EXCLUDED.conflicts + CASE WHEN is_old THEN 0 ELSE kept.conflicts END,
               CASE WHEN is_old THEN now() ELSE kept.since END
        FROM (SELECT kept.last_at < now() - interval '1 day' AS is_old) AS age)
"""
_CONFLICTS: Final = """
    SELECT exchange, conflicts, since FROM exchange_conflicts WHERE last_at > now() - interval '1 day'
    ORDER BY exchange LIMIT $1
"""
CALLS_LOOKED_AT: Final = 20_000  # the last ones of an hour: two exchanges under one name show in far fewer


async def recent_call_keys(database: Database) -> list[CallKey]:
    """Keys of the calls that ended last. Errors: Unavailable."""
    rows = await database.fetch(_RECENT, CALLS_LOOKED_AT)
    return [key_from_row(row) for row in rows]


async def count_conflicts(database: Database, counts: Mapping[str, int]) -> None:
    """So many more calls of each exchange were declined, since another call had their key. Errors: Unavailable."""
    await database.fetch(_COUNT, list(counts), list(counts.values()))


async def recent_conflicts(database: Database) -> list[tuple[str, int, datetime]]:
    """Exchanges of which a call was declined so within a day: how many, and since when. Errors: Unavailable."""
    return [(*row,) for row in await database.fetch(_CONFLICTS, MAX_EXCHANGES)]


async def say_watched(database: Database, exchanges: Sequence[str], seconds: float) -> None:
    """These exchanges are watched for so many seconds from now; 0: no longer. Errors: Unavailable."""
    await database.fetch(_SAY, sorted(exchanges), seconds)


async def read_watched(database: Database) -> dict[str, float]:
    """The exchanges that are watched, and for how many seconds to come (the database's clock). Errors: Unavailable."""
    return {row["exchange"]: row["seconds"] for row in await database.fetch(_READ, MAX_EXCHANGES)}


async def unwatched_exchanges(database: Database, *, quota_by_default: bool) -> list[tuple[str, int]]:
    """Exchanges with calls in the last hour of accounts in quota mode, and nobody watching; with how many accounts."""
    rows = await database.fetch(_UNWATCHED, quota_by_default, MAX_EXCHANGES)
    return [(row[0], row[1]) for row in rows]
