"""How calls of tariffs that are priced by directions are counted."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.price_list import BillType
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = "name, free_threshold, step"


async def list_bill_types(questions: Questions, cursor: Cursor) -> Page[BillType]:
    """Bill types by name. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(
        f"SELECT {_COLUMNS} FROM bill_types WHERE $1::text IS NULL OR name > $1 ORDER BY name LIMIT $2",  # noqa: S608
        *cursor.position(str), cursor.rows,
    )  # fmt: skip
    return page_of_rows(rows, cursor, lambda row: (row["name"],), lambda row: BillType(**row))


async def find_bill_type(questions: Questions, name: str) -> BillType:
    """One of them. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(f"SELECT {_COLUMNS} FROM bill_types WHERE name = $1", name)  # noqa: S608  # constants
    if row is None:
        raise NotFound(f"bill type {name!r} does not exist", field="bill_type")
    return BillType(**row)


async def hold_bill_type(tx: Transaction, name: str) -> BillType:
    """The same, which nobody changes until the transaction ends. Errors: NotFound, Unavailable."""
    await tx.execute("SELECT FROM bill_types WHERE name = $1 FOR NO KEY UPDATE", name)
    return await find_bill_type(tx, name)


async def add_bill_type(tx: Transaction, new: BillType) -> None:
    """One more. Errors: AlreadyExists, Unavailable."""
    try:
        await tx.execute(
            f"INSERT INTO bill_types ({_COLUMNS}) VALUES ($1, $2, $3)",  # noqa: S608  # constants
            new.name, new.free_threshold, new.step,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"bill type {new.name!r} exists already", field="bill_type") from None


async def set_bill_type(tx: Transaction, changed: BillType) -> None:
    """Its threshold and step. Errors: Unavailable."""
    await tx.execute(
        "UPDATE bill_types SET free_threshold = $2, step = $3 WHERE name = $1",
        changed.name, changed.free_threshold, changed.step,
    )  # fmt: skip


async def remove_bill_type(tx: Transaction, name: str) -> None:
    """Forget it. Errors: NotFound, Refused (a tariff has it), Unavailable."""
    await hold_bill_type(tx, name)
    try:
        await tx.execute("DELETE FROM bill_types WHERE name = $1", name)
    except asyncpg.ForeignKeyViolationError:
        raise Refused(f"bill type {name!r} is that of a tariff; give the tariff another one first") from None


async def tariffs_of_bill_type(tx: Transaction, name: str) -> list[int]:
    """The tariffs that have it and prices by direction. Errors: Unavailable."""
    rows = await tx.fetch(
        "SELECT tariff_id FROM tariffs t WHERE bill_type = $1 AND removed_at IS NULL "
        "AND EXISTS (SELECT FROM direction_prices p WHERE p.tariff_id = t.tariff_id) ORDER BY tariff_id",
        name,
    )
    return [row["tariff_id"] for row in rows]
