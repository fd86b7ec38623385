"""Telephone numbers: rows, lists, and what changes of them. Their money is in `rents`, their rules in `call_rules`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from rating_engine.domain.did import Did, DidState
from rating_engine.domain.errors import AlreadyExists, Hint, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = (
    "party_id", "pool_id", "state", "enabled", "auto_renew", "monthly_price", "setup_price", "currency", "paid_to",
    "notified_at", "ordered_at", "orders", "arguments", "line", "max_calls", "comment", "route_id",
)  # fmt: skip

_SELECT: Final = """
    SELECT d.did_id, d.number, d.party_id, p.login AS owner, d.pool_id, COALESCE(o.country, '') AS country,
           COALESCE(o.area, '') AS area, d.state, d.enabled, d.auto_renew, d.monthly_price, d.setup_price, d.currency,
           d.paid_to, d.notified_at IS NOT NULL AS notified, d.orders, d.line, d.max_calls, d.comment,
           d.route_id, COALESCE(x.name, '') AS provider,
           EXISTS (SELECT FROM call_rules c WHERE c.did_id = d.did_id) AS has_rules
    FROM dids d LEFT JOIN parties p USING (party_id) LEFT JOIN did_pools o USING (pool_id)
    LEFT JOIN routes x ON x.route_id = d.route_id"""
_FIND: Final = f"{_SELECT} WHERE d.number = $1"
_NUMBERED: Final = f"{_SELECT} WHERE d.did_id = $1"
_HOLD: Final = "SELECT 1 FROM dids WHERE number = $1 FOR NO KEY UPDATE"
_ADD: Final = """
    INSERT INTO dids (number, party_id, pool_id, state, monthly_price, setup_price, currency, paid_to, comment,
                      route_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (number) DO NOTHING RETURNING did_id"""
_OF_PARTIES: Final = f"""
    {_SELECT} WHERE ($1::bigint[] IS NULL OR d.party_id = ANY ($1)) AND ($2::text IS NULL OR d.number > $2)
      AND ($3::text IS NULL OR d.state = $3)
    ORDER BY d.number LIMIT $4"""
_OWNER: Final = """
    SELECT COALESCE(party_id, 1) FROM dids WHERE number = $1 AND (party_id IS NOT NULL OR state <> 'closed')"""
_FREE: Final = f"""
    {_SELECT} WHERE d.state = 'free' AND o.country = $1 AND o.area = $2 AND ($3 = '' OR position($3 IN d.number) > 0)
    ORDER BY d.pool_id, d.number LIMIT (SELECT max(quantity) FROM did_pools WHERE country = $1 AND area = $2)"""  # noqa: S608  # constants
_COUNTRIES: Final = "SELECT DISTINCT country FROM did_pools ORDER BY 1 LIMIT 1000"
_AREAS: Final = "SELECT DISTINCT area FROM did_pools WHERE country = $1 ORDER BY 1 LIMIT 1000"
_ACCESS: Final = f"""
    {_SELECT} WHERE d.state = 'active' AND d.enabled AND d.paid_to > now() AND d.party_id = ANY ($1)
      AND EXISTS (SELECT FROM call_rules r WHERE r.did_id = d.did_id AND r.action = 'disa' AND r.policy = 'ACCEPT')
    ORDER BY d.number LIMIT 1000"""  # a voice menu of access numbers has a few; nobody reads more


_NUMBERS_OF: Final = "SELECT number FROM dids WHERE party_id = $1 AND state = 'active' ORDER BY did_id LIMIT 10000"
_SHOWS: Final = """
    SELECT EXISTS (SELECT FROM dids WHERE party_id = $1 AND number = $2 AND state = 'active')
        OR EXISTS (SELECT FROM subscribers WHERE party_id = $1 AND ltrim(callerid, '+') = $2)"""


def unknown_number(number: str) -> NotFound:
    """The error for a number that is not there."""
    return NotFound(f"there is no number {number[:40]!r}", field="did", hint=Hint.SEE_DIDS)


async def find_did(questions: Questions, number: str) -> Did:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, number)
    if row is None:
        raise unknown_number(number)
    return did_from_row(row)


async def did_numbered(questions: Questions, did_id: int) -> Did | None:
    """The same by its id; None: there is none. Errors: Unavailable."""
    row = await questions.fetchrow(_NUMBERED, did_id)
    return None if row is None else did_from_row(row)


async def hold_did(tx: Transaction, number: str) -> Did:
    """The number as it is until the transaction ends. Errors: NotFound, Unavailable."""
    await tx.fetchval(_HOLD, number)
    return await find_did(tx, number)


async def owner_of_number(questions: Questions, number: str) -> int:
    """Whose a number is; the system's where it is to be had. Errors: NotFound (also: closed for good), Unavailable."""
    owner: int | None = await questions.fetchval(_OWNER, number)
    if owner is None:
        raise unknown_number(number)
    return owner


async def numbers_of(questions: Questions, party_id: int) -> list[str]:
    """The active numbers of a party. Errors: Unavailable."""
    return [row["number"] for row in await questions.fetch(_NUMBERS_OF, party_id)]


async def shows(questions: Questions, party_id: int | None, number: str) -> bool:
    """Whether calls of a party may show a number: one of its own, or a caller id of its lines. Errors: Unavailable."""
    return bool(await questions.fetchval(_SHOWS, party_id, number))


async def add_did(tx: Transaction, number: str, values: Mapping[str, Any]) -> None:
    """A number that was not there. Errors: AlreadyExists, Unavailable."""
    made = await tx.fetchval(
        _ADD, number, values.get("party_id"), values.get("pool_id"), values["state"], values["monthly_price"],
        values.get("setup_price", 0), values["currency"], values.get("paid_to"), values.get("comment", ""),
        values.get("route_id"),
    )  # fmt: skip
    if made is None:
        raise AlreadyExists(f"the number {number} is there", field="did")


async def change_did(tx: Transaction, did_id: int, values: Mapping[str, Any]) -> None:
    """Set columns of a number. Errors: Unavailable."""
    if values:
        changes = assignments(CHANGEABLE, values, first=2)
        await tx.execute(f"UPDATE dids SET {changes} WHERE did_id = $1", did_id, *values.values())  # noqa: S608


async def list_dids(
    questions: Questions, parties: Sequence[int] | None, state: DidState | None, cursor: Cursor
) -> Page[Did]:
    """Numbers of parties (None: all there are), in their order. Errors: InvalidRequest (after), Unavailable."""
    of = None if parties is None else list(parties)
    rows = await questions.fetch(_OF_PARTIES, of, *cursor.position(str), state, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["number"],), did_from_row)


