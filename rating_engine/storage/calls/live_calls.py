"""Calls that last, and those whose end a person may want to look at, read for people in pages."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import asyncpg

from rating_engine.domain.live_call import LiveCall, LiveCallFilter, SuspiciousCall, UnfinishedCall
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.page import Cursor, Page, page_of
from rating_engine.rating.charge import max_duration
from rating_engine.rating.rate import InvalidRate, Rate
from rating_engine.storage.calls.open_calls import key_from_row
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.parties.owners import accounts_below
from rating_engine.storage.postgres.pool import Questions

_OPEN: Final = """
    SELECT r.call_key, r.attempt, COALESCE(s.login, '') AS login, r.callerid, r.destination, r.direction, r.route_name,
           r.quota, r.held, r.granted, a.currency, r.prepared_at, r.answered_at, r.last_seen_at, r.expires_at, r.rate,
           r.cap_seconds, extract(epoch FROM now() - r.answered_at)::float8 AS talked, o.resellers_granted,
           CASE WHEN o.resellers IS NOT NULL THEN ARRAY(
               SELECT COALESCE(f.rate, '') FROM unnest(o.resellers) WITH ORDINALITY AS l
               LEFT JOIN frozen_rates f ON f.bucket = o.bucket AND f.rate_key = l.rate_key ORDER BY l.ordinality) END
               AS resellers_rates
    FROM reservations r JOIN open_calls o ON o.bucket = r.bucket AND o.call_key = r.call_key
    JOIN accounts a ON a.bucket = r.bucket AND a.account_id = r.account_id
    LEFT JOIN subscribers s ON s.bucket = r.bucket AND s.subscriber_id = r.subscriber_id
    WHERE ($1::timestamptz IS NULL OR (r.prepared_at, r.call_key) > ($1, $2))
      AND ($3::smallint IS NULL OR (r.bucket = $3 AND r.account_id = $4))
      AND ($5::bigint IS NULL OR r.subscriber_id = $5) AND ($6::text IS NULL OR r.exchange = $6)
      AND ($8::bigint[] IS NULL OR r.account_id = ANY ($8))
    ORDER BY r.prepared_at, r.call_key LIMIT $7
"""
_UNFINISHED: Final = """
    SELECT c.call_key, c.attempt, COALESCE(s.login, '') AS login, c.destination, c.state::text, c.source, c.disposition,
           c.seconds, c.cost, c.currency, c.prepared_at, c.ended_at
    FROM cdrs c LEFT JOIN subscribers s USING (bucket, subscriber_id)
    WHERE c.source IN ('reconciled', 'expired')
      AND ($1::timestamptz IS NULL OR (c.ended_at, c.call_key) < ($1, $2))
    ORDER BY c.ended_at DESC, c.call_key DESC LIMIT $3
"""
_SUSPICIOUS: Final = """
    SELECT c.call_key, c.attempt, COALESCE(s.login, '') AS login, c.destination, c.suspicion, c.seconds,
           COALESCE(c.said_seconds, c.seconds) AS said_seconds, c.seen_seconds, c.granted, c.cost, c.currency,
           c.disposition, c.ended_at
    FROM cdrs c LEFT JOIN subscribers s USING (bucket, subscriber_id)
    WHERE c.suspicion <> '' AND ($1::timestamptz IS NULL OR (c.ended_at, c.call_key) < ($1, $2))
    ORDER BY c.ended_at DESC, c.call_key DESC LIMIT $3
"""
_SUSPICIOUS_OF_LATE: Final = """
    SELECT suspicion, count(*) FROM call_records
    WHERE suspicion <> '' AND ended_at > now() - make_interval(hours => $1) GROUP BY suspicion ORDER BY suspicion
"""
_OWNER: Final = """
    SELECT s.party_id FROM open_calls o JOIN subscribers s ON s.bucket = o.bucket AND s.subscriber_id = o.subscriber_id
    WHERE o.bucket = $1 AND o.call_key = $2
