"""Accounts as operators see and change them. Every change of a balance goes through the SQL function post_entry."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
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
    RefillAllowed,
    Settlement,
)
from rating_engine.domain.errors import AccountClosed, AlreadyExists, Hint, InvalidRequest, NotFound, Refused
from rating_engine.domain.page import MAX_LIMIT, Cursor, Page, page_of_rows
from rating_engine.domain.party import AllowedCalls
from rating_engine.rating.money import format_amount
from rating_engine.storage.audit_log import Note
from rating_engine.storage.parties.logins import Place, place_of
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
           a.time_zone, a.quota, a.default_allowed, a.numbering_plan, a.closed_at, p.login AS owner, s.calls::text,
           a.refill_allowed, a.allow_loss
    FROM logins l JOIN subscribers s USING (bucket, login) JOIN accounts a USING (bucket, account_id)
    JOIN tariffs t USING (tariff_id) JOIN parties p ON p.party_id = a.party_id
    WHERE l.login = $1
"""
_ACCOUNTS: Final = """
    SELECT a.bucket, a.account_id, COALESCE(s.login, '') AS login, COALESCE(s.logins, 0) AS logins, a.currency,
           a.balance, a.reserved, a.overdraft, a.kind::text, a.status::text, a.open_calls, a.max_calls,
           a.closed_at, p.login AS owner, a.refill_allowed, a.max_call_seconds
    FROM accounts a JOIN parties p ON p.party_id = a.party_id
    LEFT JOIN LATERAL (
        SELECT (array_agg(login ORDER BY subscriber_id))[1] AS login, count(*)::integer AS logins FROM subscribers s
        WHERE s.bucket = a.bucket AND s.account_id = a.account_id) AS s ON true
    WHERE a.purpose = 'party' AND ($1::smallint IS NULL OR (a.bucket, a.account_id) > ($1, $2::bigint))
      AND ($4::bigint[] IS NULL OR a.party_id = ANY ($4))
    ORDER BY a.bucket, a.account_id LIMIT $3
"""
_ACCOUNT: Final = _ACCOUNTS.replace("ORDER BY a.bucket, a.account_id LIMIT $3", "AND a.account_id = $3")
_SUBSCRIBERS: Final = """
    SELECT s.login, s.account_id, t.name AS tariff, s.callerid, s.max_calls, s.max_seconds, s.status::text,
           a.status::text AS account_status
    FROM logins l JOIN subscribers s USING (bucket, login) JOIN accounts a USING (bucket, account_id)
    JOIN tariffs t USING (tariff_id)
    WHERE ($1::text IS NULL OR l.login > $1)
      AND ($2::text IS NULL OR (s.bucket, s.account_id) IN (
          SELECT bucket, account_id FROM logins JOIN subscribers USING (bucket, login) WHERE login = $2))
      AND ($4::bigint[] IS NULL OR s.party_id = ANY ($4))
    ORDER BY l.login LIMIT $3
"""
_LINES: Final = """
    SELECT s.login, s.account_id, t.name AS tariff, s.callerid, s.max_calls, s.max_seconds, s.status::text,
           a.status::text AS account_status
    FROM subscribers s JOIN accounts a USING (bucket, account_id) JOIN tariffs t USING (tariff_id)
    WHERE s.party_id = $1 AND a.purpose = 'party' AND ($4::text IS NULL OR s.login = $4)
      AND NOT EXISTS (SELECT FROM sip_accounts p WHERE p.bucket = s.bucket AND p.subscriber_id = s.subscriber_id
                        AND p.deleted_at IS NOT NULL)
    ORDER BY lower(s.login) <> lower($2), s.subscriber_id LIMIT $3
"""
_STATEMENT: Final = """
    SELECT e.entry_id, e.kind::text, e.amount, e.balance_after, e.call_key, e.reference, e.subject, e.created_at
    FROM logins l JOIN subscribers s USING (bucket, login) JOIN ledger_entries e USING (bucket, account_id)
    WHERE l.login = $1 AND ($2::bigint IS NULL OR e.entry_id < $2)
    ORDER BY e.entry_id DESC LIMIT $3
"""
_BASE: Final = """
    SELECT s.tariff_id, a.currency FROM subscribers s JOIN accounts a ON a.bucket = $1 AND a.account_id = s.account_id
    WHERE s.bucket = $1 AND s.account_id = $2 AND s.subscriber_id = $3
"""
# The settings that `change_account` changes: the fields of AccountChanges.
CHANGEABLE: Final = (
    "max_calls", "max_call_seconds", "max_price", "daily_limit", "monthly_limit", "default_allowed", "quota",
    "time_zone", "overdraft", "status", "numbering_plan", "kind", "refill_allowed", "allow_loss",
)  # fmt: skip
MAX_PREFIX_RULES: Final = 1_000  # gone through at every call of the account
_LOCK: Final = "SELECT closed_at FROM accounts WHERE bucket = $1 AND account_id = $2 FOR NO KEY UPDATE"
_CLOSED_AT: Final = "SELECT closed_at FROM accounts WHERE bucket = $1 AND account_id = $2"
_CLOSE: Final = "SELECT close_account_v3($1, $2, $3, $4, $5)"
_ADJUST: Final = "SELECT adjust_v3($1, $2, $3, $4, $5, $6)"
_POST: Final = "SELECT post_entry_v3($1, $2, $3, $4, $5, $6)"
_CREATE: Final = "SELECT create_account_v2($1, $2, $3, $4, $5, $6, $7, $8, $9)"
# A login is in one bucket, for good: of two who want it at once, both find that of the first.
_CLAIM: Final = """
    INSERT INTO logins (login, bucket) VALUES ($1, $2) ON CONFLICT (login) DO UPDATE SET bucket = logins.bucket
    RETURNING bucket
"""


