"""Caller ids and their lines, as they are kept and as a call without a login is found by them."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.known_caller import CallerTaken, KnownCaller, NewKnownCaller
from rating_engine.domain.page import MAX_LIMIT
from rating_engine.storage.parties.logins import Place
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_CALLERS: Final = """
    SELECT c.caller_id, c.number, c.subscriber_id AS line_id, s.login, COALESCE(p.technology, 'SIP') AS technology,
           s.party_id AS owner_id, c.domain, c.description, c.comment, c.banned, c.added_at, c.updated_at
    FROM known_callers c JOIN subscribers s ON s.bucket = c.bucket AND s.subscriber_id = c.subscriber_id
    LEFT JOIN sip_accounts p ON p.bucket = c.bucket AND p.subscriber_id = c.subscriber_id
    WHERE p.deleted_at IS NULL"""
_BY_NUMBER: Final = f"{_CALLERS} AND c.number = $1"
_OF_PARTIES: Final = f"""
    {_CALLERS} AND ($1::bigint[] IS NULL OR s.party_id = ANY ($1)) AND ($2::bigint IS NULL OR c.subscriber_id = $2)
    ORDER BY c.caller_id LIMIT $3"""
_ADD: Final = """
    INSERT INTO known_callers (number, bucket, subscriber_id, domain, description, comment, banned)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (number) DO NOTHING RETURNING caller_id"""
_REMOVE: Final = "DELETE FROM known_callers WHERE number = $1"
# Whoever had the number and has no phone any more: it is free for another line.
_FORGET: Final = """
    DELETE FROM known_callers c USING sip_accounts p
    WHERE c.number = $1 AND p.bucket = c.bucket AND p.subscriber_id = c.subscriber_id AND p.deleted_at IS NOT NULL"""
_LOGIN: Final = """
    SELECT s.login, c.banned FROM known_callers c
    JOIN subscribers s ON s.bucket = c.bucket AND s.subscriber_id = c.subscriber_id WHERE c.number = $1"""


async def find_caller(questions: Questions, digits: str) -> KnownCaller | None:
    """Whose a number is known to be; None: nobody's. Errors: Unavailable."""
    row = await questions.fetchrow(_BY_NUMBER, digits)
    return None if row is None else _caller_from_row(row)


async def callers_of(questions: Questions, parties: list[int] | None, line_id: int | None) -> list[KnownCaller]:
    """Those of lines of parties (None: all), or of one line, the oldest first, MAX_LIMIT. Errors: Unavailable."""
    return [_caller_from_row(row) for row in await questions.fetch(_OF_PARTIES, parties, line_id, MAX_LIMIT)]


async def add_caller(tx: Transaction, new: NewKnownCaller, place: Place) -> None:
    """Know a number as a line's. Errors: CallerTaken, Unavailable."""
    await tx.execute(_FORGET, new.digits)
    made = await tx.fetchval(
        _ADD, new.digits, place.bucket, place.subscriber_id, new.domain, new.description, new.comment, new.banned
    )
    if made is None:
        taken = await tx.fetchrow(_LOGIN, new.digits)
        raise CallerTaken("another line" if taken is None else taken["login"])


async def remove_caller(tx: Transaction, digits: str) -> None:
    """Know it no more. Errors: Unavailable."""
    await tx.execute(_REMOVE, digits)


async def login_of_caller(questions: Questions, digits: str) -> tuple[str, bool] | None:
    """The line of a number, and whether it is banned; None: it is not known. Errors: Unavailable."""
    row = await questions.fetchrow(_LOGIN, digits)
    return None if row is None else (row["login"], row["banned"])


def _caller_from_row(row: asyncpg.Record) -> KnownCaller:
    return KnownCaller(**row)
