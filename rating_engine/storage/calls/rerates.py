"""Re-ratings as they are stored: begun, read on, summed up, posted, discarded.

Laws: what was read of the CDRs and how far reading has come are written in one transaction; so are a correction and the
mark that it was posted (correct_calls of schema.sql). So either may be cut off anywhere and goes on where it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.past_call import CallPosition, CallRange
from rating_engine.domain.rerate import (
    CorrectionOutcome,
    ListedItem,
    Rerate,
    RerateItem,
    RerateState,
    RerateSums,
    Sum,
)
from rating_engine.storage.calls.ledger import SERIALIZATION_TRIES
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

POST_BATCH: Final = 200  # calls corrected in one transaction: their accounts wait for it, some ten milliseconds
REMOVAL_BATCH: Final = 20_000  # items of a discarded re-rating removed in one transaction: tenths of a second
SUMMING_SECONDS: Final = 600.0  # several million items are summed up in some seconds; more is a server that hangs

_RETRY: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)

_JOBS: Final = """
    SELECT r.*, t.name AS tariff, t.time_zone, COALESCE(s.login, '') AS login
    FROM rerates r JOIN tariffs t USING (tariff_id) LEFT JOIN subscribers s USING (subscriber_id)"""
_BEGIN: Final = """
    INSERT INTO rerates (tariff_id, tariff_version, deck_id, deck_version, calls_from, calls_to, subscriber_id, prefix)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING rerate_id"""
_COME_TO: Final = """
    UPDATE rerates SET calls = calls + $4, last_bucket = $5, last_call_key = $6
    WHERE rerate_id = $1 AND state = 'reading' AND last_bucket = $2 AND last_call_key = $3 RETURNING true"""
_ITEM_COLUMNS: Final = (
    *("bucket", "call_key", "account_id", "subscriber_id", "currency", "destination", "seconds", "old_cost"),
    *("new_cost", "billed_seconds", "rate", "deck_id", "prefix", "direction", "problem"),
)
_BUCKETS: Final = "SELECT DISTINCT bucket FROM rerate_items WHERE rerate_id = $1 ORDER BY bucket"
_UNPOSTED: Final = "new_cost IS NOT NULL AND posted_at IS NULL AND NOT changed"
_NEXT: Final = f"""
    SELECT call_key FROM rerate_items
    WHERE bucket = $1 AND rerate_id = $2 AND call_key > $3 AND {_UNPOSTED} ORDER BY call_key LIMIT {POST_BATCH}"""  # noqa: S608  # made of constants
_CORRECT: Final = "SELECT correct_calls_v2($1, $2, $3)"
_POSTED: Final = f"""
    UPDATE rerates SET state = 'posted' WHERE rerate_id = $1 AND state = 'open'
      AND NOT EXISTS (SELECT 1 FROM rerate_items WHERE rerate_id = $1 AND {_UNPOSTED})"""  # noqa: S608  # made of constants
_COUNTS: Final = f"""
    SELECT count(*) FILTER (WHERE posted_at IS NOT NULL) AS posted, count(*) FILTER (WHERE changed) AS changed,
           count(*) FILTER (WHERE {_UNPOSTED}) AS unposted
    FROM rerate_items WHERE rerate_id = $1"""  # noqa: S608  # made of constants
_SUMS: Final = """
    SELECT currency, {name} AS name, count(*) AS calls, sum(old_cost) AS old_cost, sum(new_cost) AS new_cost
    FROM rerate_items i LEFT JOIN subscribers s USING (bucket, subscriber_id)
    WHERE rerate_id = $1 AND new_cost IS NOT NULL GROUP BY 1, 2
    ORDER BY abs(sum(new_cost - old_cost)) DESC, 1, 2 LIMIT $2"""
_PROBLEMS: Final = """
    SELECT problem, count(*) AS calls FROM rerate_items WHERE rerate_id = $1 AND new_cost IS NULL
    GROUP BY problem ORDER BY count(*) DESC, problem"""
_ITEMS: Final = """
    SELECT call_key, COALESCE(s.login, '') AS login, destination, direction, seconds, currency, old_cost, new_cost,
           problem
    FROM rerate_items i LEFT JOIN subscribers s USING (bucket, subscriber_id)
    WHERE rerate_id = $1 AND {condition} ORDER BY {order} DESC, i.bucket, call_key LIMIT $2"""
_LARGEST: Final = _ITEMS.format(condition="new_cost IS NOT NULL", order="abs(new_cost - old_cost)")
_UNPRICED: Final = _ITEMS.format(condition="new_cost IS NULL", order="old_cost")
_LEFT_ALONE: Final = _ITEMS.format(condition="changed", order="abs(new_cost - old_cost)")
_REMOVE: Final = """
    DELETE FROM rerate_items WHERE ctid = ANY (ARRAY(SELECT ctid FROM rerate_items WHERE rerate_id = $1 LIMIT $2))"""
MAX_CURRENCIES: Final = 1_000  # there are fewer than 200


_RESOLD: Final = """
    SELECT 1 FROM reseller_records r JOIN call_records c USING (bucket, call_key)
    WHERE r.tariff_id = $1 AND c.prepared_at >= $2 AND c.prepared_at < $3
      AND ($4::bigint IS NULL OR c.subscriber_id = $4) AND starts_with(c.destination, $5) LIMIT 1
