"""Payments as they are made, listed and confirmed; their money is moved by confirm_payment_v1 of schema.sql."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import AccountClosed, InvalidRequest, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.payment import NewPayment, Payment, PaymentFilter, PaymentState, own_transaction
from rating_engine.domain.transfer import InsufficientMoney
from rating_engine.rating.money import format_amount
from rating_engine.storage.audit_log import Note
from rating_engine.storage.finance.purses import Purse
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = """
    p.payment_id, p.bucket, p.account_id, p.party_id, o.login, p.invoice_id, p.method, p.kind, p.transaction, p.amount,
    p.tax, p.commission, p.currency, p.credited, a.currency AS account_currency, p.payer, p.comment, p.state,
    p.created_at, p.ended_at
    FROM payments p JOIN accounts a ON a.bucket = p.bucket AND a.account_id = p.account_id
    JOIN parties o ON o.party_id = p.party_id"""
_ONE: Final = f"SELECT {_COLUMNS} WHERE p.payment_id = $1"  # a constant
_OF_TRANSACTION: Final = f"""
    SELECT {_COLUMNS} WHERE p.bucket = $1 AND p.account_id = $2 AND p.method = $3 AND p.transaction = $4"""
# The newest first.
_LIST: Final = f"""
    SELECT {_COLUMNS}
    WHERE ($1::bigint IS NULL OR p.payment_id < $1) AND ($2::bigint[] IS NULL OR p.party_id = ANY ($2))
      AND ($3::timestamptz IS NULL OR p.created_at >= $3) AND ($4::timestamptz IS NULL OR p.created_at < $4)
      AND ($5::text IS NULL OR p.state = $5) AND ($6::text IS NULL OR p.method = $6)
      AND ($7::text IS NULL OR p.transaction = $7) AND ($8::numeric IS NULL OR p.amount >= $8)
      AND ($9::numeric IS NULL OR p.amount <= $9) AND ($10::text IS NULL OR p.currency = $10)
      AND ($11::text IS NULL OR $11 IN (p.kind, p.method))
      AND ($12::text IS NULL AND $13::text IS NULL OR EXISTS (
        SELECT FROM party_details d WHERE d.party_id = p.party_id
          AND ($12 IS NULL OR lower(d.first_name) = lower($12)) AND ($13 IS NULL OR lower(d.last_name) = lower($13))))
    ORDER BY p.payment_id DESC LIMIT $14"""  # noqa: S608  # a constant
_ADD: Final = """
    INSERT INTO payments (bucket, payment_id, account_id, party_id, invoice_id, method, kind, transaction, amount, tax,
                          commission, currency, credited, payer, comment)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
    ON CONFLICT (bucket, account_id, method, transaction) DO NOTHING RETURNING payment_id"""
_CONFIRM: Final = "SELECT confirm_payment_v1($1, $2, $3, $4, $5)"
_CANCEL: Final = """
    UPDATE payments SET state = 'cancelled', ended_at = now()
    WHERE bucket = $1 AND payment_id = $2 AND state = 'pending' RETURNING true"""
_OWNER: Final = "SELECT party_id FROM payments WHERE payment_id = $1"
_SUMS: Final = """
    SELECT p.state, p.currency, count(*) AS number, sum(p.amount) AS net, sum(p.tax + p.commission) AS tax
    FROM payments p WHERE ($1::bigint[] IS NULL OR p.party_id = ANY ($1)) AND p.created_at >= $2 AND p.created_at < $3
      AND p.state <> 'cancelled'
    GROUP BY 1, 2"""


async def next_payment_id(tx: Transaction) -> int:
    """The number of a payment that is to be made. Errors: Unavailable."""
    return int(await tx.fetchval("SELECT nextval('payment_ids')"))


async def add_payment(
    tx: Transaction, payment_id: int, purse: Purse, new: NewPayment, amounts: tuple[Decimal, Decimal, Decimal, Decimal]
) -> bool:
    """A pending payment; False: that transaction of the method is there. `amounts`: net, tax, commission, credited.

    Errors: InvalidRequest (more than an amount can be), Unavailable.
    """
    amount, tax, commission, credited = amounts
    try:
        made = await tx.fetchval(
            _ADD, purse.bucket, payment_id, purse.account_id, purse.party_id, new.invoice_id, new.method, new.kind,
            new.transaction or own_transaction(payment_id), amount, tax, commission, new.currency, credited, new.payer,
            new.comment,
        )  # fmt: skip
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("amount", "is more than an amount can be") from None
    return made is not None


async def find_payment(questions: Questions, payment_id: int) -> Payment:
    """One payment. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_ONE, payment_id)
    if row is None:
        raise _unknown(payment_id)
    return _payment(row)


