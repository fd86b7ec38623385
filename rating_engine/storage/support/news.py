"""News as they are kept; who may read one is asked in the query that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound
from rating_engine.domain.news import NewNews, NewsFilter, NewsItem, NewsType
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.principal import Principal
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = ("header", "message", "broadcast", "is_broadcast", "access", "language", "party_id", "type")

# $1 everybody's, $2 the reader's level, $3 its number
_READABLE: Final = """
    ($1 OR n.access <= $2 AND (n.party_id IS NULL OR n.party_id = $3)
       AND (n.language = '' OR n.language = (SELECT r.language FROM parties r WHERE r.party_id = $3)))"""
_LIST: Final = f"""
    SELECT n.news_id, n.header, n.message, n.broadcast, n.is_broadcast, n.access, n.language, p.login AS user, n.type,
           n.author, n.updated_by, n.created_at, n.updated_at, n.serial
    FROM news n LEFT JOIN parties p ON p.party_id = n.party_id
    WHERE {_READABLE} AND ($4::text IS NULL OR n.news_id = $4) AND (NOT $5 OR n.is_broadcast)
      AND ($6::bigint IS NULL OR n.serial < $6)
    ORDER BY n.serial DESC LIMIT $7
"""  # noqa: S608  # constants
_ADD: Final = """
    INSERT INTO news (news_id, header, message, broadcast, is_broadcast, access, language, party_id, type, author,
                      updated_by)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
"""


async def list_news(questions: Questions, reader: Principal, wanted: NewsFilter, cursor: Cursor) -> Page[NewsItem]:
    """What a reader may read, the newest first. Errors: InvalidRequest (after), Unavailable."""
    (serial,) = cursor.position(int)
    rows = await questions.fetch(
        _LIST, wanted.everybodys, int(reader.level), reader.party_id, wanted.news_id, wanted.broadcast, serial,
        cursor.rows,
    )  # fmt: skip
    return page_of_rows(rows, cursor, lambda row: (row["serial"],), _from_row)


async def add_news(tx: Transaction, new: NewNews) -> None:
    """Errors: AlreadyExists (id), NotFound (user), Unavailable."""
    party_id = None if new.user is None else (await find_party(tx, new.user)).party_id
    try:
        await tx.execute(
            _ADD, new.news_id, new.header, new.message, new.broadcast, new.is_broadcast, new.access, new.language,
            party_id, new.type, tx.principal.party,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"news {new.news_id!r} are there", field="id") from None


async def change_news(tx: Transaction, news_id: str, values: Mapping[str, object]) -> None:
    """Set fields of NewsChanges. Errors: NotFound (id, user), Unavailable."""
    columns = dict(values)
    if "user" in columns:
        user = columns.pop("user")
        columns["party_id"] = None if user is None else (await find_party(tx, str(user))).party_id
    changes = "".join(f"{each}, " for each in [assignments(CHANGEABLE, columns, first=3)] if each)
    changed = await tx.fetchval(
        f"UPDATE news SET {changes}updated_by = $2, updated_at = now()"  # noqa: S608  # names of columns
        " WHERE news_id = $1 RETURNING 1",
        news_id, tx.principal.party, *columns.values(),
    )  # fmt: skip
    if changed is None:
        raise unknown_news(news_id)


async def remove_news(tx: Transaction, news_id: str) -> None:
    """Errors: NotFound, Unavailable."""
    if await tx.fetchval("DELETE FROM news WHERE news_id = $1 RETURNING 1", news_id) is None:
        raise unknown_news(news_id)


def unknown_news(news_id: str) -> NotFound:
    """The error for an id that no news have, or none that the reader may read."""
    return NotFound(f"there are no news {news_id!r}", field="id")


def _from_row(row: asyncpg.Record) -> NewsItem:
    values = {name: value for name, value in row.items() if name != "serial"}
    return NewsItem(**{**values, "type": NewsType(row["type"])})
