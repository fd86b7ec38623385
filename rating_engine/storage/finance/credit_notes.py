"""Credit notes as they are made, listed and settled; their money is moved by set_credit_note_v1 of schema.sql."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import asyncpg

from rating_engine.domain.credit_note import CreditNote, CreditNoteFilter, CreditNoteState, NewCreditNote
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.audit_log import Note
from rating_engine.storage.finance.payments import refusal_of
from rating_engine.storage.finance.purses import Purse
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = """
    c.credit_note_id, c.bucket, c.account_id, c.party_id, o.login, c.issuer_id, c.number, c.label, c.amount, c.tax,
    c.currency, c.credited, c.comment, c.state, c.issued_at
    FROM credit_notes c JOIN parties o ON o.party_id = c.party_id"""
_ONE: Final = f"SELECT {_COLUMNS} WHERE c.credit_note_id = $1"  # a constant
_LIST: Final = f"""
    SELECT {_COLUMNS}
    WHERE ($1::bigint IS NULL OR c.credit_note_id < $1) AND ($2::bigint[] IS NULL OR c.party_id = ANY ($2))
      AND ($3::timestamptz IS NULL OR c.issued_at >= $3) AND ($4::timestamptz IS NULL OR c.issued_at < $4)
      AND ($5::text IS NULL AND c.state <> 'deleted' OR c.state = $5)
    ORDER BY c.credit_note_id DESC LIMIT $6"""
_ADD: Final = """
    INSERT INTO credit_notes (bucket, account_id, party_id, issuer_id, number, label, amount, tax, currency, credited,
                              comment, issued_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, COALESCE($12, now())) RETURNING credit_note_id"""
_SET: Final = "SELECT set_credit_note_v1($1, $2, $3, $4, $5, $6)"
_COMMENT: Final = "UPDATE credit_notes SET comment = $3 WHERE bucket = $1 AND credit_note_id = $2"
_OWNER: Final = "SELECT party_id FROM credit_notes WHERE credit_note_id = $1"
_SUMS: Final = """
    SELECT state, currency, count(*) AS number, sum(amount) AS net, sum(tax) AS tax FROM credit_notes
    WHERE ($1::bigint[] IS NULL OR party_id = ANY ($1)) AND issued_at >= $2 AND issued_at < $3 AND state <> 'deleted'
    GROUP BY 1, 2"""


async def add_credit_note(
    tx: Transaction, purse: Purse, issuer_id: int, number: int, new: NewCreditNote, tax: Decimal, credited: Decimal
) -> int:
    """Its number in the database. Errors: InvalidRequest (more than an amount can be), Unavailable."""
    try:
        credit_note_id: int = await tx.fetchval(
            _ADD, purse.bucket, purse.account_id, purse.party_id, issuer_id, number, new.label, new.amount, tax,
            new.currency, credited, new.comment, new.issued_at,
        )  # fmt: skip
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("amount", "is more than an amount can be") from None
    return credit_note_id


async def find_credit_note(questions: Questions, credit_note_id: int) -> CreditNote:
    """One of them. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_ONE, credit_note_id)
    if row is None:
        raise _unknown(credit_note_id)
    return _credit_note(row)


async def owner_of_credit_note(questions: Questions, credit_note_id: int) -> int:
    """Who is credited by it. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval(_OWNER, credit_note_id)
    if owner is None:
        raise _unknown(credit_note_id)
    return owner


async def list_credit_notes(
    questions: Questions, tree: Sequence[int] | None, wanted: CreditNoteFilter, cursor: Cursor
) -> Page[CreditNote]:
    """The newest first; `tree`: of these parties, None: of everybody. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(
        _LIST, *cursor.position(int), tree, wanted.since, wanted.until, wanted.state, cursor.rows
    )
    return page_of_rows(rows, cursor, lambda row: (row["credit_note_id"],), _credit_note)


async def set_state(
    database: Database,
    note: CreditNote,
    state: CreditNoteState,
    payer: Purse | None,
    taken: Decimal | None,
    audit: Note,
) -> bool:
    """Pay it, take it back, delete it; False: it stood so. Errors: those of `refusal_of`, Unavailable."""
    payer_id = None if payer is None else payer.account_id
    try:
        answer = await database.fetchval(
            _SET, note.bucket, note.credit_note_id, state.value, payer_id, taken, audit
        )  # fmt: skip
    except asyncpg.NumericValueOutOfRangeError:
        raise InvalidRequest("amount", "makes the balance more than it can be") from None
    if answer["outcome"] not in ("done", "repeated"):
        raise refusal_of(answer, f"credit note {note.credit_note_id}", "")
    return bool(answer["outcome"] == "done")


async def set_comment(tx: Transaction, note: CreditNote, comment: str) -> None:
    """Errors: Unavailable."""
    await tx.execute(_COMMENT, note.bucket, note.credit_note_id, comment)


async def sum_credit_notes(
    questions: Questions, tree: Sequence[int] | None, since: datetime, until: datetime
) -> list[Any]:
    """How many of a time there are of each state and currency, and what they come to. Errors: Unavailable."""
    return await questions.fetch(_SUMS, tree, since, until)


def _unknown(credit_note_id: int) -> NotFound:
    return NotFound(f"credit note {credit_note_id} does not exist", field="credit_note")


def _credit_note(row: Any) -> CreditNote:
    return CreditNote(**{**row, "state": CreditNoteState(row["state"])})
