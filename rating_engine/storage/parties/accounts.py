"""Accounts as operators see and change them. Every change of a balance goes through the SQL function post_entry."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.account import (
    AccountKind,
    AccountState,
    Closing,
    LedgerEntry,
    ListedAccount,
    ListedSubscriber,
    NewAccount,
    NewSubscriber,
    PartyStatus,
    Posting,
    Settlement,
)
from rating_engine.domain.errors import AccountClosed, AlreadyExists, Hint, InvalidRequest, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.rating.money import format_amount
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_STATE: Final = """
    SELECT s.login, t.name AS tariff, a.currency, a.balance, a.reserved, a.overdraft, a.kind::text, a.status::text,
           s.status::text AS subscriber_status,
           a.max_calls, a.open_calls, s.callerid, a.max_call_seconds, a.max_price, a.daily_limit, a.monthly_limit,
           CASE WHEN a.spent_on = local_date(a.time_zone) THEN a.day_spent ELSE 0 END AS day_spent,
           CASE WHEN date_trunc('month', a.spent_on) = date_trunc('month', local_date(a.time_zone))
                THEN a.month_spent ELSE 0 END AS month_spent,
           a.time_zone, a.quota, a.default_allowed, a.numbering_plan, a.closed_at
    FROM logins l JOIN subscribers s USING (bucket, login) JOIN accounts a USING (bucket, account_id)
    JOIN tariffs t USING (tariff_id)
    WHERE l.login = $1
"""
_ACCOUNTS: Final = """
    SELECT a.bucket, a.account_id, COALESCE(s.login, '') AS login, COALESCE(s.logins, 0) AS logins, a.currency,
           a.balance, a.reserved, a.overdraft, a.kind::text, a.status::text, a.open_calls, a.max_calls,
           a.closed_at
    FROM accounts a
    LEFT JOIN LATERAL (
        SELECT (array_agg(login ORDER BY subscriber_id))[1] AS login, count(*)::integer AS logins FROM subscribers s
        WHERE s.bucket = a.bucket AND s.account_id = a.account_id) AS s ON true
    WHERE $1::smallint IS NULL OR (a.bucket, a.account_id) > ($1, $2::bigint)
    ORDER BY a.bucket, a.account_id LIMIT $3
"""
_SUBSCRIBERS: Final = """
    SELECT s.login, s.account_id, t.name AS tariff, s.callerid, s.max_calls, s.max_seconds, s.status::text,
           a.status::text AS account_status
    FROM logins l JOIN subscribers s USING (bucket, login) JOIN accounts a USING (bucket, account_id)
    JOIN tariffs t USING (tariff_id)
    WHERE ($1::text IS NULL OR l.login > $1)
      AND ($2::text IS NULL OR (s.bucket, s.account_id) IN (
          SELECT bucket, account_id FROM logins JOIN subscribers USING (bucket, login) WHERE login = $2))
    ORDER BY l.login LIMIT $3
"""
_STATEMENT: Final = """
    SELECT e.entry_id, e.kind::text, e.amount, e.balance_after, e.call_key, e.reference, e.subject, e.created_at
    FROM logins l JOIN subscribers s USING (bucket, login) JOIN ledger_entries e USING (bucket, account_id)
    WHERE l.login = $1 AND ($2::bigint IS NULL OR e.entry_id < $2)
    ORDER BY e.entry_id DESC LIMIT $3
"""
# The settings that `change_account` changes: the fields of AccountChanges.
CHANGEABLE: Final = (
    "max_calls", "max_call_seconds", "max_price", "daily_limit", "monthly_limit", "default_allowed", "quota",
    "time_zone", "overdraft", "status", "numbering_plan",
)  # fmt: skip
MAX_PREFIX_RULES: Final = 1_000  # gone through at every call of the account
_PLACE: Final = "SELECT bucket, account_id FROM logins JOIN subscribers USING (bucket, login) WHERE login = $1"
_LOCK: Final = """
    SELECT balance, open_calls, closed_at FROM accounts WHERE bucket = $1 AND account_id = $2 FOR NO KEY UPDATE
"""
_CLOSE: Final = """
    UPDATE accounts SET status = 'blocked', closed_at = now() WHERE bucket = $1 AND account_id = $2
