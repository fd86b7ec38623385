"""Invoices and their lines: written once, listed, cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import orjson

from rating_engine.domain.errors import NotFound
from rating_engine.domain.invoice import Invoice, InvoiceFilter, InvoiceKind, InvoiceLine, InvoiceState, LineKind
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.papers import PaperParty
from rating_engine.domain.tax import TaxLine
from rating_engine.storage.postgres.columns import columns_and_places
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

WRITTEN: Final = (
    "bucket", "account_id", "party_id", "issuer_id", "kind", "number", "state", "issued_at", "valid_to", "ended_at",
    "period_start", "period_end", "from_entry", "to_entry", "currency", "net", "tax_percent", "tax", "commission",
    "commission_percent", "opening", "closing", "due", "issuer", "billed", "taxes", "to_mail",
)  # fmt: skip

_COLUMNS: Final = """
    i.invoice_id, i.bucket, i.account_id, i.party_id, o.login, i.issuer_id, i.kind, i.number, i.state, i.issued_at,
    i.valid_to, i.ended_at, i.period_start, i.period_end, i.currency, i.net, i.tax_percent, i.tax, i.commission,
    i.commission_percent, i.opening, i.closing, i.due, i.issuer::text, i.billed::text, i.taxes::text, o.language,
    COALESCE(p.method, '') AS method, COALESCE(p.kind, '') AS payment_kind, p.payment_id
    FROM invoices i JOIN parties o ON o.party_id = i.party_id
    LEFT JOIN LATERAL (
        SELECT method, kind, payment_id FROM payments p
        WHERE p.bucket = i.bucket AND p.account_id = i.account_id AND p.invoice_id = i.invoice_id AND i.kind = 'request'
        ORDER BY payment_id LIMIT 1) p ON true"""
_ONE: Final = f"SELECT {_COLUMNS} WHERE i.invoice_id = $1"  # a constant
# The newest first; cancelled ones where they are asked for.
_LIST: Final = f"""
    SELECT {_COLUMNS}
    WHERE ($1::bigint IS NULL OR i.invoice_id < $1) AND ($2::bigint[] IS NULL OR i.party_id = ANY ($2))
      AND ($3::timestamptz IS NULL OR i.issued_at >= $3) AND ($4::timestamptz IS NULL OR i.issued_at < $4)
      AND ($5::text IS NULL OR i.kind = $5) AND ($6::text IS NULL AND i.state <> 'cancelled' OR i.state = $6)
      AND ($7::text IS NULL OR p.method = $7)
    ORDER BY i.invoice_id DESC LIMIT $8"""
_LINES: Final = """
    SELECT invoice_id, kind, name, quantity, seconds, amount FROM invoice_lines
    WHERE invoice_id = ANY ($1) ORDER BY invoice_id, position"""
_ADD_LINES: Final = """
    INSERT INTO invoice_lines (bucket, invoice_id, position, kind, name, quantity, seconds, amount)
    SELECT $1, $2, l.place, l.kind, l.name, l.quantity, l.seconds, l.amount
    FROM unnest($3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::numeric[]) WITH ORDINALITY
        AS l (kind, name, quantity, seconds, amount, place)"""
_OF_MONTH: Final = """
    SELECT invoice_id, state, from_entry, to_entry FROM invoices
    WHERE bucket = $1 AND account_id = $2 AND kind = 'monthly' AND period_start = $3
    ORDER BY state = 'cancelled', invoice_id DESC LIMIT 1"""
_CANCEL: Final = """
    UPDATE invoices SET state = 'cancelled', ended_at = now(), to_mail = false
    WHERE bucket = $1 AND invoice_id = $2 AND state <> 'cancelled' RETURNING true"""
_PAID: Final = """
    UPDATE invoices SET state = 'paid', ended_at = now()
    WHERE bucket = $1 AND invoice_id = $2 AND state = 'open' RETURNING true"""
_OPEN_REQUESTS: Final = """
    SELECT count(*) FROM invoices WHERE party_id = $1 AND kind = 'request' AND state = 'open' AND valid_to > $2"""
_TO_MAIL: Final = """
    SELECT invoice_id FROM invoices WHERE to_mail ORDER BY issued_at, invoice_id LIMIT $1"""
_MAILED: Final = """
    UPDATE invoices SET to_mail = false WHERE bucket = $1 AND invoice_id = $2 AND to_mail RETURNING true"""
_HAS_MONEY: Final = """
    SELECT true FROM payments
    WHERE bucket = $1 AND account_id = $2 AND invoice_id = $3 AND state = 'confirmed' LIMIT 1"""
_CANCEL_PAYMENTS: Final = """
    UPDATE payments SET state = 'cancelled', ended_at = now()
    WHERE bucket = $1 AND account_id = $2 AND invoice_id = $3 AND state = 'pending'"""
_OWNER: Final = "SELECT party_id FROM invoices WHERE invoice_id = $1"
_SUMS: Final = """
    SELECT state, currency, count(*) AS number, sum(net + commission) AS net, sum(tax) AS tax FROM invoices
    WHERE ($1::bigint[] IS NULL OR party_id = ANY ($1)) AND issued_at >= $2 AND issued_at < $3 AND state <> 'cancelled'
    GROUP BY 1, 2"""


async def add_invoice(
    tx: Transaction, values: dict[str, Any], issuer: PaperParty, billed: PaperParty, lines: Sequence[InvoiceLine]
) -> int:
    """Its number in the database. `values`: of WRITTEN, taxes as TaxLines. Errors: Unavailable."""
    taxes = [[tax.name, str(tax.percent), str(tax.amount)] for tax in values["taxes"]]
    written = {
        **values, "issuer": _text(issuer), "billed": _text(billed), "taxes": orjson.dumps(taxes).decode(),
    }  # fmt: skip
    columns, places = columns_and_places(WRITTEN, written, first=1)
    invoice_id: int = await tx.fetchval(
        f"INSERT INTO invoices ({columns}) VALUES ({places}) RETURNING invoice_id",  # noqa: S608  # names of columns
        *written.values(),
    )
    await tx.execute(
        _ADD_LINES, values["bucket"], invoice_id, [line.kind for line in lines], [line.name for line in lines],
        [line.quantity for line in lines], [line.seconds for line in lines], [line.amount for line in lines],
    )  # fmt: skip
    return invoice_id


async def find_invoice(questions: Questions, invoice_id: int) -> Invoice:
    """One invoice with its lines. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_ONE, invoice_id)
    if row is None:
        raise _unknown(invoice_id)
    return _invoice(row, (await _lines(questions, [invoice_id])).get(invoice_id, []))


