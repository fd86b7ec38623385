"""Webhooks, their places in the ledgers, and their deliveries.

Law: a place moves on in the transaction that queues what lay before it, so no entry is passed over, and none is queued
twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

import asyncpg

from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.webhook import Delivery, Entry, ListedDelivery, Webhook
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

KEPT: Final = "7 days"  # so long it can be seen what became of a delivery
OLD_SECRET: Final = timedelta(days=1)  # so long both sign after a rotation
ENTRIES_AT_ONCE: Final = 200  # of one account in one turn

_COLUMNS: Final = "w.webhook_id, w.party_id, w.url, w.events, w.low_balance, w.created_at"
_ADD: Final = """
    INSERT INTO webhooks (party_id, url, events, low_balance, secret)
    VALUES ($1, $2, $3, $4, $5) RETURNING webhook_id"""
_COUNT: Final = "SELECT count(*) FROM webhooks WHERE party_id = $1"
_HOLD_PARTY: Final = "SELECT 1 FROM parties WHERE party_id = $1 FOR NO KEY UPDATE"
_OF: Final = f"""
    SELECT {_COLUMNS}, count(d.*) FILTER (WHERE d.state = 'queued') AS queued,
           count(d.*) FILTER (WHERE d.state = 'failed') AS failed,
           COALESCE((array_agg(d.error ORDER BY d.delivery_id DESC) FILTER (WHERE d.error <> ''))[1], '') AS error
    FROM webhooks w LEFT JOIN webhook_deliveries d ON d.webhook_id = w.webhook_id
    WHERE $1::bigint IS NULL OR w.party_id = $1 GROUP BY w.webhook_id ORDER BY w.webhook_id"""  # noqa: S608  # a constant
_ALL: Final = f"SELECT {_COLUMNS} FROM webhooks w ORDER BY w.webhook_id"  # noqa: S608  # a constant
_REMOVE: Final = "DELETE FROM webhooks WHERE webhook_id = $1 AND party_id = $2 RETURNING webhook_id"
_ROTATE: Final = """
    UPDATE webhooks SET previous_secret = secret, secret = $3, rotated_at = now()
    WHERE webhook_id = $1 AND party_id = $2 RETURNING webhook_id"""
_ACCOUNTS: Final = """
    SELECT bucket, account_id, COALESCE(last_entry, 0) AS last_entry, created_at FROM accounts
    WHERE party_id = ANY ($1) ORDER BY bucket, account_id"""
_PLACES: Final = "SELECT bucket, account_id, entry_id FROM webhook_places WHERE webhook_id = $1"
_PLACE: Final = """
    INSERT INTO webhook_places (webhook_id, bucket, account_id, entry_id)
    SELECT $1, * FROM unnest($2::smallint[], $3::bigint[], $4::bigint[])
    ON CONFLICT (webhook_id, bucket, account_id) DO UPDATE SET entry_id = EXCLUDED.entry_id"""
_ENTRIES: Final = """
    SELECT e.bucket, e.account_id, e.entry_id, e.kind::text, e.amount, e.balance_after, a.currency, e.created_at,
           e.call_key, c.exchange, c.attempt, c.callerid, c.destination, c.direction, c.seconds, c.billed_seconds,
           c.disposition, c.ended_at, s.login
    FROM ledger_entries e JOIN accounts a ON a.bucket = e.bucket AND a.account_id = e.account_id
    LEFT JOIN call_records c ON c.bucket = e.bucket AND c.call_key = e.call_key
    LEFT JOIN subscribers s ON s.bucket = c.bucket AND s.subscriber_id = c.subscriber_id
    WHERE e.bucket = $1 AND e.account_id = $2 AND e.entry_id > $3 ORDER BY e.entry_id LIMIT $4"""
# Seen by whose webhook it is; $2 NULL: by who sees all.
_DELIVERIES: Final = """
    SELECT d.delivery_id, d.event_id, d.body::json ->> 'event' AS event, d.state, d.attempts, d.created_at,
           CASE WHEN d.state = 'queued' THEN d.due_at END AS due_at, d.ended_at, d.error
    FROM webhook_deliveries d JOIN webhooks w USING (webhook_id)
    WHERE d.webhook_id = $1 AND ($2::bigint IS NULL OR w.party_id = $2) AND ($3::text IS NULL OR d.state = $3)
      AND ($4::bigint IS NULL OR d.delivery_id < $4) ORDER BY d.delivery_id DESC LIMIT $5"""
_AGAIN: Final = """
    UPDATE webhook_deliveries SET state = 'queued', attempts = 0, due_at = now(), ended_at = NULL
    WHERE webhook_id = $1 AND delivery_id = $2 AND state <> 'queued' RETURNING event_id"""
_QUEUED: Final = "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = $1 AND state = 'queued'"
_QUEUE: Final = """
    INSERT INTO webhook_deliveries (webhook_id, event_id, body)
    SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT (webhook_id, event_id) DO NOTHING"""
_TAKE: Final = """
    UPDATE webhook_deliveries d SET due_at = now() + $2::interval FROM webhooks w
    WHERE w.webhook_id = d.webhook_id AND d.delivery_id IN (
        SELECT delivery_id FROM webhook_deliveries WHERE state = 'queued' AND due_at <= now()
        ORDER BY due_at, delivery_id LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING d.delivery_id, w.url, d.event_id, d.body, d.attempts, w.secret,
              CASE WHEN w.rotated_at > now() - $3::interval THEN w.previous_secret END AS previous"""
_SENT: Final = "UPDATE webhook_deliveries SET state = 'sent', ended_at = now(), error = '' WHERE delivery_id = $1"
_LATER: Final = """
    UPDATE webhook_deliveries SET attempts = attempts + 1, due_at = now() + $2::interval, error = $3
    WHERE delivery_id = $1"""
_FAILED: Final = """
    UPDATE webhook_deliveries SET state = 'failed', attempts = attempts + 1, ended_at = now(), error = $2
    WHERE delivery_id = $1"""
_FORGET: Final = f"DELETE FROM webhook_deliveries WHERE ended_at < now() - interval '{KEPT}'"  # noqa: S608


class Ledger(NamedTuple):
    """An account, how many entries its ledger has, and since when it is there."""

    bucket: int
    account_id: int
    last_entry: int
    created_at: datetime


async def count_of(tx: Transaction, party_id: int) -> int:
    """How many a party has; no other may be made until the transaction ends."""
    await tx.execute(_HOLD_PARTY, party_id)
    return int(await tx.fetchval(_COUNT, party_id))


async def add(tx: Transaction, party_id: int, url: str, events: list[str], low: Decimal, secret: bytes) -> int:
    """Its number."""
    return int(await tx.fetchval(_ADD, party_id, url, events, low, secret))


async def of_party(database: Questions, party_id: int | None) -> list[Webhook]:
    """Those of a party (None: all), the oldest first. Errors: Unavailable."""
    return [_webhook(row) for row in await database.fetch(_OF, party_id)]


async def deliveries_of(
    database: Questions, webhook_id: int, party_id: int | None, state: str | None, cursor: Cursor
) -> Page[ListedDelivery]:
    """Deliveries of a webhook, the latest first. Errors: InvalidRequest (after), Unavailable."""
    (after,) = cursor.position(int)
    rows = await database.fetch(_DELIVERIES, webhook_id, party_id, state, after, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["delivery_id"],), lambda row: ListedDelivery(**row))


async def queue_again(tx: Transaction, webhook_id: int, delivery_id: int) -> str | None:
    """The event that is sent once more; None: there is no such delivery, or it waits. Errors: Unavailable."""
    event_id: str | None = await tx.fetchval(_AGAIN, webhook_id, delivery_id)
    return event_id


async def every_webhook(database: Questions) -> list[Webhook]:
    """All there are. Errors: Unavailable."""
    return [_webhook(row) for row in await database.fetch(_ALL)]


async def remove(tx: Transaction, webhook_id: int, party_id: int) -> bool:
    """False: the party has none of that number."""
    return await tx.fetchval(_REMOVE, webhook_id, party_id) is not None


async def rotate(tx: Transaction, webhook_id: int, party_id: int, secret: bytes) -> bool:
    """False: the party has none of that number."""
    return await tx.fetchval(_ROTATE, webhook_id, party_id, secret) is not None


async def ledgers_of(database: Questions, parties: Sequence[int]) -> list[Ledger]:
    """The accounts of parties. Errors: Unavailable."""
    return [Ledger(*row) for row in await database.fetch(_ACCOUNTS, list(parties))]


async def places_of(database: Questions, webhook_id: int) -> dict[tuple[int, int], int]:
    """How far each ledger was read for a webhook. Errors: Unavailable."""
    rows = await database.fetch(_PLACES, webhook_id)
    return {(row["bucket"], row["account_id"]): row["entry_id"] for row in rows}


async def put_places(tx: Transaction, webhook_id: int, places: Sequence[tuple[int, int, int]]) -> None:
    """Bucket, account and entry of each."""
    if places:
        await tx.execute(_PLACE, webhook_id, *map(list, zip(*places, strict=True)))


async def entries_after(database: Questions, bucket: int, account_id: int, entry_id: int) -> list[Entry]:
    """The next entries of a ledger. Errors: Unavailable."""
    rows = await database.fetch(_ENTRIES, bucket, account_id, entry_id, ENTRIES_AT_ONCE)
    return [_entry(row) for row in rows]


async def queued_of(database: Questions, webhook_id: int) -> int:
    """How many deliveries wait. Errors: Unavailable."""
    return int(await database.fetchval(_QUEUED, webhook_id))


async def queue(tx: Transaction, webhook_id: int, bodies: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Events by their ids."""
    if bodies:
        ids, texts = [each for each, _ in bodies], [json.dumps(body) for _, body in bodies]
        await tx.execute(_QUEUE, webhook_id, ids, texts)


async def take_due(database: Database, limit: int, lease: timedelta) -> list[Delivery]:
    """What is to be sent now; nobody else takes it for so long. Errors: Unavailable."""
    return [
        Delivery(
            *(row["delivery_id"], row["url"], row["event_id"], row["body"], row["attempts"]),
            secrets=tuple(secret for secret in (row["secret"], row["previous"]) if secret is not None),
        )
        for row in await database.fetch(_TAKE, limit, lease, OLD_SECRET)
    ]


async def note_sent(database: Database, delivery: Delivery) -> None:
    """It was taken. Errors: Unavailable."""
    await database.fetch(_SENT, delivery.delivery_id)


async def put_off(database: Database, delivery: Delivery, after: timedelta, problem: str) -> None:
    """It is tried again. Errors: Unavailable."""
    await database.fetch(_LATER, delivery.delivery_id, after, problem)


async def note_failed(database: Database, delivery: Delivery, problem: str) -> None:
    """It is given up. Errors: Unavailable."""
    await database.fetch(_FAILED, delivery.delivery_id, problem)


async def forget_ended(database: Database) -> None:
    """What ended long ago is gone. Errors: Unavailable."""
    await database.fetch(_FORGET)


def _webhook(row: asyncpg.Record) -> Webhook:
    values = dict(row)
    return Webhook(**{**values, "events": tuple(values["events"])})


def _entry(row: asyncpg.Record) -> Entry:
    names = ("bucket", "account_id", "entry_id", "kind", "amount", "balance_after", "currency", "created_at")
    told = ("login", "exchange", "attempt", "callerid", "destination", "direction", "seconds", "billed_seconds",
            "disposition")  # fmt: skip
    call = None
    if row["call_key"] is not None:
        ended = row["ended_at"]
        call = {"call": row["call_key"], **{name: row[name] for name in told},
                "ended_at": None if ended is None else ended.isoformat()}  # fmt: skip
    return Entry(**{name: row[name] for name in names}, call=call)