"""
_ADJUST: Final = "SELECT adjust_v2($1, $2, $3, $4, $5)"
_POST: Final = "SELECT post_entry_v2($1, $2, $3, $4, $5)"
_CREATE: Final = "SELECT create_account_v2($1, $2, $3, $4, $5, $6, $7, $8, $9)"
# A login is in one bucket, for good: of two who want it at once, both find that of the first.
_CLAIM: Final = """
    INSERT INTO logins (login, bucket) VALUES ($1, $2) ON CONFLICT (login) DO UPDATE SET bucket = logins.bucket
    RETURNING bucket
"""


def unknown_login(login: str) -> NotFound:
    """The error for a login that nobody has."""
    return NotFound(f"login {login!r} does not exist", field="login")


async def create_account(tx: Transaction, new: NewAccount, *, buckets: int = 1) -> None:
    """Create account, subscriber and, for an opening balance, its ledger entry.

    Errors: NotFound (tariff), InvalidRequest (see `tariff_for`), AlreadyExists (login), Unavailable.
    """
    bucket = zlib.crc32(new.login.encode()) % buckets
    tariff_id, currency = await tariff_for(tx, new.tariff, new.currency, new.login)
    bucket = await tx.fetchval(_CLAIM, new.login, bucket)
    answer = await tx.fetchval(
        _CREATE, bucket, new.login, tariff_id, new.kind.value, new.currency or currency, new.credit, new.max_calls,
        new.callerid, new.balance,
    )  # fmt: skip
    if answer["outcome"] == "taken":
        raise _taken(new.login)


async def change_account(
    tx: Transaction, login: str, values: Mapping[str, object], prefixes: Mapping[str, bool | None]
) -> None:
    """Set columns of an account, and say of prefixes whether they are allowed (None: forget the rule).

    Errors: NotFound, AccountClosed, InvalidRequest (time_zone, numbering_plan, overdraft), Unavailable.
    """
    bucket, account_id = await _lock_open(tx, login)
    if values:
        await _set_columns(tx, bucket, account_id, values)
    if prefixes:
        await _set_prefixes(tx, bucket, account_id, prefixes)


async def _set_columns(tx: Transaction, bucket: int, account_id: int, values: Mapping[str, object]) -> None:
    changes = assignments(CHANGEABLE, values, first=3)
    plan = values.get("numbering_plan")
    # Locked against being removed before the account has it.
    if plan is not None and not await tx.fetchval("SELECT 1 FROM numbering_plans WHERE name = $1 FOR KEY SHARE", plan):
        raise InvalidRequest("numbering_plan", f"{plan!r} does not exist", hint=Hint.SEE_NUMBERING_PLANS)
    try:
        await tx.execute(
            f"UPDATE accounts SET {changes} WHERE bucket = $1 AND account_id = $2",  # noqa: S608  # names of columns
            bucket, account_id, *values.values(),
        )  # fmt: skip
    except asyncpg.InvalidParameterValueError as error:
        raise InvalidRequest("time_zone", str(error)) from None
    except asyncpg.CheckViolationError:
        raise InvalidRequest("overdraft", "only a postpaid account can have unlimited credit") from None


async def _set_prefixes(tx: Transaction, bucket: int, account_id: int, prefixes: Mapping[str, bool | None]) -> None:
    kept = [(prefix, allowed) for prefix, allowed in prefixes.items() if allowed is not None]
    await tx.execute(
        "DELETE FROM account_prefixes WHERE bucket = $1 AND account_id = $2 AND prefix = ANY ($3)",
        bucket, account_id, list(prefixes),
    )  # fmt: skip
    await tx.execute(
        "INSERT INTO account_prefixes (bucket, account_id, prefix, allowed) "
        "SELECT $1, $2, r.* FROM unnest($3::text[], $4::boolean[]) AS r",
        bucket, account_id, [prefix for prefix, _ in kept], [allowed for _, allowed in kept],
    )  # fmt: skip
    rules = await tx.fetchval(
        "SELECT count(*) FROM account_prefixes WHERE bucket = $1 AND account_id = $2", bucket, account_id
    )
    if rules > MAX_PREFIX_RULES:
        raise InvalidRequest("prefix", f"an account may have {MAX_PREFIX_RULES} rules at most")


async def add_subscriber(tx: Transaction, new: NewSubscriber) -> None:
    """One more login on an account.

    Errors: NotFound (login, tariff), AccountClosed, InvalidRequest (see `tariff_for`), AlreadyExists (login),
    Unavailable.
    """
    await _lock_open(tx, new.account_of)
    base = await tx.fetchrow(
        "SELECT bucket, account_id, s.tariff_id, a.currency FROM logins JOIN subscribers s USING (bucket, login) "
        "JOIN accounts a USING (bucket, account_id) WHERE login = $1", new.account_of,
    )  # fmt: skip
    assert base is not None  # it is locked
    tariff_id = base["tariff_id"]
    if new.tariff is not None:
        tariff_id, _ = await tariff_for(tx, new.tariff, base["currency"], new.login)
    if await tx.fetchval(_CLAIM, new.login, base["bucket"]) != base["bucket"]:
        raise _taken(new.login)
    try:
        await tx.execute(
            "INSERT INTO subscribers (login, bucket, account_id, tariff_id, callerid, max_calls, max_seconds) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            new.login, base["bucket"], base["account_id"], tariff_id, new.callerid, new.max_calls, new.max_seconds,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise _taken(new.login) from None


async def set_subscriber_status(tx: Transaction, login: str, status: PartyStatus) -> None:
    """Block one login, or let it call again; its account and the account's other logins stay as they are.

    Errors: NotFound, Unavailable.
    """
    found = await tx.fetchval(
        "UPDATE subscribers s SET status = $2 FROM logins l "
        "WHERE l.login = $1 AND s.bucket = l.bucket AND s.login = $1 RETURNING 1", login, status.value,
    )  # fmt: skip
    if found is None:
        raise unknown_login(login)


async def account_state(database: Questions, login: str) -> AccountState | None:
    """The account of a login, or None. Errors: Unavailable."""
    row = await database.fetchrow(_STATE, login)
    return None if row is None else AccountState(**_typed(row))


async def list_accounts(database: Questions, cursor: Cursor) -> Page[ListedAccount]:
    """Accounts in the order in which they were created, of each bucket. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_ACCOUNTS, *cursor.position(int, int), cursor.rows)
    return page_of_rows(
        rows, cursor, lambda row: (row["bucket"], row["account_id"]), lambda row: ListedAccount(**_typed(row))
    )


