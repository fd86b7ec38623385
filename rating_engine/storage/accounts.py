"""Accounts as operators see and change them. Every change of a balance goes through the SQL function post_entry."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import asyncpg

from rating_engine.domain.account import AccountKind, AccountState, LedgerEntry, PartyStatus
from rating_engine.domain.errors import AlreadyExists, NotFound
from rating_engine.storage.pool import Database

_STATE: Final = """
    SELECT s.login, t.name AS tariff, a.currency, a.balance, a.reserved, a.overdraft, a.kind::text,
           CASE WHEN s.status = 'active' THEN a.status ELSE s.status END::text AS status,
           a.max_calls, a.open_calls, s.callerid
    FROM subscribers s JOIN accounts a USING (bucket, account_id) JOIN tariffs t USING (tariff_id)
    WHERE s.login = $1
"""
_STATEMENT: Final = """
    SELECT e.entry_id, e.kind::text, e.amount, e.balance_after, e.call_key, e.reference, e.created_at
    FROM ledger_entries e JOIN subscribers s USING (bucket, account_id)
    WHERE s.login = $1
    ORDER BY e.entry_id DESC LIMIT $2
"""
_POST: Final = """
    SELECT post_entry(s.bucket, s.account_id, $2, $3, $4) FROM subscribers s WHERE s.login = $1
"""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account and its one subscriber, as created together. `overdraft` None: unlimited credit."""

    login: str
    tariff: str
    currency: str | None
    balance: Decimal
    overdraft: Decimal | None
    kind: AccountKind
    max_calls: int | None
    callerid: str


async def create_account(database: Database, new: NewAccount, *, buckets: int = 1) -> None:
    """Create account, subscriber and, for an opening balance, its ledger entry; all or nothing.

    Errors: NotFound (tariff), AlreadyExists (login, or a currency that is not the tariff's), Unavailable.
    """
    bucket = zlib.crc32(new.login.encode()) % buckets
    async with database.connection() as connection, connection.transaction():
        tariff = await connection.fetchrow("SELECT tariff_id, currency FROM tariffs WHERE name = $1", new.tariff)
        if tariff is None:
            raise NotFound(f"tariff {new.tariff!r} does not exist; import its rates first")
        if new.currency not in (None, tariff["currency"]):
            raise AlreadyExists(f"tariff {new.tariff!r} is in {tariff['currency']}, not in {new.currency}")
        account_id = await connection.fetchval(
            "INSERT INTO accounts (bucket, kind, currency, overdraft, max_calls) VALUES ($1, $2, $3, $4, $5) "
            "RETURNING account_id",
            bucket, new.kind.value, tariff["currency"], new.overdraft, new.max_calls,
        )  # fmt: skip
        try:
            await connection.execute(
                "INSERT INTO subscribers (login, bucket, account_id, tariff_id, callerid) VALUES ($1, $2, $3, $4, $5)",
                new.login, bucket, account_id, tariff["tariff_id"], new.callerid,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(f"login {new.login!r} is taken") from None
        if new.balance != 0:
            await connection.fetchval("SELECT post_entry($1, $2, 'opening', $3, NULL)", bucket, account_id, new.balance)


async def account_state(database: Database, login: str) -> AccountState | None:
    """The account of a login, or None. Errors: Unavailable."""
    row = await database.fetchrow(_STATE, login)
    if row is None:
        return None
    fields = dict(row)
    return AccountState(**{**fields, "kind": AccountKind(fields["kind"]), "status": PartyStatus(fields["status"])})


async def post_entry(
    database: Database, login: str, kind: str, amount: Decimal, reference: str | None
) -> tuple[Decimal, bool]:
    """Post an amount once per reference; returns (balance, whether it was posted now).

    Errors: NotFound, AlreadyExists (the reference was used with another amount), Unavailable.
    """
    answer = await database.fetchval(_POST, login, kind, amount, reference)
    if answer is None or answer["outcome"] == "unknown":
        raise NotFound(f"login {login!r} does not exist")
    if answer["outcome"] == "conflict":
        raise AlreadyExists(f"reference {reference!r} was used before with another amount")
    return answer["balance"], answer["outcome"] == "posted"


async def statement(database: Database, login: str, limit: int) -> list[LedgerEntry]:
    """The newest ledger entries of an account, newest first. Errors: Unavailable."""
    return [LedgerEntry(**dict(row)) for row in await database.fetch(_STATEMENT, login, limit)]
