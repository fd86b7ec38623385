"""Requests that are done once however often they are said: by a key that their asker made up.

Laws: the key, the answer and what was changed commit together, so a repeated request is told what the first was told
and changes nothing; a key that comes with another request is refused; keys of different parties are different keys. One
that is older than KEPT may be forgotten, and then counts as new. Money has keys of its own, for good: the reference of
a ledger entry, which the money function itself compares.

    async with office.transaction(principal) as tx:
        told = await once(tx, key, digest_of("add_route", name, carrier))
        if told is None:
            told = {...}  # what is changed by tx
            await keep_answer(tx, key, told)
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, Final

import orjson

from rating_engine.domain.checks import check_key
from rating_engine.domain.errors import AlreadyExists
from rating_engine.domain.principal import ENGINE
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

KEPT: Final = timedelta(days=7)  # who was cut off on a Friday evening repeats on Monday, and may be on leave first
SWEEP_BATCH: Final = 1_000  # keys forgotten in one statement: its locks are held for milliseconds

_TAKE: Final = """
    INSERT INTO idempotency_keys (party, key, digest) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true
"""
_TOLD: Final = "SELECT digest, answer::text FROM idempotency_keys WHERE party = $1 AND key = $2"
_KEEP: Final = "UPDATE idempotency_keys SET answer = $3::jsonb WHERE party = $1 AND key = $2"
# Anew where it is older than so long.
_TAKE_FOR: Final = """
    INSERT INTO idempotency_keys AS k (party, key, digest) VALUES ($1, $2, $3)
    ON CONFLICT (party, key) DO UPDATE SET created_at = now(), answer = '{}'
    WHERE k.created_at <= now() - $4::interval RETURNING true
"""
_FORGET_ONE: Final = "DELETE FROM idempotency_keys WHERE party = $1 AND key = $2"
_FORGET: Final = """
    DELETE FROM idempotency_keys WHERE (party, key) IN (
        SELECT party, key FROM idempotency_keys WHERE created_at < now() - $1::interval
        ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


def digest_of(*request: object) -> bytes:
    """What tells one request from another: of its name and all that it asks for, amounts and instants as they are."""
    return hashlib.sha256(orjson.dumps(request, default=str, option=orjson.OPT_SORT_KEYS)).digest()


async def once(tx: Transaction, key: str, request_digest: bytes) -> dict[str, Any] | None:
    """None the first time: `tx` has taken the key and may do the work. Else what the first one was told.

    Waits while another transaction is at the same key. Errors: AlreadyExists (the key came with another request),
    InvalidRequest (no key that can be kept), Unavailable.
    """
    check_key(key, "idempotency_key")
    row = None
    while row is None:  # again only where the key was forgotten in this very moment
        if await tx.fetchval(_TAKE, tx.principal.party, key, request_digest):
            return None
        row = await tx.fetchrow(_TOLD, tx.principal.party, key)
    digest, answer = row
    if digest != request_digest:
        raise AlreadyExists(f"the key {key!r} was used for another request", field="idempotency_key")
    told: dict[str, Any] = orjson.loads(answer)
    return told


async def once_within(tx: Transaction, key: str, request_digest: bytes, time: timedelta) -> dict[str, Any] | None:
    """None the first time within `time`: `tx` has taken the key. Else what the first one was told; {}: nothing yet.

    Errors: Unavailable.
    """
    if await tx.fetchval(_TAKE_FOR, tx.principal.party, key, request_digest, time):
        return None
    row = await tx.fetchrow(_TOLD, tx.principal.party, key)
    return {} if row is None else orjson.loads(row[1])


async def keep_answer(tx: Transaction, key: str, answer: dict[str, Any]) -> None:
    """What whoever repeats the request will be told; amounts as text. Errors: Unavailable."""
    await tx.execute(_KEEP, tx.principal.party, key, orjson.dumps(answer, default=str).decode())


async def forget(tx: Transaction, key: str) -> None:
    """The same asked again is another request from now on. Errors: Unavailable."""
    await tx.execute(_FORGET_ONE, tx.principal.party, key)


async def forget_old(office: Database) -> int:
    """Forget keys older than KEPT; how many. Errors: Unavailable, Overloaded."""
    forgotten = 0
    while True:
        async with office.transaction(ENGINE) as tx:
            count = int((await tx.execute(_FORGET, KEPT, SWEEP_BATCH)).split()[-1])
        forgotten += count
        if count < SWEEP_BATCH:
            return forgotten
