"""Open reservations as the watcher of an exchange needs them: which there are, and what was seen of them.

Law: nothing here waits for a lock that a transaction of the ledger holds: a row in use is passed over, and noted at
the next turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import asyncpg

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.watching import OpenReservation
from rating_engine.storage.calls.call_details import frozen_rate, prices_from, reseller_prices
from rating_engine.storage.postgres.pool import Database

PAGE: Final = 2_000  # rows of one statement: a few milliseconds, far within its deadline


def _columns(bucket: str) -> str:
    """What is read of an open call; `bucket`: SQL for its bucket."""
    return (
        "bucket, call_key, exchange, attempt, account_id, granted, quota, steered, cap_seconds, prepared_at, "
        "expires_at, answered_at, last_seen_at, carrier_exchange, resellers_granted, "
        f"{reseller_prices('open_calls', bucket)} AS resellers, "
        f"{frozen_rate('open_calls', 'rate_key', bucket)} AS rate, "
        f"{frozen_rate('open_calls', 'carrier_rate_key', bucket)} AS carrier_rate"
    )


_OF_EXCHANGE: Final = f"""
    SELECT {_columns("open_calls.bucket")} FROM open_calls
    WHERE exchange = $1 AND prepared_at <= now() - make_interval(secs => $2) AND (bucket, call_key) > ($3, $4)
    ORDER BY bucket, call_key LIMIT {PAGE}
"""  # noqa: S608  the only text put in is the constants above
# Keys are exchange/uniqueid/attempt: the attempts of a channel lie between "…/" and "…0", the character after a slash.
_OF_CHANNELS: Final = f"""
    SELECT r.* FROM unnest($2::text[]) AS wanted(start) CROSS JOIN LATERAL (
        SELECT {_columns("$1")} FROM open_calls
        WHERE bucket = $1 AND call_key > wanted.start || '/' AND call_key < wanted.start || '0' OFFSET 0
    ) r
"""  # noqa: S608
_EXPIRED: Final = f"""
    SELECT {_columns("$1")} FROM open_calls
    WHERE bucket = $1 AND expires_at <= now() AND answered_at IS NOT NULL
      AND (last_seen_at IS NULL OR last_seen_at <= now() - make_interval(secs => $2))
    ORDER BY expires_at LIMIT $3
"""  # noqa: S608
_NOTE_SEEN: Final = """
    UPDATE open_calls r
    SET answered_at = COALESCE(r.answered_at, s.answered_at), last_seen_at = GREATEST(r.last_seen_at, s.seen_at)
    FROM (
        SELECT u.* FROM unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) AS u(call_key, answered_at, seen_at)
        CROSS JOIN LATERAL (
            SELECT 1 FROM open_calls WHERE bucket = $1 AND call_key = u.call_key FOR NO KEY UPDATE SKIP LOCKED
        ) AS free
    ) s
    WHERE r.bucket = $1 AND r.call_key = s.call_key
    RETURNING r.call_key, r.exchange, r.attempt
"""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A call was seen alive at `seen_at`, and was answered at `answered_at` (None: not known to be)."""

    bucket: int
    call_key: CallKey
    answered_at: datetime | None
    seen_at: datetime


async def open_calls_of(database: Database, exchange: str, *, older_than_seconds: float = 0.0) -> list[OpenReservation]:
    """Every open call of an exchange that was prepared at least so long ago. Errors: Unavailable."""
    found: list[OpenReservation] = []
    after: tuple[int, str] = (-1, "")
    while True:
        rows = await database.fetch(_OF_EXCHANGE, exchange, older_than_seconds, *after)
        found += map(_reservation_from_row, rows)
        if len(rows) < PAGE:
            return found
        after = (rows[-1]["bucket"], rows[-1]["call_key"])


async def open_calls_of_channels(
    database: Database, exchange: str, uniqueids: Sequence[str], *, buckets: int
) -> list[OpenReservation]:
    """The open calls, of any attempt, of these channels of an exchange. Errors: Unavailable."""
    channels = [f"{exchange}/{uniqueid}" for uniqueid in uniqueids]
    found: list[OpenReservation] = []
    for bucket in range(buckets):
        for start in range(0, len(channels), PAGE):
            rows = await database.fetch(_OF_CHANNELS, bucket, channels[start : start + PAGE])
            found += map(_reservation_from_row, rows)
    return found


async def expired_answered(
    database: Database, bucket: int, *, unseen_seconds: float, limit: int
) -> list[OpenReservation]:
    """Calls past their expiry that were seen answered, and not seen at all for so long. Errors: Unavailable."""
    rows = await database.fetch(_EXPIRED, bucket, unseen_seconds, limit)
    return [_reservation_from_row(row) for row in rows]


async def note_seen(database: Database, sightings: Sequence[Sighting]) -> set[CallKey]:
    """Write down when calls were answered and last seen alive; the first answer noted stays.

    Answers which calls were noted; those that are missing have ended, or were in use. Errors: Unavailable.
    """
    noted: set[CallKey] = set()
    for bucket in sorted({sighting.bucket for sighting in sightings}):
        of_bucket = [sighting for sighting in sightings if sighting.bucket == bucket]
        for start in range(0, len(of_bucket), PAGE):
            page = of_bucket[start : start + PAGE]
            rows = await database.fetch(
                _NOTE_SEEN,
                bucket,
                [str(sighting.call_key) for sighting in page],
                [sighting.answered_at for sighting in page],
                [sighting.seen_at for sighting in page],
            )
            noted.update(map(key_from_row, rows))
    return noted


def key_from_row(row: asyncpg.Record) -> CallKey:
    """The key of a row with call_key and attempt, whole again; an exchange has no slash, and an attempt is digits."""
    exchange, _, rest = row["call_key"].partition("/")
    return CallKey(exchange, rest.rpartition("/")[0], row["attempt"])


def _reservation_from_row(row: asyncpg.Record) -> OpenReservation:
    return OpenReservation(
        call_key=key_from_row(row),
        bucket=row["bucket"],
        account_id=row["account_id"],
        granted=Decimal(row["granted"]),
        quota=row["quota"],
        steered=row["quota"] or row["steered"],  # the last release knows slices alone
        cap_seconds=row["cap_seconds"],
        rate=row["rate"],
        prepared_at=row["prepared_at"],
        expires_at=row["expires_at"],
        answered_at=row["answered_at"],
        last_seen_at=row["last_seen_at"],
        carrier_rate=row["carrier_rate"],
        carrier_exchange=row["carrier_exchange"],
        resellers=prices_from(row["resellers"]),
        resellers_granted=tuple(row["resellers_granted"] or ()),
    )