async def owner_of_invoice(questions: Questions, invoice_id: int) -> int:
    """Who is billed by it. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval(_OWNER, invoice_id)
    if owner is None:
        raise _unknown(invoice_id)
    return owner


async def list_invoices(
    questions: Questions, parties: Sequence[int] | None, wanted: InvoiceFilter, cursor: Cursor, *, lines: bool
) -> Page[Invoice]:
    """Invoices, the newest first; `parties`: of these, None: of everybody. Errors: InvalidRequest (after)."""
    rows = await questions.fetch(
        _LIST, *cursor.position(int), parties, wanted.since, wanted.until, wanted.kind, wanted.state, wanted.method,
        cursor.rows,
    )  # fmt: skip
    found = await _lines(questions, [row["invoice_id"] for row in rows]) if lines else {}
    return page_of_rows(
        rows, cursor, lambda row: (row["invoice_id"],), lambda row: _invoice(row, found.get(row["invoice_id"], []))
    )


async def month_invoice(
    questions: Questions, bucket: int, account_id: int, start: date
) -> tuple[int, InvoiceState, int, int] | None:
    """That of a month of an account, with its first and last entry; a cancelled one where there is no other."""
    row = await questions.fetchrow(_OF_MONTH, bucket, account_id, start)
    return None if row is None else (
        row["invoice_id"], InvoiceState(row["state"]), row["from_entry"], row["to_entry"]
    )  # fmt: skip


async def cancel_invoice(tx: Transaction, invoice: Invoice) -> bool:
    """With what was to be paid by it; False: it was before, or money came for it, and nothing of this may commit.

    Errors: Unavailable.
    """
    place = (invoice.bucket, invoice.account_id, invoice.invoice_id)
    await tx.execute(_CANCEL_PAYMENTS, *place)
    if await tx.fetchval(_HAS_MONEY, *place):
        return False
    return bool(await tx.fetchval(_CANCEL, invoice.bucket, invoice.invoice_id))


async def note_paid(tx: Transaction, invoice: Invoice) -> bool:
    """It was paid outside of what is kept here; False: it was not open. Errors: Unavailable."""
    return bool(await tx.fetchval(_PAID, invoice.bucket, invoice.invoice_id))


async def count_open_requests(questions: Questions, party_id: int, now: datetime) -> int:
    """How many of a party may still be paid. Errors: Unavailable."""
    return int(await questions.fetchval(_OPEN_REQUESTS, party_id, now))


async def invoices_to_mail(questions: Questions, limit: int) -> list[int]:
    """Numbers of those that are to be mailed by themselves, the oldest first. Errors: Unavailable."""
    return [row["invoice_id"] for row in await questions.fetch(_TO_MAIL, limit)]


async def note_mailed(tx: Transaction, invoice: Invoice) -> bool:
    """It is not to be mailed by itself any more; False: it was not before. Errors: Unavailable."""
    return bool(await tx.fetchval(_MAILED, invoice.bucket, invoice.invoice_id))


async def sum_invoices(questions: Questions, tree: Sequence[int] | None, since: datetime, until: datetime) -> list[Any]:
    """How many of a time there are of each state and currency, and what they come to. Errors: Unavailable."""
    return await questions.fetch(_SUMS, tree, since, until)


async def _lines(questions: Questions, invoices: Sequence[int]) -> dict[int, list[InvoiceLine]]:
    found: dict[int, list[InvoiceLine]] = {}
    for row in await questions.fetch(_LINES, invoices):
        line = InvoiceLine(LineKind(row["kind"]), row["name"], row["quantity"], row["seconds"], Decimal(row["amount"]))
        found.setdefault(row["invoice_id"], []).append(line)
    return found


def _unknown(invoice_id: int) -> NotFound:
    return NotFound(f"invoice {invoice_id} does not exist", field="invoice")


def _text(party: PaperParty) -> str:
    return orjson.dumps(asdict(party)).decode()


def _invoice(row: Any, lines: Sequence[InvoiceLine]) -> Invoice:
    values = {
        **row, "kind": InvoiceKind(row["kind"]), "state": InvoiceState(row["state"]),
        "issuer": PaperParty(**orjson.loads(row["issuer"])), "billed": PaperParty(**orjson.loads(row["billed"])),
        "taxes": tuple(TaxLine(name, Decimal(percent), Decimal(amount))
                       for name, percent, amount in orjson.loads(row["taxes"])),
    }  # fmt: skip
    return Invoice(**values, lines=tuple(lines))
