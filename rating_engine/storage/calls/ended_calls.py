"""The attempts of calls by their channels, as far as they have ended: for whoever saw how they did."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.domain.outcomes import CallKey
from rating_engine.storage.calls.open_calls import key_from_row
from rating_engine.storage.postgres.pool import Database

# Keys are exchange/uniqueid/attempt: the attempts of a channel lie between "…/" and "…0", the character after a slash.
_ATTEMPTS: Final = """
    SELECT r.* FROM unnest($2::text[]) AS wanted(start) CROSS JOIN LATERAL (
        SELECT call_key, exchange, attempt, prepared_at, 0 AS seconds, true AS is_open FROM open_calls
        WHERE bucket = $1 AND call_key > wanted.start || '/' AND call_key < wanted.start || '0'
        UNION ALL
        SELECT call_key, exchange, attempt, prepared_at, seconds, false FROM call_records
        WHERE bucket = $1 AND call_key > wanted.start || '/' AND call_key < wanted.start || '0'
        OFFSET 0
    ) r
"""


@dataclass(frozen=True, slots=True)
class EndedAttempt:
    """One attempt of a call. `seconds`: as its CDR has them; 0 while `is_open`."""

    bucket: int
    call_key: CallKey
    prepared_at: datetime
    seconds: int
    is_open: bool


async def ended_attempts(
    database: Database, exchange: str, uniqueids: Sequence[str], *, buckets: int
) -> dict[str, tuple[EndedAttempt, ...]]:
    """Every attempt of these channels of an exchange, by channel. Errors: Unavailable."""
    channels = [f"{exchange}/{uniqueid}" for uniqueid in uniqueids]
    found: dict[str, tuple[EndedAttempt, ...]] = defaultdict(tuple)
    for bucket in range(buckets):
        for row in await database.fetch(_ATTEMPTS, bucket, channels):
            key = key_from_row(row)
            one = EndedAttempt(bucket, key, row["prepared_at"], row["seconds"], row["is_open"])
            found[key.uniqueid] = (*found[key.uniqueid], one)
    return dict(found)