async def countries(questions: Questions) -> list[str]:
    """Where numbers are to be had. Errors: Unavailable."""
    return [row["country"] for row in await questions.fetch(_COUNTRIES)]


async def areas(questions: Questions, country: str) -> list[str]:
    """Where in a country. Errors: Unavailable."""
    return [row["area"] for row in await questions.fetch(_AREAS, country)]


async def free_numbers(questions: Questions, country: str, area: str, search: str) -> list[Did]:
    """Numbers that can be ordered there, as many as their pool shows. Errors: Unavailable."""
    return [did_from_row(row) for row in await questions.fetch(_FREE, country, area, search)]


async def access_numbers(questions: Questions, parties: Sequence[int]) -> list[Did]:
    """Numbers of parties that ask for a calling card. Errors: Unavailable."""
    return [did_from_row(row) for row in await questions.fetch(_ACCESS, list(parties))]


async def count_numbers(questions: Questions, number: str, now: datetime) -> int:
    """How many numbers like this take calls: 1 or 0. Errors: Unavailable."""
    found = await questions.fetchrow(_FIND, number)
    return int(found is not None and did_from_row(found).takes_calls(now))


def did_from_row(row: asyncpg.Record) -> Did:
    """A number from a row of `_SELECT`."""
    return Did(**{**row, "state": DidState(row["state"])})
