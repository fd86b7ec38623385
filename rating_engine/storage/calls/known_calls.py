"""Calls found by their channels, open or ended, at whichever exchange: for ends that an exchange wrote down itself.

Law: keys are exchange/uniqueid/attempt, so that what is asked goes by the primary keys, however many calls there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from rating_engine.domain.reported_end import KnownCall
from rating_engine.storage.calls.call_details import PROVISIONAL
from rating_engine.storage.calls.open_calls import PAGE, key_from_row
from rating_engine.storage.postgres.pool import Database

# "0" is the character after a slash: from one exchange's last key on to the first one of the next.
_EXCHANGES: Final = """
    WITH RECURSIVE found(exchange) AS (
        (SELECT split_part(call_key, '/', 1) FROM call_records WHERE bucket = $1 ORDER BY call_key LIMIT 1)
        UNION ALL
        SELECT (SELECT split_part(call_key, '/', 1) FROM call_records
                WHERE bucket = $1 AND call_key > found.exchange || '0' ORDER BY call_key LIMIT 1)
        FROM found WHERE found.exchange IS NOT NULL
    )
    SELECT exchange FROM found WHERE exchange IS NOT NULL
    UNION SELECT DISTINCT exchange FROM open_calls WHERE bucket = $1
"""
_OF_CHANNELS: Final = """
    SELECT c.*, COALESCE(s.login, '') AS login FROM unnest($2::text[]) AS wanted(start) CROSS JOIN LATERAL (
        SELECT bucket, call_key, attempt, subscriber_id, destination, route_name, prepared_at, 'open' AS source,
               0 AS seconds, cap_seconds
        FROM open_calls WHERE bucket = $1 AND call_key > wanted.start || '/' AND call_key < wanted.start || '0'
        UNION ALL
        SELECT bucket, call_key, attempt, subscriber_id, destination, route_name, prepared_at, source, seconds, NULL
        FROM call_records WHERE bucket = $1 AND call_key > wanted.start || '/' AND call_key < wanted.start || '0'
        OFFSET 0
    ) c LEFT JOIN subscribers s ON s.bucket = c.bucket AND s.subscriber_id = c.subscriber_id
    ORDER BY c.call_key
"""


async def known_exchanges(database: Database, *, buckets: int) -> list[str]:
    """Every exchange that calls came from, by name. Errors: Unavailable."""
    found: set[str] = set()
    for bucket in range(buckets):
        found.update(row["exchange"] for row in await database.fetch(_EXCHANGES, bucket))
    return sorted(found)


async def calls_of_channels(
    database: Database, exchanges: Sequence[str], uniqueids: Sequence[str], *, buckets: int
) -> list[KnownCall]:
    """The calls of these channels at these exchanges, of any attempt, by their keys. Errors: Unavailable."""
    starts = [f"{exchange}/{uniqueid}" for exchange in exchanges for uniqueid in uniqueids]
    found: list[KnownCall] = []
    for bucket in range(buckets):
        for start in range(0, len(starts), PAGE):
            rows = await database.fetch(_OF_CHANNELS, bucket, starts[start : start + PAGE])
            found += map(_call_from_row, rows)
    return sorted(found, key=lambda call: str(call.call_key))


def _call_from_row(row: asyncpg.Record) -> KnownCall:
    return KnownCall(
        call_key=key_from_row(row),
        login=row["login"],
        destination=row["destination"],
        route=row["route_name"],
        prepared_at=row["prepared_at"],
        final=row["source"] != "open" and row["source"] not in PROVISIONAL,
        seconds=row["seconds"],
        cap_seconds=row["cap_seconds"],
    )
