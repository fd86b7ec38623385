"""Who takes which service: rows and lists; begun, charged and ended by the money functions of schema.sql.

Law: what a subscription says it has paid, its account has paid: both are one transaction, of the account's bucket.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

import asyncpg

from rating_engine.domain.errors import NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.subscription import Charge, MoneyBack, Subscription, SubscriptionFilter, SubscriptionState
from rating_engine.storage.audit_log import Note
from rating_engine.storage.finance.paid_services import SERVICE_COLUMNS, SERVICE_OWNER, service_from_row
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs.tariff_options import MAX_OPTIONS

CHANGEABLE: Final = ("memo", "starts_at", "ends_at", "calendar", "paid_to")

_SUBSCRIBE: Final = "SELECT subscribe_v1($1, $2, $3, $4)"
_CHARGE: Final = "SELECT charge_subscription_v1($1, $2, $3, $4, $5, $6, $7, $8)"
_END: Final = "SELECT end_subscription_v1($1, $2, $3, $4, $5, $6, $7, $8)"
_SELECT: Final = f"""
    SELECT u.subscription_id, u.bucket, u.account_id, u.party_id, w.login AS user_login, u.login AS line, u.did, u.memo,
           u.state, u.starts_at, u.ends_at, u.calendar, u.paid_to, a.currency AS account_currency, a.time_zone,
           {SERVICE_COLUMNS}
    FROM service_subscriptions u JOIN accounts a USING (bucket, account_id) JOIN parties w ON w.party_id = u.party_id
    JOIN services v ON v.service_id = u.service_id {SERVICE_OWNER}"""  # noqa: S608
_FIND: Final = f"{_SELECT} WHERE u.subscription_id = $1"
_HOLD: Final = "SELECT 1 FROM service_subscriptions WHERE bucket = $1 AND subscription_id = $2 FOR UPDATE"
_OWNER: Final = "SELECT party_id FROM service_subscriptions WHERE subscription_id = $1"
_LIST: Final = f"""
    {_SELECT}
    WHERE u.state <> 'removed' AND ($1::bigint[] IS NULL OR u.party_id = ANY ($1))
      AND ($2::bigint IS NULL OR u.service_id = $2)
      AND ($3::smallint IS NULL OR (u.bucket, u.account_id) = ($3, $4::bigint))
      AND ($5::text IS NULL OR position(lower($5) IN lower(u.memo)) > 0)
      AND ($6::timestamptz IS NULL OR u.starts_at >= $6) AND ($7::timestamptz IS NULL OR u.starts_at <= $7)
      AND ($8::boolean IS NULL OR (u.ends_at IS NULL) = $8)
      AND ($9::bigint IS NULL OR u.subscription_id > $9)
    ORDER BY u.subscription_id LIMIT $10"""
# What is unpaid is asked for again when its account has what was missing.
_DUE: Final = """
    SELECT u.subscription_id FROM service_subscriptions u JOIN accounts a USING (bucket, account_id)
    WHERE u.state IN ('active', 'unpaid') AND u.paid_to <= $1 AND (u.ends_at IS NULL OR u.paid_to < u.ends_at)
      AND a.closed_at IS NULL AND ($2::bigint IS NULL OR u.subscription_id > $2)
      AND (u.state = 'active' OR u.missing = 0 OR a.overdraft IS NULL
           OR a.balance + a.overdraft - a.reserved >= u.missing)
    ORDER BY u.subscription_id LIMIT $3"""
_UNPAID: Final = """
    SELECT u.subscription_id FROM service_subscriptions u JOIN services v USING (service_id)
    WHERE u.state = 'unpaid' AND u.paid_to + make_interval(days => v.grace_days) <= $1
      AND ($2::bigint IS NULL OR u.subscription_id > $2)
    ORDER BY u.subscription_id LIMIT $3"""


class Done(StrEnum):
    """What became of it: done now or before; why not: no money, the line has it, too many options, no such account."""

    DONE = "done"
    REPEATED = "repeated"
    NOT_THERE = "not_there"
    CONFLICT = "conflict"
    TAKEN = "taken"
    TOO_MANY = "too_many"
    UNKNOWN = "unknown"


class SubscriptionOrder(NamedTuple):
    """One subscription_order_v1 of schema.sql."""

    service_id: int
    party_id: int
    login: str | None
    did: str | None
    memo: str
    calendar: bool
    starts_at: datetime
    ends_at: datetime | None
    paid_to: datetime | None
    setup_fee: Decimal
    first_fee: Decimal
    option_id: int | None
    max_options: int
    reference: str | None
    subject: str


class Answer(NamedTuple):
    """What a money function said. `amount`: taken; below zero: given back."""

    outcome: Done
    subscription_id: int | None
    amount: Decimal | None
    available: Decimal | None


async def subscribe(questions: Questions, bucket: int, account_id: int, order: SubscriptionOrder, note: Note) -> Answer:
    """Begin one, and take what it costs to begin with. Errors: Unavailable."""
    asked = order._replace(max_options=MAX_OPTIONS)
    return _answer(await questions.fetchval(_SUBSCRIBE, bucket, account_id, tuple(asked), note))


async def charge(
    questions: Questions, subscription: Subscription, due: Charge, fee: Decimal, reference: str, subject: str
) -> Answer:
    """Take a period, unless somebody has. Errors: Unavailable."""
    return _answer(
        await questions.fetchval(
            _CHARGE,
            subscription.bucket,
            subscription.subscription_id,
            due.begins,
            due.ends,
            fee,
            subscription.service.option_id,
            reference,
            subject,
        )
    )


async def end(
    questions: Questions,
    subscription: Subscription,
    state: SubscriptionState,
    at: datetime,
    back: MoneyBack,
    subject: str,
    note: Note,
) -> Answer:
    """End it, and give back what is asked. Errors: Unavailable."""
    return _answer(
        await questions.fetchval(
            _END,
            subscription.bucket,
            subscription.subscription_id,
            state,
            at,
            back,
            subscription.service.option_id,
            subject,
            note,
        )
    )


async def find_subscription(questions: Questions, subscription_id: int) -> Subscription:
    """Errors: NotFound (removed ones too), Unavailable."""
    row = await questions.fetchrow(_FIND, subscription_id)
    if row is None or row["state"] == SubscriptionState.REMOVED:
        raise _unknown(subscription_id)
    return _subscription(row)


async def owner_of_subscription(questions: Questions, subscription_id: int) -> int:
    """Whose it is. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval(_OWNER, subscription_id)
    if owner is None:
        raise _unknown(subscription_id)
    return owner


