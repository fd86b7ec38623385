"""Exchanges as they are listed, changed and found by what people call them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, Hint, NotFound
from rating_engine.domain.exchanges import NewExchange, SipExchange
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.sip_account import NoSuchExchange
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = ("address", "dns_name", "realm", "context", "config_directory", "enabled", "database_role")

_EXCHANGES: Final = """
    SELECT x.exchange_id, x.name, x.address, x.dns_name, x.realm, x.context, x.config_directory, x.database_role,
           x.enabled, x.created_at,
           (SELECT count(*) FROM sip_accounts p WHERE p.exchange_id = x.exchange_id AND p.deleted_at IS NULL)::integer
               AS phones
    FROM exchanges x"""
_BY_NAME: Final = f"{_EXCHANGES} WHERE x.name = $1"
_LIST: Final = f"{_EXCHANGES} WHERE ($1::text IS NULL OR x.name > $1) ORDER BY x.name LIMIT $2"
# By what a user may call it. Its name counts before what others happen to be called.
_FIND: Final = f"""
    {_EXCHANGES} WHERE x.enabled AND ($1::text IS NULL OR lower($1) IN (lower(x.name), x.address, lower(x.dns_name),
                                                                        lower(x.realm)))
    ORDER BY lower(x.name) <> lower($1), x.exchange_id LIMIT 2
"""  # a constant
MAX_ADDRESSES: Final = 10_000  # an operator has some dozens of exchanges
_ADDRESSES: Final = "SELECT name, address FROM exchanges WHERE address <> '' LIMIT $1"
_ADD: Final = """
    INSERT INTO exchanges (name, address, dns_name, realm, context, config_directory) VALUES ($1, $2, $3, $4, $5, $6)
"""


async def find_exchange(questions: Questions, name: str) -> SipExchange:
    """The exchange of a name. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_BY_NAME, name)
    if row is None:
        raise NotFound(f"exchange {name!r} does not exist", field="exchange", hint=Hint.SEE_EXCHANGES)
    return SipExchange(**row)


async def exchange_called(questions: Questions, called: str | None) -> SipExchange:
    """The enabled exchange of a name, address, DNS name or realm; None: the only one that there is.

    Errors: NoSuchExchange (none; several, and none was named), Unavailable.
    """
    rows = await questions.fetch(_FIND, called)
    if not rows:
        none = "no exchange is known" if called is None else f"there is no exchange {called[:64]!r}"
        raise NoSuchExchange(none, field="sip_server", hint=Hint.SEE_EXCHANGES)
    if called is None and len(rows) > 1:
        raise NoSuchExchange("has to be given: there are several exchanges", field="sip_server")
    return SipExchange(**rows[0])


async def list_exchanges(questions: Questions, cursor: Cursor) -> Page[SipExchange]:
    """All of them, by name. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["name"],), lambda row: SipExchange(**row))


async def add_exchange(tx: Transaction, new: NewExchange) -> None:
    """Errors: AlreadyExists (name), Unavailable."""
    try:
        await tx.execute(
            _ADD, new.name, new.address, new.dns_name, new.realm or new.name, new.context, new.config_directory
        )
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"exchange {new.name!r} exists", field="name") from None


async def hold_exchange(tx: Transaction, name: str) -> SipExchange:
    """An exchange as it is until the transaction ends; no line gets a phone of it meanwhile. Errors: NotFound."""
    exchange = await find_exchange(tx, name)
    await tx.fetchval("SELECT 1 FROM exchanges WHERE exchange_id = $1 FOR UPDATE", exchange.exchange_id)
    return await find_exchange(tx, name)


async def share_exchange(tx: Transaction, exchange: SipExchange) -> SipExchange:
    """The same, while a line gets a phone of it: its realm stays as it is. Errors: NotFound, Unavailable."""
    await tx.fetchval("SELECT 1 FROM exchanges WHERE exchange_id = $1 FOR SHARE", exchange.exchange_id)
    return await find_exchange(tx, exchange.name)


async def change_exchange(tx: Transaction, exchange_id: int, values: Mapping[str, object]) -> None:
    """Set fields of ExchangeChanges, or its role. Errors: AlreadyExists (role), Unavailable."""
    changes = assignments(CHANGEABLE, values, first=2)
    try:
        await tx.execute(
            f"UPDATE exchanges SET {changes} WHERE exchange_id = $1",  # noqa: S608  # names of columns
            exchange_id, *values.values(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists("another exchange has this role", field="role") from None


async def exchange_addresses(questions: Questions) -> dict[str, str]:
    """The address of each exchange that has one, by name. Errors: Unavailable."""
    rows = await questions.fetch(_ADDRESSES, MAX_ADDRESSES)
    return {row["name"]: row["address"] for row in rows}