async def payment_of(questions: Questions, purse: Purse, method: str, transaction: str) -> Payment | None:
    """The payment of a transaction into an account; None: there is none. Errors: Unavailable."""
    row = await questions.fetchrow(_OF_TRANSACTION, purse.bucket, purse.account_id, method, transaction)
    return None if row is None else _payment(row)


async def owner_of_payment(questions: Questions, payment_id: int) -> int:
    """Whose it is. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval(_OWNER, payment_id)
    if owner is None:
        raise _unknown(payment_id)
    return owner


async def list_payments(
    questions: Questions, tree: Sequence[int] | None, wanted: PaymentFilter, cursor: Cursor
) -> Page[Payment]:
    """Payments, the newest first; `tree`: of these parties, None: of everybody. Errors: InvalidRequest (after)."""
    rows = await questions.fetch(
        _LIST, *cursor.position(int), tree, wanted.since, wanted.until, wanted.state, wanted.method,
        wanted.transaction, wanted.least, wanted.most, wanted.currency, wanted.kind, wanted.first_name,
        wanted.last_name, cursor.rows,
    )  # fmt: skip
    return page_of_rows(rows, cursor, lambda row: (row["payment_id"],), _payment)


async def confirm(database: Database, payment: Payment, payer: Purse | None, taken: Decimal | None, note: Note) -> bool:
    """Top the account up; False: it was before. `taken`: from `payer`, in its currency; None: it came from outside.

    Errors: those of `refusal_of`, InvalidRequest (more than a balance can be), Unavailable.
    """
    payer_id = None if payer is None else payer.account_id
    try:
        answer = await database.fetchval(_CONFIRM, payment.bucket, payment.payment_id, payer_id, taken, note)
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("amount", "makes the balance more than it can be") from None
    if answer["outcome"] not in ("done", "repeated"):
        raise refusal_of(answer, f"payment {payment.payment_id}", "" if payer is None else payer.currency)
    return bool(answer["outcome"] == "done")


async def cancel(tx: Transaction, payment: Payment) -> bool:
    """It is not to be confirmed any more; False: it has ended before. Errors: Unavailable."""
    return bool(await tx.fetchval(_CANCEL, payment.bucket, payment.payment_id))


async def sum_payments(questions: Questions, tree: Sequence[int] | None, since: Any, until: Any) -> list[Any]:
    """How many of a time there are of each state and currency, and what they come to. Errors: Unavailable."""
    return await questions.fetch(_SUMS, tree, since, until)


def refusal_of(answer: Any, what: str, currency: str) -> Exception:
    """Why a paper's money did not move (paper_answer_v1)."""
    match answer["outcome"]:
        case "not_there":
            there = f"{format_amount(answer['available'])} {currency}".strip()
            return InsufficientMoney(f"{what}: {there} are there, less than it takes", field="amount")
        case "closed":
            return AccountClosed(f"{what}: one of its accounts was closed")
        case "cancelled":
            return Refused(f"{what} was cancelled")
        case "same":
            return Refused(f"{what} is of the account that would pay it")
        case _:
            return NotFound(f"{what}: its account, or who pays, is not there (one house is in one bucket)")


def _unknown(payment_id: int) -> NotFound:
    return NotFound(f"payment {payment_id} does not exist", field="payment")


def _payment(row: Any) -> Payment:
    return Payment(**{**row, "state": PaymentState(row["state"])})