"""
_IS_OPEN: Final = "SELECT EXISTS (SELECT 1 FROM reservations WHERE bucket = ANY ($1) AND call_key = $2)"


async def list_live(database: Questions, wanted: LiveCallFilter, cursor: Cursor) -> Page[LiveCall]:
    """Open calls, the longest open first. Errors: NotFound (the login), InvalidRequest (after), Unavailable."""
    bucket = account_id = subscriber_id = None
    login = wanted.login or wanted.account_of
    if login is not None:
        bucket, account_id, own = await place_of(database, login)
        subscriber_id = own if wanted.login is not None else None
    position = cursor.position(datetime, str)
    accounts = None if wanted.owner is None else await accounts_below(database, wanted.owner)
    rows = await database.fetch(
        _OPEN, *position, bucket, account_id, subscriber_id, wanted.exchange, cursor.rows, accounts
    )
    return page_of([_live_from_row(row) for row in rows], cursor, lambda call: (call.prepared_at, str(call.call_key)))


async def list_unfinished(database: Questions, cursor: Cursor) -> Page[UnfinishedCall]:
    """Calls whose end nobody reported, the latest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_UNFINISHED, *cursor.position(datetime, str), cursor.rows)
    return page_of(
        [_unfinished_from_row(row) for row in rows], cursor, lambda call: (call.ended_at, str(call.call_key))
    )


async def list_suspicious(database: Questions, cursor: Cursor) -> Page[SuspiciousCall]:
    """Calls whose end a person should look at, the latest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_SUSPICIOUS, *cursor.position(datetime, str), cursor.rows)
    return page_of(
        [_suspicious_from_row(row) for row in rows], cursor, lambda call: (call.ended_at, str(call.call_key))
    )


async def count_suspicious(database: Questions, *, hours: int) -> dict[str, int]:
    """How many of them ended in the last hours, by their suspicion. Errors: Unavailable."""
    return {row[0]: row[1] for row in await database.fetch(_SUSPICIOUS_OF_LATE, hours)}


async def is_open(database: Questions, call_key: CallKey, *, buckets: int) -> bool:
    """Whether a call holds money now. Errors: Unavailable."""
    return bool(await database.fetchval(_IS_OPEN, list(range(buckets)), str(call_key)))


async def owner_of_open(database: Questions, call_key: CallKey, *, buckets: int) -> int | None:
    """Whose line has a call that holds money now; None: there is no such call. Errors: Unavailable."""
    for bucket in range(buckets):
        owner: int | None = await database.fetchval(_OWNER, bucket, str(call_key))
        if owner is not None:
            return owner
    return None


def _live_from_row(row: asyncpg.Record) -> LiveCall:
    own = {"call_key", "seconds_left"}
    values = {name: row[name] for name in LiveCall.__dataclass_fields__ if name not in own}
    return LiveCall(call_key=key_from_row(row), seconds_left=_seconds_left(row), **values)


def _seconds_left(row: asyncpg.Record) -> int | None:
    if row["talked"] is None:
        return None
    try:
        longest = min(
            max_duration(Rate.from_json(rate), granted, row["cap_seconds"])
            for rate, granted in zip(
                (row["rate"], *(row["resellers_rates"] or ())),
                (row["granted"], *(row["resellers_granted"] or ())),
                strict=True,
            )
        )
    except InvalidRate:  # its end is decided by `settle`, which says so; a list is no place to fail for it
        return None
    return max(0, longest - int(row["talked"]))


def _unfinished_from_row(row: asyncpg.Record) -> UnfinishedCall:
    values = {name: row[name] for name in UnfinishedCall.__dataclass_fields__ if name != "call_key"}
    return UnfinishedCall(call_key=key_from_row(row), **values)


def _suspicious_from_row(row: asyncpg.Record) -> SuspiciousCall:
    values = {name: row[name] for name in SuspiciousCall.__dataclass_fields__ if name != "call_key"}
    return SuspiciousCall(call_key=key_from_row(row), **values)