async def create_account(tx: Transaction, new: NewAccount, *, buckets: int = 1, home: int | None = None) -> int:
    """Create account, subscriber and, for an opening balance, its ledger entry; its bucket: `home`, if given.

    In a unit of work, since tariff and owner are held against change meanwhile.
    Errors: NotFound (tariff), InvalidRequest (see `tariff_for`), AlreadyExists (login), Unavailable.
    """
    tariff_id, currency = await tariff_for(tx, new.tariff, new.currency, new.login)
    wanted = zlib.crc32(new.login.encode()) % buckets if home is None else home
    bucket: int = await tx.fetchval(_CLAIM, new.login, wanted)
    answer = await tx.fetchval(
        _CREATE, bucket, new.login, tariff_id, new.kind.value, new.currency or currency, new.credit, new.max_calls,
        new.callerid, new.balance,
    )  # fmt: skip
    if answer["outcome"] == "taken":
        raise _taken(new.login)
    return bucket


async def change_account(
    tx: Transaction, login: str, values: Mapping[str, object], prefixes: Mapping[str, bool | None]
) -> int:
    """Set columns of an account, and say of prefixes whether they are allowed (None: forget the rule); its bucket.

    Errors: NotFound, AccountClosed, InvalidRequest (time_zone, numbering_plan, overdraft), Unavailable.
    """
    place = await _lock_open(tx, login)
    if values:
        await _set_columns(tx, place.bucket, place.account_id, values)
    if prefixes:
        await _set_prefixes(tx, place.bucket, place.account_id, prefixes)
    return place.bucket


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


async def add_subscriber(tx: Transaction, new: NewSubscriber) -> int:
    """One more login on an account; its bucket.

    Errors: NotFound (login, tariff), AccountClosed, InvalidRequest (see `tariff_for`), AlreadyExists (login),
    Unavailable.
    """
    place = await _lock_open(tx, new.account_of)
    base = await tx.fetchrow(_BASE, *place)
    assert base is not None  # it is locked
    tariff_id = base["tariff_id"]
    if new.tariff is not None:
        tariff_id, _ = await tariff_for(tx, new.tariff, base["currency"], new.login)
    await _insert_line(tx, new, place.bucket, place.account_id, tariff_id)
    return place.bucket


async def add_first_line(tx: Transaction, new: NewSubscriber, bucket: int, account_id: int, currency: str) -> None:
    """The first login on an account that was made without any; `new` has a tariff. Errors: as of add_subscriber."""
    assert new.tariff is not None
    tariff_id, _ = await tariff_for(tx, new.tariff, currency, new.login)
    account = await tx.fetchrow(_LOCK, bucket, account_id)
    if account is None or account["closed_at"] is not None:
        raise AccountClosed(f"account {account_id} was closed")
    await _insert_line(tx, new, bucket, account_id, tariff_id)