"""


async def begin_rerate(
    tx: Transaction, wanted: CallRange, *, tariff_version: int, deck_id: int, deck_version: int
) -> int:
    """A new re-rating, of which nothing is read yet; its id. Errors: Unavailable."""
    return int(
        await tx.fetchval(
            _BEGIN,
            wanted.tariff_id,
            tariff_version,
            deck_id,
            deck_version,
            wanted.calls_from,
            wanted.calls_to,
            wanted.subscriber_id,
            wanted.prefix,
        )
    )


async def resellers_were_charged(database: Database, wanted: CallRange) -> bool:
    """Whether a tariff was that of resellers of calls in a range: those lines are not gone through."""
    found = await database.fetchval(
        _RESOLD, wanted.tariff_id, wanted.calls_from, wanted.calls_to, wanted.subscriber_id, wanted.prefix
    )
    return found is not None


async def find_rerate(database: Questions, rerate_id: int) -> Rerate:
    """A re-rating. Errors: NotFound, Unavailable."""
    row = await database.fetchrow(f"{_JOBS} WHERE rerate_id = $1", rerate_id)
    if row is None:
        raise NotFound(f"there is no re-rating {rerate_id}", field="id", hint=Hint.SEE_RERATES)
    return _rerate_from_row(row)


async def list_rerates(database: Questions, cursor: Cursor) -> Page[Rerate]:
    """Re-ratings, the newest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(
        f"{_JOBS} WHERE $1::bigint IS NULL OR rerate_id < $1 ORDER BY rerate_id DESC LIMIT $2",
        *cursor.position(int),
        cursor.rows,
    )
    return page_of_rows(rows, cursor, lambda row: (row["rerate_id"],), _rerate_from_row)


async def keep_portion(
    tx: Transaction, rerate: Rerate, after: CallPosition, last: CallPosition, calls: int, items: Sequence[RerateItem]
) -> None:
    """Keep what a portion of the CDRs came to: `calls` of them were in range, `items` are to be corrected or listed.

    Errors: InvalidRequest where another process reads it too, or has discarded it; Unavailable.
    """
    come_to = (rerate.rerate_id, after.bucket, after.call_key, calls, last.bucket, last.call_key)
    if not await tx.fetchval(_COME_TO, *come_to):
        raise InvalidRequest("id", f"re-rating {rerate.rerate_id} was read on, or discarded, by somebody else")
    await tx.connection.copy_records_to_table(
        "rerate_items",
        records=[(*_item_args(item), rerate.rerate_id) for item in items],
        columns=[*_ITEM_COLUMNS, "rerate_id"],
    )


async def end_reading(database: Database, rerate_id: int) -> None:
    """All was read: it may be posted. Errors: Unavailable."""
    await database.fetch("UPDATE rerates SET state = 'open' WHERE rerate_id = $1 AND state = 'reading'", rerate_id)


async def unposted(database: Database, rerate_id: int) -> int:
    """How many calls are still to be corrected. Errors: Unavailable."""
    return int((await _counts(database, rerate_id))["unposted"])


async def buckets_of(database: Database, rerate_id: int) -> list[int]:
    """The buckets of its calls. Errors: Unavailable."""
    async with database.connection() as connection:
        return [row["bucket"] for row in await connection.fetch(_BUCKETS, rerate_id, timeout=SUMMING_SECONDS)]


async def next_unposted(database: Database, bucket: int, rerate_id: int, after: str) -> list[str]:
    """The keys of the next calls of a bucket that are to be corrected, at most POST_BATCH. Errors: Unavailable."""
    return [row["call_key"] for row in await database.fetch(_NEXT, bucket, rerate_id, after)]