async def list_subscribers(database: Questions, account_of: str | None, cursor: Cursor) -> Page[ListedSubscriber]:
    """Logins in their order: all, or those of the account that one of them has.

    Errors: InvalidRequest (after), Unavailable.
    """
    rows = await database.fetch(_SUBSCRIBERS, *cursor.position(str), account_of, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["login"],), lambda row: ListedSubscriber(**_typed(row)))


async def post_entry(tx: Transaction, login: str, kind: str, amount: Decimal, reference: str | None) -> Posting:
    """Post an amount once per reference.

    Errors: NotFound, AccountClosed, AlreadyExists (the reference was used with another amount), InvalidRequest (the
    balance would be more than its column holds), Unavailable.
    """
    place = await _lock_open(tx, login)
    try:
        answer = await tx.fetchval(_POST, *place, kind, amount, reference)
    except asyncpg.NumericValueOutOfRangeError:
        raise _too_much() from None
    if answer["outcome"] == "conflict":
        raise AlreadyExists(f"reference {reference!r} was used before with another amount", field="reference")
    return Posting(answer["balance"], answer["outcome"] == "posted")


async def adjust(tx: Transaction, login: str, amount: Decimal, reference: str | None, reason: str) -> Posting:
    """Put a balance right, up or down, once per reference; that of a closed account too, where a late end moved it.

    Errors: NotFound, AlreadyExists (the reference was used otherwise), InvalidRequest (less is available, or more than
    a balance can be), Unavailable.
    """
    place = await _place(tx, login)
    try:
        answer = await tx.fetchval(_ADJUST, *place, amount, reference, reason)
    except asyncpg.NumericValueOutOfRangeError:
        raise _too_much() from None
    match answer["outcome"]:
        case "conflict":
            raise AlreadyExists(
                f"reference {reference!r} was used before with another amount or reason", field="reference"
            )
        case "not_there":
            available = format_amount(max(answer["available"], Decimal(0)))
            raise InvalidRequest("amount", f"is more than is available, {available}: calls and what is spent stay paid")
        case outcome:
            return Posting(answer["balance"], outcome == "posted")