async def list_subscriptions(
    questions: Questions, parties: Sequence[int] | None, wanted: SubscriptionFilter, cursor: Cursor
) -> Page[Subscription]:
    """Subscriptions of parties (None: of all), the oldest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(
        _LIST, None if parties is None else list(parties), wanted.service_id, *(wanted.account or (None, None)),
        wanted.memo, wanted.since, wanted.until, wanted.until_canceled, *cursor.position(int), cursor.rows,
    )  # fmt: skip
    return page_of_rows(rows, cursor, lambda row: (row["subscription_id"],), _subscription)


async def hold_subscription(tx: Transaction, subscription: Subscription) -> Subscription:
    """As it stands until the transaction ends. Errors: NotFound, Unavailable."""
    await tx.fetchval(_HOLD, subscription.bucket, subscription.subscription_id)
    return await find_subscription(tx, subscription.subscription_id)


async def change_subscription(tx: Transaction, subscription: Subscription, values: Mapping[str, Any]) -> None:
    """Set columns of one that is held. Errors: Unavailable."""
    if values:
        changes = assignments(CHANGEABLE, values, first=3)
        statement = f"UPDATE service_subscriptions SET {changes} WHERE bucket = $1 AND subscription_id = $2"  # noqa: S608
        await tx.execute(statement, subscription.bucket, subscription.subscription_id, *values.values())


async def due_subscriptions(questions: Questions, now: datetime, after: int | None, limit: int) -> list[int]:
    """What has to be charged and may be there, by number. Errors: Unavailable."""
    return [row[0] for row in await questions.fetch(_DUE, now, after, limit)]


async def long_unpaid(questions: Questions, now: datetime, after: int | None, limit: int) -> list[int]:
    """What is unpaid for longer than its service bears, by number. Errors: Unavailable."""
    return [row[0] for row in await questions.fetch(_UNPAID, now, after, limit)]


def _answer(row: Any) -> Answer:
    return Answer(Done(row["outcome"]), row["subscription_id"], row["amount"], row["available"])


def _unknown(subscription_id: int) -> NotFound:
    return NotFound(f"there is no subscription {subscription_id}", field="subscription")


def _subscription(row: asyncpg.Record) -> Subscription:
    return Subscription(
        row["subscription_id"], row["bucket"], row["account_id"], row["party_id"], row["user_login"], row["line"],
        row["did"], service_from_row(row), row["memo"], SubscriptionState(row["state"]), row["starts_at"],
        row["ends_at"], row["calendar"], row["paid_to"], row["account_currency"], row["time_zone"],
    )  # fmt: skip