async def correct_calls(
    database: Database, bucket: int, rerate_id: int, call_keys: Sequence[str]
) -> list[CorrectionOutcome]:
    """Post the corrections of these calls, each key named once, in one transaction. Errors: Unavailable."""
    for attempt in range(1, SERIALIZATION_TRIES + 1):
        try:
            answers = await database.fetchval(_CORRECT, bucket, rerate_id, list(call_keys))
        except _RETRY:
            if attempt == SERIALIZATION_TRIES:
                raise
        else:
            return [CorrectionOutcome(outcome) for outcome, _ in answers]
    raise AssertionError("unreachable")


async def end_posting(database: Database, rerate_id: int) -> None:
    """If nothing is left to be posted, it is posted. Errors: Unavailable."""
    async with database.connection() as connection:
        await connection.execute(_POSTED, rerate_id, timeout=SUMMING_SECONDS)


async def discard(tx: Transaction, rerate_id: int) -> None:
    """Nothing of it will be posted; `remove_items` comes next. Errors: NotFound, InvalidRequest, Unavailable."""
    state = await tx.fetchval("SELECT state FROM rerates WHERE rerate_id = $1 FOR UPDATE", rerate_id)
    if state is None:
        raise NotFound(f"there is no re-rating {rerate_id}", field="id", hint=Hint.SEE_RERATES)
    # Closed first: whoever is correcting calls now is waited for, so that what they posted is seen.
    await tx.execute("UPDATE rerates SET state = 'discarded' WHERE rerate_id = $1", rerate_id)
    posted = await tx.connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM rerate_items WHERE rerate_id = $1 AND posted_at IS NOT NULL)",
        rerate_id,
        timeout=SUMMING_SECONDS,
    )
    if posted or state == RerateState.POSTED:
        raise InvalidRequest("id", f"re-rating {rerate_id} was posted, and its corrections stand")


async def remove_items(database: Database, rerate_id: int) -> None:
    """Remove what was read for a re-rating that is discarded, in batches. Errors: Unavailable."""
    removed = REMOVAL_BATCH
    while removed == REMOVAL_BATCH:
        async with database.connection() as connection:
            removed = int((await connection.execute(_REMOVE, rerate_id, REMOVAL_BATCH)).split()[-1])


async def sums_of(database: Database, rerate_id: int, shown: int) -> RerateSums:
    """What it comes to, with `shown` lines of each kind at most. Errors: Unavailable."""
    async with database.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):

        async def rows(query: str, *args: Any) -> list[asyncpg.Record]:
            return await connection.fetch(query, rerate_id, *args, timeout=SUMMING_SECONDS)

        async def sums(name: str, limit: int) -> list[Sum]:
            return [Sum(**row) for row in await rows(_SUMS.format(name=name), limit)]

        async def items(query: str) -> list[ListedItem]:
            return [ListedItem(**row) for row in await rows(query, shown)]

        counts = (await rows(_COUNTS))[0]
        return RerateSums(
            totals=await sums("''", MAX_CURRENCIES),
            directions=await sums("direction", shown),
            logins=await sums("COALESCE(s.login, '')", shown),
            calls=await items(_LARGEST),
            unpriced=_by_name(await rows(_PROBLEMS)),
            unpriced_calls=await items(_UNPRICED),
            left_alone=counts["changed"],
            left_alone_calls=await items(_LEFT_ALONE),
            posted=counts["posted"],
            unposted=counts["unposted"],
        )


async def _counts(database: Database, rerate_id: int) -> asyncpg.Record:
    async with database.connection() as connection:
        row = await connection.fetchrow(_COUNTS, rerate_id, timeout=SUMMING_SECONDS)
    assert row is not None  # counts always are one row
    return row


def _by_name(rows: Sequence[asyncpg.Record]) -> Mapping[str, int]:
    return {row["problem"]: row["calls"] for row in rows}


def _item_args(item: RerateItem) -> tuple[Any, ...]:
    return tuple(getattr(item, name) for name in _ITEM_COLUMNS)


def _rerate_from_row(row: asyncpg.Record) -> Rerate:
    return Rerate(
        rerate_id=row["rerate_id"],
        tariff=row["tariff"],
        tariff_version=row["tariff_version"],
        time_zone=row["time_zone"],
        deck_id=row["deck_id"],
        deck_version=row["deck_version"],
        range=CallRange(row["tariff_id"], row["calls_from"], row["calls_to"], row["subscriber_id"], row["prefix"]),
        login=row["login"],
        state=RerateState(row["state"]),
        created_at=row["created_at"],
        calls=row["calls"],
        position=CallPosition(row["last_bucket"], row["last_call_key"]),
    )
