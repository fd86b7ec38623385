"""Pools of numbers, as administrators change and list them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from rating_engine.domain.did import DidPool, NewPool
from rating_engine.domain.errors import NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.numbers.number_stock import kind_called, region_called
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = (
    "country", "area", "monthly_price", "setup_price", "provider", "username", "params", "quantity", "region_id",
    "kind_id",
)  # fmt: skip

_SELECT: Final = """
    SELECT o.pool_id, o.country, o.area, o.monthly_price, o.setup_price, o.currency, o.provider, o.username, o.params,
           o.quantity, (SELECT count(*) FROM dids d WHERE d.pool_id = o.pool_id AND d.state = 'free') AS free,
           COALESCE(r.name, '') AS region, COALESCE(k.name, '') AS kind
    FROM did_pools o LEFT JOIN number_regions r USING (region_id) LEFT JOIN number_kinds k USING (kind_id)"""
_FIND: Final = f"{_SELECT} WHERE o.pool_id = $1"
_LIST: Final = f"{_SELECT} WHERE $1::bigint IS NULL OR o.pool_id > $1 ORDER BY o.pool_id LIMIT $2"
_ADD: Final = """
    INSERT INTO did_pools (country, area, monthly_price, setup_price, currency, provider, username, params, quantity,
                           region_id, kind_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING pool_id"""
_HOLD: Final = "SELECT 1 FROM did_pools WHERE pool_id = $1 FOR NO KEY UPDATE"
_IN_USE: Final = "SELECT count(*) FROM dids WHERE pool_id = $1 AND state = 'ordered'"
_RELEASE: Final = "UPDATE dids SET pool_id = NULL, state = 'closed' WHERE pool_id = $1 AND state = 'free'"
_PRICES: Final = "UPDATE dids SET monthly_price = $2, setup_price = $3 WHERE pool_id = $1 AND state = 'free'"


async def find_pool(questions: Questions, pool_id: int) -> DidPool:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, pool_id)
    if row is None:
        raise NotFound(f"there is no pool {pool_id}", field="id")
    return _pool(row)


async def list_pools(questions: Questions, cursor: Cursor) -> Page[DidPool]:
    """Pools by their numbers. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["pool_id"],), _pool)


async def add_pool(tx: Transaction, new: NewPool) -> int:
    """Its number. Errors: Unavailable."""
    return int(
        await tx.fetchval(
            _ADD, new.country, new.area, new.monthly_price, new.setup_price, new.currency, new.provider, new.username,
            list(new.params), new.quantity, await region_called(tx, new.region), await kind_called(tx, new.kind),
        )
    )  # fmt: skip


async def change_pool(tx: Transaction, pool_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a pool; its free numbers cost what it says. Errors: NotFound, Unavailable."""
    await tx.fetchval(_HOLD, pool_id)
    values = dict(values)
    if "region" in values:
        values["region_id"] = await region_called(tx, values.pop("region"))
    if "kind" in values:
        values["kind_id"] = await kind_called(tx, values.pop("kind"))
    if values:
        changes = assignments(CHANGEABLE, values, first=2)
        await tx.execute(f"UPDATE did_pools SET {changes} WHERE pool_id = $1", pool_id, *values.values())  # noqa: S608
    pool = await find_pool(tx, pool_id)
    await tx.execute(_PRICES, pool_id, pool.monthly_price, pool.setup_price)


async def remove_pool(tx: Transaction, pool_id: int) -> None:
    """A pool with no order under way; its free numbers are closed, those of owners stay theirs.

    Errors: NotFound, Refused, Unavailable.
    """
    await tx.fetchval(_HOLD, pool_id)
    await find_pool(tx, pool_id)
    if await tx.fetchval(_IN_USE, pool_id):
        raise Refused("a number of it is being ordered: ask again in a minute")
    await tx.execute(_RELEASE, pool_id)
    await tx.execute("DELETE FROM did_pools WHERE pool_id = $1", pool_id)


def _pool(row: asyncpg.Record) -> DidPool:
    return DidPool(**{**row, "params": tuple(row["params"])})
