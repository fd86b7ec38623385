"""Bans as they are kept; every change of one is announced."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import asyncpg

from rating_engine.domain.addresses import Network
from rating_engine.domain.ban import WHITELIST, Ban
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

MAX_KNOWN: Final = 100_000  # that an engine has in memory, some 50 MB; the newest count

_COLUMNS: Final = (
    "ban_id, source, target, reason, permanent, NULLIF(expires_at, 'infinity') AS expires_at, hits, created_at"
)
_KNOWN: Final = f"SELECT {_COLUMNS} FROM bans WHERE expires_at > now() ORDER BY ban_id DESC LIMIT $1"  # noqa: S608
_FIND: Final = f"SELECT {_COLUMNS} FROM bans WHERE ban_id = $1"  # noqa: S608
_LIST: Final = f"""
    SELECT {_COLUMNS} FROM bans
    WHERE ($1::bigint IS NULL OR ban_id > $1) AND ($2::text IS NULL OR source = $2) AND ($3 OR expires_at > now())
    ORDER BY ban_id LIMIT $4
"""  # noqa: S608
_ADD: Final = f"""
    INSERT INTO bans (source, target, reason, permanent, expires_at)
    VALUES ($1, $2, $3, $4, COALESCE(now() + $5::interval, 'infinity'))
    ON CONFLICT (source, target) DO UPDATE SET
        reason = EXCLUDED.reason, permanent = bans.permanent OR EXCLUDED.permanent,
        expires_at = GREATEST(bans.expires_at, EXCLUDED.expires_at)
    RETURNING {_COLUMNS}
"""  # noqa: S608
_PERMANENT: Final = """
    UPDATE bans SET permanent = $3 WHERE target = $1 AND ($2::text IS NULL OR source = $2) RETURNING ban_id
"""
_REMOVE: Final = "DELETE FROM bans WHERE target = $1 AND ($2::text IS NULL OR source = $2) RETURNING ban_id"
_FLUSH: Final = """
    DELETE FROM bans WHERE NOT permanent AND source <> $2 AND ($1::text IS NULL OR source = $1) RETURNING ban_id
"""
_PROTECTED: Final = "SELECT 1 FROM bans WHERE source = $1 AND target && $2 AND expires_at > now()"
_HITS: Final = """
    UPDATE bans b SET hits = b.hits + n.hits FROM unnest($1::bigint[], $2::bigint[]) AS n(ban_id, hits)
    WHERE b.ban_id = n.ban_id
"""


async def known_bans(questions: Questions) -> list[Ban]:
    """Those that count now, MAX_KNOWN at the most. Errors: Unavailable."""
    return [ban_from_row(row) for row in await questions.fetch(_KNOWN, MAX_KNOWN)]


async def find_ban(questions: Questions, ban_id: int) -> Ban | None:
    """The ban of that number. Errors: Unavailable."""
    row = await questions.fetchrow(_FIND, ban_id)
    return None if row is None else ban_from_row(row)


async def list_bans(questions: Questions, source: str | None, ended: bool, cursor: Cursor) -> Page[Ban]:
    """The oldest first; `ended`: those that are over too. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(int), source, ended, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["ban_id"],), ban_from_row)


async def add_ban(
    tx: Transaction, source: str, target: Network, *, reason: str, permanent: bool, lasts: timedelta | None
) -> Ban:
    """Ban a network; one that is there lasts as long as the longer of both. Errors: Unavailable."""
    (row,) = await tx.fetch(_ADD, source, target, reason, permanent, lasts)
    return ban_from_row(row)


async def set_permanent(tx: Transaction, target: Network, source: str | None, permanent: bool) -> bool:
    """Whether there was one. Errors: Unavailable."""
    return bool(await tx.fetch(_PERMANENT, target, source, permanent))


async def is_whitelisted(questions: Questions, target: Network) -> bool:
    """Whether some of it is protected. Errors: Unavailable."""
    return await questions.fetchval(_PROTECTED, WHITELIST, target) is not None


async def remove_ban(tx: Transaction, target: Network, source: str | None) -> int:
    """How many were taken away. Errors: Unavailable."""
    return len(await tx.fetch(_REMOVE, target, source))


async def flush_bans(tx: Transaction, source: str | None) -> int:
    """Take away all that are not permanent, but for the whitelist; how many. Errors: Unavailable."""
    return len(await tx.fetch(_FLUSH, source, WHITELIST))


async def count_hits(database: Database, hits: Mapping[int, int]) -> None:
    """Who was refused by which ban how often. Errors: Unavailable."""
    await database.fetch(_HITS, list(hits), list(hits.values()))


def ban_from_row(row: asyncpg.Record) -> Ban:
    """The ban of a row that has _COLUMNS."""
    return Ban(**dict(row))