async def _insert_line(tx: Transaction, new: NewSubscriber, bucket: int, account_id: int, tariff_id: int) -> None:
    if await tx.fetchval(_CLAIM, new.login, bucket) != bucket:
        raise _taken(new.login)
    try:
        await tx.execute(
            "INSERT INTO subscribers (login, bucket, account_id, tariff_id, callerid, max_calls, max_seconds) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)",
            new.login, bucket, account_id, tariff_id, new.callerid, new.max_calls, new.max_seconds,
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


async def list_accounts(database: Questions, tree: Sequence[int] | None, cursor: Cursor) -> Page[ListedAccount]:
    """Accounts in the order in which they were created, of each bucket; `tree`: of these parties, None: of all.

    Errors: InvalidRequest (after), Unavailable.
    """
    rows = await database.fetch(_ACCOUNTS, *cursor.position(int, int), cursor.rows, tree)
    return page_of_rows(
        rows, cursor, lambda row: (row["bucket"], row["account_id"]), lambda row: ListedAccount(**_typed(row))
    )


async def find_account(database: Questions, number: int) -> ListedAccount | None:
    """The account of that number. Errors: Unavailable."""
    row = await database.fetchrow(_ACCOUNT, None, None, number, None)
    return None if row is None else ListedAccount(**_typed(row))


async def list_subscribers(
    database: Questions, tree: Sequence[int] | None, account_of: str | None, cursor: Cursor
) -> Page[ListedSubscriber]:
    """Logins in their order: all, or those of the account that one of them has; `tree` as above.

    Errors: InvalidRequest (after), Unavailable.
    """
    rows = await database.fetch(_SUBSCRIBERS, *cursor.position(str), account_of, cursor.rows, tree)
    return page_of_rows(rows, cursor, lambda row: (row["login"],), lambda row: ListedSubscriber(**_typed(row)))


async def lines_of(
    database: Questions, party_id: int, login: str, *, named: str | None = None, at_most: int = MAX_LIMIT
) -> list[ListedSubscriber]:
    """The logins of one party, the one of this name first, then the oldest; `named`: that one alone.

    Errors: Unavailable.
    """
    rows = await database.fetch(_LINES, party_id, login, at_most, named)
    return [ListedSubscriber(**_typed(row)) for row in rows]


async def post_entry(
    database: Questions, login: str, kind: str, amount: Decimal, reference: str | None, note: Note
) -> Posting:
    """Post an amount once per reference; `note` says who did.

    Errors: NotFound, AccountClosed, AlreadyExists (the reference was used with another amount), InvalidRequest (the
    balance would be more than its column holds), Unavailable.
    """
    place = await place_of(database, login)
    account = place.bucket, place.account_id
    try:
        answer = await database.fetchval(_POST, *account, kind, amount, reference, note)
    except asyncpg.NumericValueOutOfRangeError:
        raise _too_much() from None
    if answer["outcome"] == "conflict":
        raise AlreadyExists(f"reference {reference!r} was used before with another amount", field="reference")
    if answer["outcome"] == "closed":
        raise _closed(login, await database.fetchval(_CLOSED_AT, *account))
    return Posting(answer["balance"], answer["outcome"] == "posted")


async def adjust(
    database: Questions, login: str, amount: Decimal, reference: str | None, reason: str, note: Note
) -> Posting:
    """Put a balance right, up or down, once per reference; that of a closed account too, where a late end moved it.

    Errors: NotFound, AlreadyExists (the reference was used otherwise), InvalidRequest (less is available, or more than
    a balance can be), Unavailable.
    """
    place = await place_of(database, login)
    try:
        answer = await database.fetchval(_ADJUST, place.bucket, place.account_id, amount, reference, reason, note)
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


async def close_account(database: Questions, login: str, closing: Closing | None, note: Note) -> Decimal | None:
    """Let the logins of an account call no more, for good; the balance that it had, or None: it was closed before.

    `note` says who did; its detail is the balance and how it was settled. Errors: NotFound, Refused (open calls; a
    balance that `closing` does not settle), Unavailable; then nothing changed.
    """
    place = await place_of(database, login)
    forgives = closing is not None and closing.settlement is not Settlement.PAID_OUT
    subject = None if closing is None else closing.subject
    answer = await database.fetchval(_CLOSE, place.bucket, place.account_id, subject, forgives, note)
    if answer["outcome"] == "repeated":
        return None
    balance = Decimal(answer["balance"])
    if answer["outcome"] == "open_calls":
        raise Refused(f"{answer['open_calls']} of its calls are open", hint=Hint.END_CALLS, about={"login": login})
    if answer["outcome"] == "unsettled":
        hint = Hint.SETTLE_DEBT if balance < 0 else Hint.SETTLE_CREDIT
        raise Refused(f"its balance is {format_amount(balance)}", hint=hint, about={"login": login})
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


async def _lock_open(tx: Transaction, login: str) -> Place:
    """Where an account is that is not closed, and will not be before `tx` ends. Errors: NotFound, AccountClosed."""
    place = await place_of(tx, login)
    account = await tx.fetchrow(_LOCK, place.bucket, place.account_id)
    assert account is not None
    if account["closed_at"] is not None:
        raise _closed(login, account["closed_at"])
    return place


def _closed(login: str, at: datetime) -> AccountClosed:
    return AccountClosed(f"the account of {login!r} was closed on {at:%Y-%m-%d}", field="login")


def _too_much() -> InvalidRequest:
    return InvalidRequest("amount", "is too much: the balance would be above what an account can have")


def _typed(row: asyncpg.Record) -> dict[str, Any]:
    """The fields of a row, the words of enumerations as their members."""
    kinds = {"kind": AccountKind, "status": PartyStatus, "subscriber_status": PartyStatus,
             "account_status": PartyStatus, "calls": AllowedCalls, "refill_allowed": RefillAllowed}  # fmt: skip
    return {name: kinds[name](value) if name in kinds else value for name, value in row.items()}


def _taken(login: str) -> AlreadyExists:
    return AlreadyExists(f"login {login!r} is taken", field="login")