async def close_account(tx: Transaction, login: str, closing: Closing | None) -> Decimal | None:
    """Let the logins of an account call no more, for good; the balance that it had, or None: it was closed before.

    Errors: NotFound, Refused (open calls; a balance that `closing` does not settle), Unavailable; then nothing changed.
    """
    bucket, account_id = await _place(tx, login)
    account = await tx.fetchrow(_LOCK, bucket, account_id)
    assert account is not None
    if account["closed_at"] is not None:
        return None
    balance = Decimal(account["balance"])
    if account["open_calls"]:
        raise Refused(f"{account['open_calls']} of its calls are open", hint=Hint.END_CALLS, about={"login": login})
    if balance != 0:
        if closing is None or (balance < 0 and closing.settlement is Settlement.PAID_OUT):
            hint = Hint.SETTLE_DEBT if balance < 0 else Hint.SETTLE_CREDIT
            raise Refused(f"its balance is {format_amount(balance)}", hint=hint, about={"login": login})
        await tx.fetchval(_ADJUST, bucket, account_id, -balance, None, closing.subject)
    await tx.execute(_CLOSE, bucket, account_id)
    return balance


async def statement(database: Questions, login: str, cursor: Cursor) -> Page[LedgerEntry]:
    """The ledger entries of an account, newest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_STATEMENT, login, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["entry_id"],), lambda row: LedgerEntry(**dict(row)))


async def tariff_for(tx: Transaction, name: str, currency: str | None, login: str) -> tuple[int, str]:
    """(tariff_id, currency) of a tariff that an account of this currency may have (None: any).

    Errors: NotFound, InvalidRequest for an option, and where there is no exchange rate to the account's currency.
    """
    # Locked against becoming an option before the subscriber has it; an import into it goes on beside this.
    tariff = await tx.fetchrow("SELECT tariff_id, currency, is_option FROM tariffs WHERE name = $1 FOR KEY SHARE", name)
    if tariff is None:
        raise NotFound(f"tariff {name!r} does not exist; import its rates first", field="tariff")
    if tariff["is_option"]:
        raise InvalidRequest(
            "tariff",
            f"{name!r} is an option, to be had beside a tariff",
            hint=Hint.GRANT_OPTION,
            about={"login": login, "tariff": name},
        )
    if currency not in (None, tariff["currency"]) and not await tx.fetchval(
        "SELECT EXISTS (SELECT FROM exchange_rates WHERE effective_from <= now() "
        "AND (currency_from, currency_to) IN (($1, $2), ($2, $1)))", tariff["currency"], currency,
    ):  # fmt: skip
        raise InvalidRequest(
            "currency",
            f"tariff {name!r} is in {tariff['currency']}, not in {currency}, and there is no exchange rate",
            hint=Hint.NO_EXCHANGE_RATE,
            about={"currency_from": tariff["currency"], "currency_to": str(currency)},
        )
    return tariff["tariff_id"], tariff["currency"]


async def _place(tx: Transaction, login: str) -> tuple[int, int]:
    """Bucket and id of a login's account. Errors: NotFound."""
    place = await tx.fetchrow(_PLACE, login)
    if place is None:
        raise unknown_login(login)
    return place["bucket"], place["account_id"]


async def _lock_open(tx: Transaction, login: str) -> tuple[int, int]:
    """The same of an account that is not closed, and will not be before `tx` ends. Errors: NotFound, AccountClosed."""
    place = await _place(tx, login)
    account = await tx.fetchrow(_LOCK, *place)
    assert account is not None
    if account["closed_at"] is not None:
        raise AccountClosed(f"the account of {login!r} was closed on {account['closed_at']:%Y-%m-%d}", field="login")
    return place


def _too_much() -> InvalidRequest:
    return InvalidRequest("amount", "is too much: the balance would be above what an account can have")


def _typed(row: asyncpg.Record) -> dict[str, Any]:
    """The fields of a row, the words of enumerations as their members."""
    kinds = {"kind": AccountKind, "status": PartyStatus, "subscriber_status": PartyStatus,
             "account_status": PartyStatus}  # fmt: skip
    return {name: kinds[name](value) if name in kinds else value for name, value in row.items()}


def _taken(login: str) -> AlreadyExists:
    return AlreadyExists(f"login {login!r} is taken", field="login")
