"""Taxes, as they are kept."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tax import Tax
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_LIST: Final = """
    SELECT name, percent, tax_id FROM taxes WHERE $1::bigint IS NULL OR tax_id > $1 ORDER BY tax_id LIMIT $2"""
_FIND: Final = "SELECT name, percent, tax_id FROM taxes WHERE tax_id = $1"
_ADD: Final = "INSERT INTO taxes (name, percent) VALUES ($1, $2) RETURNING tax_id"
_REMOVE: Final = "DELETE FROM taxes WHERE tax_id = $1 RETURNING name"


async def list_taxes(questions: Questions, cursor: Cursor) -> Page[Tax]:
    """Taxes, the oldest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["tax_id"],), lambda row: Tax(**row))


async def find_tax(questions: Questions, tax_id: int) -> Tax:
    """One of them. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, tax_id)
    if row is None:
        raise NotFound(f"there is no tax {tax_id}", field="tax_id")
    return Tax(**row)


async def add_tax(tx: Transaction, new: Tax) -> int:
    """Its number. Errors: AlreadyExists, Unavailable."""
    try:
        return int(await tx.fetchval(_ADD, new.name, new.percent))
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"tax {new.name!r} exists already", field="name") from None


async def remove_tax(tx: Transaction, tax_id: int) -> str:
    """Its name. Errors: NotFound, Refused (something has it), Unavailable."""
    try:
        name = await tx.fetchval(_REMOVE, tax_id)
    except asyncpg.ForeignKeyViolationError:
        raise Refused(f"tax {tax_id} is in use; give what has it another one first") from None
    if name is None:
        raise NotFound(f"there is no tax {tax_id}", field="tax_id")
    return str(name)
