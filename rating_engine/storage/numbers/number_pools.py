"""Pools of numbers as they are kept, and what the lists of users say of a number: one statement a question.

That a line's user has a list at all, the line carries (has_destination_list, kept by a trigger); what it says is asked
here at each call of such a user, so that a pool may have millions of numbers and counts the moment it is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.number_lists import (
    ListKind,
    ListSide,
    NewNumberPool,
    NumberList,
    NumberPool,
    PoolNumber,
    refusal_of,
)
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_POOLS: Final = """
    SELECT pool_id, name, description,
           (SELECT count(*) FROM number_pool_entries e WHERE e.pool_id = p.pool_id) AS entries FROM number_pools p"""
_FIND: Final = f"{_POOLS} WHERE name = $1"
_LIST: Final = f"{_POOLS} WHERE $1::text IS NULL OR name > $1 ORDER BY name LIMIT $2"
_ADD: Final = "INSERT INTO number_pools (name, description) VALUES ($1, $2)"
_HOLD: Final = "SELECT pool_id FROM number_pools WHERE name = $1 FOR UPDATE"
_USED_BY: Final = "SELECT count(*) FROM party_number_lists WHERE pool_id = $1"
_NUMBERS: Final = """
    SELECT number, whole FROM number_pool_entries
    WHERE pool_id = $1 AND ($2::text IS NULL OR (number, whole::integer) > ($2, $3::integer))
    ORDER BY number, whole LIMIT $4"""
_PUT: Final = """
    INSERT INTO number_pool_entries (pool_id, number, whole)
    SELECT $1, number, whole FROM unnest($2::text[], $3::boolean[]) AS n(number, whole)
    ON CONFLICT DO NOTHING RETURNING 1"""
_TAKE: Final = """
    DELETE FROM number_pool_entries e USING unnest($2::text[], $3::boolean[]) AS n(number, whole)
    WHERE e.pool_id = $1 AND e.number = n.number AND e.whole = n.whole RETURNING 1"""
_SET: Final = """
    INSERT INTO party_number_lists (party_id, side, kind, pool_id) VALUES ($1, $2, $3, $4)
    ON CONFLICT (party_id, side) DO UPDATE SET kind = EXCLUDED.kind, pool_id = EXCLUDED.pool_id"""
_UNSET: Final = "DELETE FROM party_number_lists WHERE party_id = $1 AND side = $2"
_OF_PARTY: Final = """
    SELECT side, kind, name FROM party_number_lists JOIN number_pools USING (pool_id) WHERE party_id = $1"""
_SAID: Final = """
    SELECT l.kind, EXISTS (SELECT 1 FROM number_pool_entries e WHERE e.pool_id = l.pool_id
                           AND e.number = ANY ($3::text[]) AND (NOT e.whole OR e.number = $4)) AS in_pool
    FROM party_number_lists l WHERE l.party_id = $1 AND l.side = $2"""


async def refusal_by_list(questions: Questions, party_id: int, side: ListSide, number: str) -> DeclineReason | None:
    """Why a party's list keeps a number out, in digits ('': none is shown); None: it does not, or there is none.

    Errors: Unavailable.
    """
    beginnings = [number[:length] for length in range(1, len(number) + 1)]
    row = await questions.fetchrow(_SAID, party_id, side.value, beginnings, number)
    return None if row is None else refusal_of(side, ListKind(row["kind"]), in_pool=row["in_pool"])


async def find_pool(questions: Questions, name: str) -> NumberPool:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, name)
    if row is None:
        raise _unknown(name)
    return NumberPool(**row)


async def list_pools(questions: Questions, cursor: Cursor) -> Page[NumberPool]:
    """By name. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["name"],), lambda row: NumberPool(**row))


async def add_pool(tx: Transaction, new: NewNumberPool) -> None:
    """Errors: AlreadyExists, Unavailable."""
    try:
        await tx.execute(_ADD, new.name, new.description)
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"number pool {new.name!r} exists already", field="name") from None


async def remove_pool(tx: Transaction, name: str) -> None:
    """With all its numbers. Errors: NotFound, InvalidRequest (lists go by it), Unavailable."""
    pool_id = await hold_pool(tx, name)
    if number := await tx.fetchval(_USED_BY, pool_id):
        raise InvalidRequest("name", f"{name!r} is the pool of {number} lists of users: take those away first")
    await tx.execute("DELETE FROM number_pools WHERE pool_id = $1", pool_id)


async def hold_pool(tx: Transaction, name: str) -> int:
    """The number of a pool, which is there until the transaction ends. Errors: NotFound, Unavailable."""
    pool_id: int | None = await tx.fetchval(_HOLD, name)
    if pool_id is None:
        raise _unknown(name)
    return pool_id


async def list_numbers(questions: Questions, pool_id: int, cursor: Cursor) -> Page[PoolNumber]:
    """The entries of a pool in their order. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_NUMBERS, pool_id, *cursor.position(str, int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["number"], int(row["whole"])), lambda row: PoolNumber(**row))


async def put_numbers(tx: Transaction, pool_id: int, numbers: Sequence[PoolNumber]) -> int:
    """How many of them were not there before. Errors: Unavailable."""
    return len(await tx.fetch(_PUT, pool_id, *_columns(numbers)))


async def take_numbers(tx: Transaction, pool_id: int, numbers: Sequence[PoolNumber]) -> int:
    """How many of them were there. Errors: Unavailable."""
    return len(await tx.fetch(_TAKE, pool_id, *_columns(numbers)))


async def set_list(tx: Transaction, party_id: int, side: ListSide, wanted: NumberList | None) -> None:
    """What a party's list is from now on; None: it has none. Errors: NotFound (the pool), Unavailable."""
    if wanted is None:
        await tx.execute(_UNSET, party_id, side.value)
    else:
        await tx.execute(_SET, party_id, side.value, wanted.kind.value, await hold_pool(tx, wanted.pool))


async def lists_of(questions: Questions, party_id: int) -> dict[ListSide, NumberList]:
    """The lists that a party has. Errors: Unavailable."""
    rows = await questions.fetch(_OF_PARTY, party_id)
    return {ListSide(row["side"]): NumberList(ListKind(row["kind"]), row["name"]) for row in rows}


def _columns(numbers: Sequence[PoolNumber]) -> tuple[list[str], list[bool]]:
    return [each.number for each in numbers], [each.whole for each in numbers]


def _unknown(name: str) -> NotFound:
    return NotFound(f"there is no number pool {name!r}", field="pool")
