"""Directions as operators change them, and the directory of numbers that says which direction a number belongs to."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import asyncpg

from rating_engine.domain.errors import NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.price_list import ListedDirection
from rating_engine.domain.tariff import Direction
from rating_engine.rating.prefix import prefixes
from rating_engine.storage.postgres.connecting import Connection
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

LONGEST: Final = 32  # digits of a prefix

_ENTRY: Final = "d.direction_id, p.prefix AS code, d.name, d.min_len, d.max_len"
_RESOLVE: Final = f"""
    SELECT {_ENTRY} FROM direction_prefixes p JOIN directions d ON d.code = p.direction
    WHERE p.prefix = ANY ($1::text[]) ORDER BY length(p.prefix) DESC LIMIT 1"""  # noqa: S608  # constants
_PAGE: Final = f"""
    SELECT {_ENTRY} FROM direction_prefixes p JOIN directions d ON d.code = p.direction
    WHERE $1::text IS NULL OR p.prefix > $1 ORDER BY p.prefix LIMIT $2"""  # noqa: S608  # constants
# Of each direction its first prefix.
_DISTINCT: Final = """
    SELECT d.direction_id, first.prefix AS code, d.name, d.min_len, d.max_len
    FROM directions d CROSS JOIN LATERAL (
        SELECT min(prefix) AS prefix FROM direction_prefixes p WHERE p.direction = d.code
    ) AS first
    WHERE first.prefix IS NOT NULL AND ($1::bigint IS NULL OR d.direction_id > $1) ORDER BY d.direction_id LIMIT $2"""
_CODES: Final = "SELECT direction_id, code FROM directions WHERE direction_id = ANY ($1::bigint[])"
# Which direction the prefixes of a deck belong to, where nobody said so before; decks of carriers don't count.
_LEARN: Final = """
    INSERT INTO direction_prefixes (prefix, direction)
    SELECT DISTINCT ON (r.prefix) r.prefix, r.direction FROM rates r JOIN rate_decks d USING (deck_id)
    WHERE r.deck_id = $1 AND r.direction <> ''
      AND NOT EXISTS (SELECT FROM routes c WHERE c.cost_tariff_id = d.tariff_id)
      AND NOT EXISTS (SELECT FROM direction_prefixes known WHERE known.prefix = r.prefix)
    ORDER BY r.prefix ON CONFLICT (prefix) DO NOTHING"""


async def set_direction(tx: Transaction, direction: Direction) -> None:
    """Name a direction and say how long its numbers are; created if need be. Errors: Unavailable."""
    await tx.execute(
        "INSERT INTO directions (code, name, min_len, max_len) VALUES ($1, $2, $3, $4) ON CONFLICT (code) DO UPDATE "
        "SET name = EXCLUDED.name, min_len = EXCLUDED.min_len, max_len = EXCLUDED.max_len",
        direction.code, direction.name, direction.min_len, direction.max_len,
    )  # fmt: skip


async def set_prefixes(tx: Transaction, direction: str, given: Collection[str]) -> None:
    """Numbers that begin so belong to a direction, whatever was said before. Errors: Unavailable."""
    await tx.execute(
        "INSERT INTO direction_prefixes (prefix, direction) SELECT prefix, $1 FROM unnest($2::text[]) AS prefix "
        "ORDER BY prefix ON CONFLICT (prefix) DO UPDATE SET direction = EXCLUDED.direction",
        direction, sorted(set(given)),
    )  # fmt: skip


async def learn_prefixes(connection: Connection, deck_id: int) -> None:
    """Put the prefixes of a deck of ours into the directory that are not in it."""
    await connection.execute(_LEARN, deck_id)


async def resolve(questions: Questions, number: str) -> ListedDirection | None:
    """The direction of a number, by its longest prefix; `code` is that prefix. Errors: Unavailable."""
    row = await questions.fetchrow(_RESOLVE, prefixes(number, LONGEST))
    return None if row is None else ListedDirection(**row)


async def list_prefixes(questions: Questions, cursor: Cursor) -> Page[ListedDirection]:
    """The directory by prefix. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_PAGE, *cursor.position(str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["code"],), _entry)


async def list_directions(questions: Questions, cursor: Cursor) -> Page[ListedDirection]:
    """Directions that have a prefix by their numbers. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_DISTINCT, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["direction_id"],), _entry)


async def codes_of(questions: Questions, ids: Collection[int]) -> dict[int, str]:
    """The codes of directions by their numbers. Errors: NotFound (one of them), Unavailable."""
    found = {row["direction_id"]: row["code"] for row in await questions.fetch(_CODES, list(set(ids)))}
    if unknown := set(ids) - found.keys():
        raise NotFound(f"direction {min(unknown)} does not exist", field="direction")
    return found


async def without_prefix(questions: Questions, codes: Collection[str]) -> str | None:
    """A direction of these whose numbers nobody knows; None: there is none. Errors: Unavailable."""
    found: str | None = await questions.fetchval(
        "SELECT code FROM unnest($1::text[]) AS code "
        "WHERE NOT EXISTS (SELECT FROM direction_prefixes p WHERE p.direction = code) ORDER BY code LIMIT 1",
        list(codes),
    )
    return found


def _entry(row: asyncpg.Record) -> ListedDirection:
    return ListedDirection(**row)
