"""A month of an account, as its ledger has it: from which entry to which, and what they come to by what they were for.

Law: entries are numbered under the account's lock, so whoever sees one sees all before it, and a range of them is
read without a lock and stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from rating_engine.domain.invoice import InvoiceLine, LineKind
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_LAST_BEFORE: Final = """
    SELECT entry_id FROM ledger_entries WHERE bucket = $1 AND account_id = $2 AND created_at < $3
    ORDER BY entry_id DESC LIMIT 1"""
_BALANCE: Final = "SELECT balance_after FROM ledger_entries WHERE bucket = $1 AND account_id = $2 AND entry_id = $3"
# What calls cost is named by their direction, of a reseller too, whose entries name the same calls; what messages and
# fees were for is their subject. Sales are what costs: above zero; movements are what the balance changed by.
_LINES: Final = """
    SELECT e.line, e.name,
           GREATEST(sum(CASE WHEN e.line = 'messages' AND e.amount > 0 THEN -1 ELSE 1 END), 0) AS quantity,
           COALESCE(sum(e.seconds), 0)::bigint AS seconds,
           sum(CASE WHEN e.line IN ('calls', 'rerated', 'messages', 'fees') THEN -e.amount ELSE e.amount END) AS amount
    FROM (
        SELECT l.amount, l.entry_id,
            CASE WHEN l.kind = 'charge' AND l.call_key IS NOT NULL THEN 'calls'
                 WHEN l.kind = 'correction' THEN 'rerated'
                 WHEN l.reference LIKE 'message:%' THEN 'messages'
                 WHEN l.kind IN ('fee', 'charge') THEN 'fees'
                 WHEN l.kind = 'topup' THEN 'payments'
                 WHEN l.kind = 'transfer' THEN 'transfers'
                 ELSE 'adjustments' END AS line,
            CASE WHEN l.call_key IS NOT NULL THEN COALESCE(c.direction, '')
                 WHEN l.kind = 'opening' THEN 'opening'
                 WHEN l.reference LIKE 'message:%' THEN split_part(l.subject, ' ', 1)  -- sms, hlr: of what kind
                 ELSE l.subject END AS name,
            CASE WHEN l.kind = 'charge' THEN COALESCE(r.billed_seconds, c.billed_seconds) END AS seconds
        FROM ledger_entries l
        LEFT JOIN call_records c ON c.bucket = l.bucket AND c.call_key = l.call_key
        LEFT JOIN LATERAL (
            SELECT r.billed_seconds FROM reseller_records r
            WHERE r.bucket = l.bucket AND r.call_key = l.call_key AND r.account_id = l.account_id LIMIT 1) r ON true
        WHERE l.bucket = $1 AND l.account_id = $2 AND l.entry_id > $3 AND l.entry_id <= $4
    ) e GROUP BY 1, 2 ORDER BY min(e.entry_id)"""
# Accounts of users that are not the system's own, in their order.
_ACCOUNTS: Final = """
    SELECT bucket, account_id FROM accounts
    WHERE party_id <> 1 AND purpose = 'party' AND created_at < $1
      AND ($2::smallint IS NULL OR (bucket, account_id) > ($2, $3::bigint))
    ORDER BY bucket, account_id LIMIT $4"""
_ACCOUNT: Final = """
    SELECT a.bucket, a.account_id, a.party_id, a.currency, a.time_zone, a.created_at, a.kind = 'postpaid'
    FROM accounts a
    WHERE a.bucket = $1 AND a.account_id = $2"""
_IS_DONE: Final = "SELECT true FROM invoiced_months WHERE month = $1"
_DONE: Final = "INSERT INTO invoiced_months (month) VALUES ($1) ON CONFLICT DO NOTHING"


class BilledAccount(NamedTuple):
    """What an invoice needs to know of an account."""

    bucket: int
    account_id: int
    party_id: int
    currency: str
    time_zone: str
    created_at: datetime
    is_postpaid: bool


async def billed_account(questions: Questions, bucket: int, account_id: int) -> BilledAccount:
    """One account. Errors: Unavailable."""
    row = await questions.fetchrow(_ACCOUNT, bucket, account_id)
    assert row is not None
    return BilledAccount(*row)


async def last_entry_before(questions: Questions, bucket: int, account_id: int, at: datetime) -> int:
    """The number of the last entry that was made before then; 0: there is none. Errors: Unavailable."""
    return await questions.fetchval(_LAST_BEFORE, bucket, account_id, at) or 0


async def balance_at(questions: Questions, bucket: int, account_id: int, entry_id: int) -> Decimal:
    """The balance after an entry; 0 before the first one. Errors: Unavailable."""
    return await questions.fetchval(_BALANCE, bucket, account_id, entry_id) or Decimal(0)


async def month_lines(
    questions: Questions, bucket: int, account_id: int, after: int, until: int
) -> Sequence[InvoiceLine]:
    """What entries after one up to another come to, by what they were for. Errors: Unavailable."""
    rows = await questions.fetch(_LINES, bucket, account_id, after, until)
    return [
        InvoiceLine(LineKind(row["line"]), row["name"], row["quantity"], row["seconds"], row["amount"]) for row in rows
    ]


async def accounts_to_bill(
    questions: Questions, made_before: datetime, after: tuple[int, int] | None, limit: int
) -> list[tuple[int, int]]:
    """Bucket and number of users' accounts behind one, in their order. Errors: Unavailable."""
    rows = await questions.fetch(_ACCOUNTS, made_before, *(after or (None, None)), limit)
    return [(row["bucket"], row["account_id"]) for row in rows]


async def is_invoiced(questions: Questions, month: date) -> bool:
    """Whether every account has its invoice of that month. Errors: Unavailable."""
    return bool(await questions.fetchval(_IS_DONE, month))


async def note_invoiced(tx: Transaction, month: date) -> None:
    """Every account has. Errors: Unavailable."""
    await tx.execute(_DONE, month)
