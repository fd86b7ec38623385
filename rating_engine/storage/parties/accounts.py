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
    LedgerEntry,
    ListedAccount,
    ListedSubscriber,
    NewAccount,
    NewSubscriber,
    PartyStatus,
    Posting,
)
from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound, Unavailable
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.audit_log import Note
from rating_engine.storage.parties.logins import Place, place_of, unknown_login
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
           a.time_zone, a.quota, a.default_allowed, a.numbering_plan
    FROM logins l JOIN subscribers s USING (bucket, login) JOIN accounts a USING (bucket, account_id)
    JOIN tariffs t USING (tariff_id)
    WHERE l.login = $1
"""
_ACCOUNTS: Final = """
    SELECT a.bucket, a.account_id, COALESCE(s.login, '') AS login, COALESCE(s.logins, 0) AS logins, a.currency,
           a.balance, a.reserved, a.overdraft, a.kind::text, a.status::text, a.open_calls, a.max_calls
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
_TARIFF: Final = "SELECT tariff_id, currency, is_option FROM tariffs WHERE name = $1 FOR KEY SHARE"
_BASE: Final = """
    SELECT s.tariff_id, a.currency FROM subscribers s JOIN accounts a ON a.bucket = $1 AND a.account_id = s.account_id
    WHERE s.bucket = $1 AND s.account_id = $2 AND s.subscriber_id = $3
"""
# The settings that `change_account` changes: the fields of AccountChanges.
CHANGEABLE: Final = (
    "max_calls", "max_call_seconds", "max_price", "daily_limit", "monthly_limit", "default_allowed", "quota",
    "time_zone", "overdraft", "status", "numbering_plan",
)  # fmt: skip
MAX_PREFIX_RULES: Final = 1_000  # gone through at every call of the account
_POST: Final = "SELECT post_entry_v3($1, $2, $3, $4, $5, $6)"
_CREATE: Final = "SELECT create_account_v3($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
# A tariff that becomes something else while an account with it is made: more than a few times means something is wrong.
TARIFF_TRIES: Final = 4
# A login is in one bucket, for good: of two who want it at once, both find that of the first.
_CLAIM: Final = """
    INSERT INTO logins (login, bucket) VALUES ($1, $2) ON CONFLICT (login) DO UPDATE SET bucket = logins.bucket
    RETURNING bucket
"""


async def create_account(database: Questions, new: NewAccount, note: Note, *, buckets: int = 1) -> None:
    """Create account, subscriber and, for an opening balance, its ledger entry; `note` says who did.

    The login is claimed first; one that was claimed and has no account yet may be had by whoever asks next.
    Errors: NotFound (tariff), InvalidRequest (see `_tariff_for`), AlreadyExists (login), Unavailable.
    """
    for _ in range(TARIFF_TRIES):
        tariff_id, currency = await _tariff_for(database, new.tariff, new.currency, new.login)
        bucket = await database.fetchval(_CLAIM, new.login, zlib.crc32(new.login.encode()) % buckets)
        try:
            answer = await database.fetchval(
                _CREATE, bucket, new.login, tariff_id, new.kind.value, new.currency or currency, new.credit,
                new.max_calls, new.callerid, new.balance, note,
            )  # fmt: skip
        except asyncpg.SerializationError:
            continue
        if answer["outcome"] == "taken":
            raise _taken(new.login)
        return
    raise Unavailable(f"tariff {new.tariff!r} changes all the time; nothing was done, ask again")


async def change_account(
    tx: Transaction, login: str, values: Mapping[str, object], prefixes: Mapping[str, bool | None]
) -> int:
    """Set columns of an account, and say of prefixes whether they are allowed (None: forget the rule); its bucket.

    Errors: NotFound, InvalidRequest (time_zone, numbering_plan, overdraft), Unavailable.
    """
    account = await place_of(tx, login)
    if values:
        await _set_columns(tx, account.bucket, account.account_id, values)
    if prefixes:
        await _set_prefixes(tx, account.bucket, account.account_id, prefixes)
    return account.bucket


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


