"""Accounts as operators see and change them. Every change of a balance goes through the SQL function post_entry."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import asyncpg

from rating_engine.domain.account import AccountKind, AccountState, LedgerEntry, PartyStatus
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.storage.postgres.pool import Connection, Database

_STATE: Final = """
    SELECT s.login, t.name AS tariff, a.currency, a.balance, a.reserved, a.overdraft, a.kind::text,
           CASE WHEN s.status = 'active' THEN a.status ELSE s.status END::text AS status,
           a.max_calls, a.open_calls, s.callerid, a.max_call_seconds, a.max_price, a.daily_limit, a.monthly_limit,
           CASE WHEN a.spent_on = local_date(a.time_zone) THEN a.day_spent ELSE 0 END AS day_spent,
           CASE WHEN date_trunc('month', a.spent_on) = date_trunc('month', local_date(a.time_zone))
                THEN a.month_spent ELSE 0 END AS month_spent,
           a.time_zone, a.quota, a.default_allowed, a.numbering_plan
    FROM subscribers s JOIN accounts a USING (bucket, account_id) JOIN tariffs t USING (tariff_id)
    WHERE s.login = $1
"""
_STATEMENT: Final = """
    SELECT e.entry_id, e.kind::text, e.amount, e.balance_after, e.call_key, e.reference, e.subject, e.created_at
    FROM ledger_entries e JOIN subscribers s USING (bucket, account_id)
    WHERE s.login = $1
    ORDER BY e.entry_id DESC LIMIT $2
