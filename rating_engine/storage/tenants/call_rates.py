"""The call rates of tenants, row by row, and the search for them.

Law: a tenant finds, changes and counts its own rates alone: every statement asks for its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from rating_engine.domain.rate_query import NUMBERS, Comparison, Operator, RateQuery
from rating_engine.domain.tenant import RATE_FIELDS, CallRate, CallRateType, NewCallRate
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = ", ".join(RATE_FIELDS)
_FIND: Final = f"SELECT rate_id, {_COLUMNS} FROM call_rates WHERE party_id = $1 AND rate_id = $2"  # noqa: S608  # constants
_BY_PREFIX: Final = "SELECT rate_id FROM call_rates WHERE party_id = $1 AND prefix = $2"
_COUNT: Final = "SELECT count(*) FROM call_rates WHERE party_id = $1"
_ADD: Final = f"""
    INSERT INTO call_rates (party_id, {_COLUMNS})
    VALUES ($1, {", ".join(f"${number}" for number in range(2, 2 + len(RATE_FIELDS)))}) RETURNING rate_id"""  # noqa: S608
_REMOVE: Final = "DELETE FROM call_rates WHERE party_id = $1 AND rate_id = $2"
_SEARCH: Final = "(position(lower({value}) IN lower(prefix)) > 0 OR position(lower({value}) IN lower(description)) > 0)"
_COMPARED: Final = {
    Operator.EQ: "{field} = {value}",
    Operator.NE: "{field} <> {value}",
    Operator.GT: "{field} > {value}",
    Operator.GE: "{field} >= {value}",
    Operator.LT: "{field} < {value}",
    Operator.LE: "{field} <= {value}",
    Operator.CONTAINS: "position({value} IN {field}) > 0",
    Operator.STARTSWITH: "starts_with({field}, {value})",
}


async def find_rate(questions: Questions, party_id: int, rate_id: int) -> CallRate | None:
    """A rate of a tenant, or None. Errors: Unavailable."""
    row = await questions.fetchrow(_FIND, party_id, rate_id)
    return None if row is None else _rate(row)


async def rate_of_prefix(questions: Questions, party_id: int, prefix: str) -> int | None:
    """The number of the rate that a tenant has for a prefix. Errors: Unavailable."""
    found: int | None = await questions.fetchval(_BY_PREFIX, party_id, prefix)
    return found


async def count_rates(questions: Questions, party_id: int) -> int:
    """How many rates a tenant has. Errors: Unavailable."""
    return int(await questions.fetchval(_COUNT, party_id))


async def add_rate(tx: Transaction, party_id: int, new: NewCallRate) -> int:
    """Keep a rate of a prefix that has none; its number. Errors: Unavailable."""
    return int(await tx.fetchval(_ADD, party_id, *(getattr(new, name) for name in RATE_FIELDS)))


async def change_rate(tx: Transaction, party_id: int, rate_id: int, values: Mapping[str, object]) -> None:
    """Set fields of a rate. Errors: Unavailable."""
    changes = assignments(RATE_FIELDS, values, first=3)
    await tx.execute(
        f"UPDATE call_rates SET {changes} WHERE party_id = $1 AND rate_id = $2",  # noqa: S608  # names of columns
        party_id, rate_id, *values.values(),
    )  # fmt: skip


async def remove_rate(tx: Transaction, party_id: int, rate_id: int) -> None:
    """Forget a rate. Errors: Unavailable."""
    await tx.execute(_REMOVE, party_id, rate_id)


async def search_rates(questions: Questions, party_id: int, query: RateQuery) -> tuple[int, list[CallRate]]:
    """How many rates match, and those of the page. Errors: Unavailable."""
    arguments: list[Any] = [party_id]
    condition = _condition(query, arguments)
    count = int(await questions.fetchval(f"SELECT count(*) FROM call_rates WHERE {condition}", *arguments))  # noqa: S608
    order = ", ".join(f"{_sorted_as(one.field)} {'DESC' if one.descending else 'ASC'}" for one in query.orderby)
    rows = await questions.fetch(
        f"SELECT rate_id, {_COLUMNS} FROM call_rates WHERE {condition} "  # noqa: S608  # words of constants
        f"ORDER BY {order}, rate_id OFFSET ${len(arguments) + 1} LIMIT ${len(arguments) + 2}",
        *arguments, query.skip, query.top,
    )  # fmt: skip
    return count, [_rate(row) for row in rows]


async def all_rates(questions: Questions, party_id: int) -> list[CallRate]:
    """Every rate of a tenant by prefix: CALL_RATES_MAX at most. Errors: Unavailable."""
    rows = await questions.fetch(
        f"SELECT rate_id, {_COLUMNS} FROM call_rates WHERE party_id = $1 ORDER BY prefix",  # noqa: S608  # constants
        party_id,
    )
    return [_rate(row) for row in rows]


def _condition(query: RateQuery, arguments: list[Any]) -> str:
    """The condition of a query, whose values are put behind `arguments`."""
    parts = ["party_id = $1"]
    if query.filter:
        groups = (" AND ".join(_comparison(each, arguments) for each in group) for group in query.filter)
        parts.append(f"({' OR '.join(f'({group})' for group in groups)})")
    if query.search:
        arguments.append(query.search)
        parts.append(_SEARCH.format(value=f"${len(arguments)}::text"))
    return " AND ".join(parts)


def _comparison(one: Comparison, arguments: list[Any]) -> str:
    arguments.append(one.value)
    kind = "numeric" if one.field in NUMBERS else "text"
    return _COMPARED[one.operator].format(field=_sorted_as(one.field), value=f"${len(arguments)}::{kind}")


def _sorted_as(field: str) -> str:
    """Texts go by their characters, wherever the database stands."""
    return field if field in NUMBERS else f'({field} COLLATE "C")'


def _rate(row: asyncpg.Record) -> CallRate:
    return CallRate(**{**row, "type": CallRateType(row["type"])})
