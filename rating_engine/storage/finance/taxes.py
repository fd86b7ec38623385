"""Taxes, as they are kept."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import asyncpg
import orjson

from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tax import PartyTax, Tax
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

# The taxes of a party `p`, whose details are `d`, as text: its own several, or else the one of its details.
TAXES: Final = """
    COALESCE((SELECT json_agg(json_build_array(x.position, x.name, x.percent::text) ORDER BY x.position)
              FROM party_taxes x WHERE x.party_id = p.party_id),
             (SELECT json_agg(json_build_array(1, x.name, x.percent::text)) FROM taxes x
              WHERE x.tax_id = d.tax_id AND x.percent > 0), '[]')::text AS taxes"""
_LIST: Final = """
    SELECT name, percent, tax_id FROM taxes WHERE $1::bigint IS NULL OR tax_id > $1 ORDER BY tax_id LIMIT $2"""
_FIND: Final = "SELECT name, percent, tax_id FROM taxes WHERE tax_id = $1"
_ADD: Final = "INSERT INTO taxes (name, percent) VALUES ($1, $2) RETURNING tax_id"
_REMOVE: Final = "DELETE FROM taxes WHERE tax_id = $1 RETURNING name"


def taxes_from(text: str) -> tuple[PartyTax, ...]:
    """Those that TAXES has told."""
    return tuple(PartyTax(place, name, Decimal(percent)) for place, name, percent in orjson.loads(text))


async def set_party_taxes(tx: Transaction, party_id: int, taxes: Sequence[PartyTax]) -> None:
    """The several taxes of a party; none: it has none of its own. Errors: Unavailable."""
    await tx.execute("DELETE FROM party_taxes WHERE party_id = $1", party_id)
    await tx.connection.executemany(
        "INSERT INTO party_taxes (party_id, position, name, percent) VALUES ($1, $2, $3, $4)",
        [(party_id, tax.position, tax.name, tax.percent) for tax in taxes],
    )


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