async def claim_login(database: Questions, login: str, account_of: str) -> Place:
    """Give a new login to the bucket of an account, which is by the login `account_of`; where that account is.

    Before the transaction that makes it: a claim without a subscriber counts for nothing, and is had by who asks next.
    Errors: NotFound (account_of), AlreadyExists (the login is in another bucket), Unavailable.
    """
    place = await place_of(database, account_of)
    if await database.fetchval(_CLAIM, login, place.bucket) != place.bucket:
        raise _taken(login)
    return place


async def add_subscriber(tx: Transaction, new: NewSubscriber, place: Place) -> None:
    """One more login on an account, where `claim_login` has found it.

    Errors: NotFound (tariff), InvalidRequest (see `_tariff_for`), AlreadyExists (login), Unavailable.
    """
    base = await tx.fetchrow(_BASE, *place)
    if base is None:
        raise unknown_login(new.account_of)
    tariff_id = base["tariff_id"]
    if new.tariff is not None:
        tariff_id, _ = await _tariff_for(tx, new.tariff, base["currency"], new.login)
    try:
        await tx.execute(
            "INSERT INTO subscribers (login, bucket, account_id, tariff_id, callerid, max_calls, max_seconds) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            new.login, place.bucket, place.account_id, tariff_id, new.callerid, new.max_calls, new.max_seconds,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise _taken(new.login) from None


async def set_subscriber_status(tx: Transaction, login: str, status: PartyStatus) -> int:
    """Block one login, or let it call again; its account and the account's other logins stay as they are.

    Returns its bucket. Errors: NotFound, Unavailable.
    """
    place = await place_of(tx, login)
    await tx.execute(
        "UPDATE subscribers SET status = $3 WHERE bucket = $1 AND subscriber_id = $2",
        place.bucket, place.subscriber_id, status.value,
    )  # fmt: skip
    return place.bucket


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


async def post_entry(
    database: Questions, login: str, kind: str, amount: Decimal, reference: str | None, note: Note
) -> Posting:
    """Post an amount once per reference; `note` says who did.

    Errors: NotFound, AlreadyExists (the reference was used with another amount), InvalidRequest (the balance would be
    more than its column holds), Unavailable.
    """
    place = await place_of(database, login)
    try:
        answer = await database.fetchval(_POST, place.bucket, place.account_id, kind, amount, reference, note)
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("amount", "is too much: the balance would be above what an account can have") from None
    if answer["outcome"] == "unknown":
        raise unknown_login(login)
    if answer["outcome"] == "conflict":
        raise AlreadyExists(f"reference {reference!r} was used before with another amount", field="reference")
    return Posting(answer["balance"], answer["outcome"] == "posted")


async def statement(database: Questions, login: str, cursor: Cursor) -> Page[LedgerEntry]:
    """The ledger entries of an account, newest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_STATEMENT, login, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["entry_id"],), lambda row: LedgerEntry(**dict(row)))


async def _tariff_for(database: Questions, name: str, currency: str | None, login: str) -> tuple[int, str]:
    """(tariff_id, currency) of a tariff that an account of this currency may have (None: any).

    Errors: NotFound, InvalidRequest for an option, and where there is no exchange rate to the account's currency.
    """
    # In a transaction it is locked against becoming an option before the subscriber has it (create_account_v3 looks
    # again); an import into it goes on beside this.
    tariff = await database.fetchrow(_TARIFF, name)
    if tariff is None:
        raise NotFound(f"tariff {name!r} does not exist; import its rates first", field="tariff")
    if tariff["is_option"]:
        raise InvalidRequest(
            "tariff",
            f"{name!r} is an option, to be had beside a tariff",
            hint=Hint.GRANT_OPTION,
            about={"login": login, "tariff": name},
        )
    if currency not in (None, tariff["currency"]) and not await database.fetchval(
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


def _typed(row: asyncpg.Record) -> dict[str, Any]:
    """The fields of a row, the words of enumerations as their members."""
    kinds = {"kind": AccountKind, "status": PartyStatus, "subscriber_status": PartyStatus,
             "account_status": PartyStatus}  # fmt: skip
    return {name: kinds[name](value) if name in kinds else value for name, value in row.items()}


def _taken(login: str) -> AlreadyExists:
    return AlreadyExists(f"login {login!r} is taken", field="login")