"""
CHANGEABLE: Final = frozenset(
    ("max_calls", "max_call_seconds", "max_price", "daily_limit", "monthly_limit", "default_allowed", "quota",
     "time_zone", "overdraft", "status", "numbering_plan")
)  # fmt: skip
MAX_PREFIX_RULES: Final = 1_000  # gone through at every call of the account
_POST: Final = """
    SELECT post_entry_v2(s.bucket, s.account_id, $2, $3, $4) FROM subscribers s WHERE s.login = $1
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

    Errors: NotFound (tariff), InvalidRequest (see `_tariff_for`), AlreadyExists (login), Unavailable.
    """
    bucket = zlib.crc32(new.login.encode()) % buckets
    async with database.connection() as connection, connection.transaction():
        tariff_id, currency = await _tariff_for(connection, new.tariff, new.currency)
        account_id = await connection.fetchval(
            "INSERT INTO accounts (bucket, kind, currency, overdraft, max_calls) VALUES ($1, $2, $3, $4, $5) "
            "RETURNING account_id",
            bucket, new.kind.value, new.currency or currency, new.overdraft, new.max_calls,
        )  # fmt: skip
        try:
            await connection.execute(
                "INSERT INTO subscribers (login, bucket, account_id, tariff_id, callerid) VALUES ($1, $2, $3, $4, $5)",
                new.login, bucket, account_id, tariff_id, new.callerid,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(f"login {new.login!r} is taken") from None
        if new.balance != 0:
            await connection.fetchval(
                "SELECT post_entry_v2($1, $2, 'opening', $3, NULL)", bucket, account_id, new.balance
            )


async def change_account(
    database: Database, login: str, columns: Mapping[str, object], prefixes: Mapping[str, bool | None]
) -> None:
    """Set columns of an account, and say of prefixes whether they are allowed (None: forget the rule); all or nothing.

    Errors: NotFound, InvalidRequest (time_zone, numbering_plan), Unavailable.
    """
    async with database.connection() as connection, connection.transaction():
        account = await connection.fetchrow("SELECT bucket, account_id FROM subscribers WHERE login = $1", login)
        if account is None:
            raise NotFound(f"login {login!r} does not exist")
        bucket, account_id = account
        for column, value in columns.items():
            assert column in CHANGEABLE
            try:
                await connection.execute(
                    f"UPDATE accounts SET {column} = $3 WHERE bucket = $1 AND account_id = $2",  # noqa: S608
                    bucket, account_id, value,
                )  # fmt: skip
            except asyncpg.InvalidParameterValueError as error:
                raise InvalidRequest(column, str(error)) from None
            except asyncpg.ForeignKeyViolationError:
                raise InvalidRequest(column, f"{value!r} does not exist; see: rating-engine numbering list") from None
            except asyncpg.CheckViolationError:
                raise InvalidRequest(column, "only a postpaid account can have unlimited credit") from None
        for prefix, allowed in prefixes.items():
            await connection.execute(
                "DELETE FROM account_prefixes WHERE bucket = $1 AND account_id = $2 AND prefix = $3",
                bucket, account_id, prefix,
            )  # fmt: skip
            if allowed is not None:
                await connection.execute(
                    "INSERT INTO account_prefixes VALUES ($1, $2, $3, $4)", bucket, account_id, prefix, allowed
                )
        rules = await connection.fetchval(
            "SELECT count(*) FROM account_prefixes WHERE bucket = $1 AND account_id = $2", bucket, account_id
        )
        if rules > MAX_PREFIX_RULES:
            raise InvalidRequest("prefixes", f"an account may have {MAX_PREFIX_RULES} rules at most")


async def add_subscriber(
    database: Database, login: str, account_of: str, *, tariff: str | None, callerid: str, max_calls: int | None,
    max_seconds: int | None,
) -> None:  # fmt: skip
    """One more login on an account.

    Errors: NotFound (login, tariff), InvalidRequest (see `_tariff_for`), AlreadyExists (login), Unavailable.
    """
    async with database.connection() as connection, connection.transaction():
        base = await connection.fetchrow(
            "SELECT s.bucket, s.account_id, s.tariff_id, a.currency FROM subscribers s JOIN accounts a "
            "USING (bucket, account_id) WHERE s.login = $1", account_of,
        )  # fmt: skip
        if base is None:
            raise NotFound(f"login {account_of!r} does not exist")
        tariff_id = base["tariff_id"]
        if tariff is not None:
            tariff_id, _ = await _tariff_for(connection, tariff, base["currency"])
        try:
            await connection.execute(
                "INSERT INTO subscribers (login, bucket, account_id, tariff_id, callerid, max_calls, max_seconds) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                login, base["bucket"], base["account_id"], tariff_id, callerid, max_calls, max_seconds,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(f"login {login!r} is taken") from None


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


async def _tariff_for(connection: Connection, name: str, currency: str | None) -> tuple[int, str]:
    """(tariff_id, currency) of a tariff that an account of this currency may have (None: any).

    Errors: NotFound, InvalidRequest for an option, and where there is no exchange rate to the account's currency.
    """
    # Locked against becoming an option before the subscriber has it; an import into it goes on beside this.
    tariff = await connection.fetchrow(
        "SELECT tariff_id, currency, is_option FROM tariffs WHERE name = $1 FOR KEY SHARE", name
    )
    if tariff is None:
        raise NotFound(f"tariff {name!r} does not exist; import its rates first")
    if tariff["is_option"]:
        raise InvalidRequest(
            "tariff", f"{name!r} is an option, to be had beside a tariff; say then: rating-engine option grant"
        )
    if currency not in (None, tariff["currency"]) and not await connection.fetchval(
        "SELECT EXISTS (SELECT FROM exchange_rates WHERE effective_from <= now() "
        "AND (currency_from, currency_to) IN (($1, $2), ($2, $1)))", tariff["currency"], currency,
    ):  # fmt: skip
        raise InvalidRequest(
            "currency",
            f"tariff {name!r} is in {tariff['currency']}, not in {currency}, and there is no exchange rate; "
            f"say first: rating-engine exchange set {tariff['currency']} {currency} RATE",
        )
    return tariff["tariff_id"], tariff["currency"]
