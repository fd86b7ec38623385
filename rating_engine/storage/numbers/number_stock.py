"""Regions and kinds of numbers, and the free numbers by them."""

from __future__ import annotations

from typing import Any, Final

from rating_engine.domain.number_stock import MAX_SERIES, SERIES_REST, FreeNumber, Named, Stock
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_REGIONS: Final = "SELECT region_id AS number, name FROM number_regions ORDER BY 1 LIMIT 1000"
_KINDS: Final = "SELECT kind_id AS number, name FROM number_kinds ORDER BY 1 LIMIT 1000"
_ADD_REGION: Final = "INSERT INTO number_regions (name) VALUES ($1) ON CONFLICT (name) DO NOTHING"
_REGION: Final = "SELECT region_id FROM number_regions WHERE name = $1"
_ADD_KIND: Final = "INSERT INTO number_kinds (name) VALUES ($1) ON CONFLICT (name) DO NOTHING"
_KIND: Final = "SELECT kind_id FROM number_kinds WHERE name = $1"
_FREE: Final = """
    FROM dids d JOIN did_pools o USING (pool_id)
    WHERE d.state = 'free' AND ($1::bigint = 0 OR o.region_id = $1) AND ($2::bigint = 0 OR o.kind_id = $2)
      AND starts_with(d.number, $3)"""
_COUNT: Final = f"SELECT count(*) {_FREE}"
_SERIES: Final = f"""
    SELECT DISTINCT left(d.number, greatest(length(d.number) - {SERIES_REST}, 1)) AS series {_FREE}
    ORDER BY 1 LIMIT {MAX_SERIES}"""
_NUMBERS: Final = f"""
    SELECT d.did_id, d.number, d.pool_id, COALESCE(o.region_id, 0) AS region_id, COALESCE(o.kind_id, 0) AS kind_id,
           o.setup_price + o.monthly_price AS cost, o.currency {_FREE} ORDER BY d.number OFFSET $4 LIMIT $5"""
_NUMBER: Final = "SELECT number FROM dids WHERE did_id = $1"
_ONE_FREE: Final = """
    SELECT d.did_id, d.number, d.pool_id, COALESCE(o.region_id, 0) AS region_id, COALESCE(o.kind_id, 0) AS kind_id,
           o.setup_price + o.monthly_price AS cost, o.currency
    FROM dids d JOIN did_pools o USING (pool_id) WHERE d.state = 'free' AND d.did_id = $1"""


async def regions(questions: Questions) -> list[Named]:
    """Regions by their numbers. Errors: Unavailable."""
    return [Named(**row) for row in await questions.fetch(_REGIONS)]


async def kinds(questions: Questions) -> list[Named]:
    """Kinds by their numbers. Errors: Unavailable."""
    return [Named(**row) for row in await questions.fetch(_KINDS)]


async def region_called(tx: Transaction, name: str) -> int | None:
    """The region of that name, made where there is none; None for ''. Errors: Unavailable."""
    return await _called(tx, _ADD_REGION, _REGION, name)


async def kind_called(tx: Transaction, name: str) -> int | None:
    """The same of kinds. Errors: Unavailable."""
    return await _called(tx, _ADD_KIND, _KIND, name)


async def free_numbers(questions: Questions, region: int, kind: int, series: str, start: int, limit: int) -> Stock:
    """Numbers of a region and a kind (0: any) that begin with `series`. Errors: Unavailable."""
    of: tuple[Any, ...] = (region, kind, series)
    numbers = [FreeNumber(**row) for row in await questions.fetch(_NUMBERS, *of, start, limit)]
    found = [row["series"] for row in await questions.fetch(_SERIES, *of)]
    return Stock(int(await questions.fetchval(_COUNT, *of)), tuple(found), tuple(numbers))


async def free_number(questions: Questions, did_id: int) -> FreeNumber | None:
    """One of them; None: it is not to be had. Errors: Unavailable."""
    row = await questions.fetchrow(_ONE_FREE, did_id)
    return None if row is None else FreeNumber(**row)


async def number_of(questions: Questions, did_id: int) -> str | None:
    """The number with that id; None: there is none. Errors: Unavailable."""
    number: str | None = await questions.fetchval(_NUMBER, did_id)
    return number


async def _called(tx: Transaction, add: str, find: str, name: str) -> int | None:
    if name == "":
        return None
    await tx.execute(add, name)
    found: int | None = await tx.fetchval(find, name)
    return found
