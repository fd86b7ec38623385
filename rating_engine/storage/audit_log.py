"""Who changed what, when and from where: one row a management call, written in the transaction of the change.

What was changed of an account stands with it (account_audit, by its bucket), so that a cluster commits both on one
node; a money function is handed its note and writes it itself. Everything else is the catalogue's (catalogue_audit).
People read both as the view audit_log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import orjson

from rating_engine.domain.audit import AuditEntry, AuditFilter
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.principal import Principal
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = "party, level, surface, key, address, action, party_id, subject, detail"
_RECORD: Final = f"""
    INSERT INTO catalogue_audit ({_COLUMNS})
    SELECT $1, $2, $3, $4, $5, $6, $7, s.* FROM unnest($8::text[], $9::jsonb[]) AS s
"""  # noqa: S608  # constants
_OF_ACCOUNT: Final = f"""
    INSERT INTO account_audit (bucket, {_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::jsonb)
"""  # noqa: S608

_LIST: Final = """
    SELECT audit_id, at, party, level, surface, key, address, action, subject, detail::text
    FROM audit_log
    WHERE ($1::timestamptz IS NULL OR (at, audit_id, action) < ($1, $2::bigint, $3::text))
      AND ($4::bigint[] IS NULL OR party_id = ANY ($4)) AND ($5::text IS NULL OR lower(party) = lower($5))
      AND ($6::text IS NULL OR action = $6 OR starts_with(action, $6 || '.'))
      AND ($7::text IS NULL OR subject = $7) AND ($8::text IS NULL OR key = $8)
      AND ($9::timestamptz IS NULL OR at >= $9) AND ($10::timestamptz IS NULL OR at < $10)
    ORDER BY at DESC, audit_id DESC, action DESC LIMIT $11
"""


class Note(NamedTuple):
    """One audit_note of schema.sql: who did what to whom; `detail` is JSON."""

    party: str
    level: str
    surface: str
    key: str | None
    address: str | None
    action: str
    party_id: int | None
    subject: str
    detail: str


def note_of(who: Principal, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> Note:
    """That `who` did `action` (`route.add`) to `subject` (its name or id).

    `detail` is what a reader wants to know of it, never a secret.
    """
    return Note(
        who.party, who.level.word, who.surface, who.key, who.address, action, who.party_id, subject, _text(detail or {})
    )


async def record(
    tx: Transaction, action: str, subject: str, detail: Mapping[str, Any] | None = None, *, bucket: int | None = None
) -> None:
    """Say in the audit log that `tx.principal` did `action` to `subject`, as `note_of` has it.

    `bucket`: of the account that was changed; None: the catalogue was. Errors: Unavailable.
    """
    if bucket is None:
        await record_each(tx, action, {subject: detail or {}})
    else:
        await tx.execute(_OF_ACCOUNT, bucket, *note_of(tx.principal, action, subject, detail))


async def record_each(tx: Transaction, action: str, details: Mapping[str, Mapping[str, Any]]) -> None:
    """The same of many subjects, each with its detail: a row each. Errors: Unavailable."""
    who = tx.principal
    await tx.execute(
        _RECORD, who.party, who.level.word, who.surface, who.key, who.address, action, who.party_id,
        list(details), [_text(detail) for detail in details.values()],
    )  # fmt: skip


async def list_entries(
    questions: Questions, tree: Sequence[int] | None, wanted: AuditFilter, cursor: Cursor
) -> Page[AuditEntry]:
    """Entries, the newest first; `tree`: of these parties, None: of everybody. Errors: InvalidRequest (after)."""
    rows = await questions.fetch(
        _LIST, *cursor.position(datetime, int, str), tree, wanted.party, wanted.action, wanted.subject, wanted.key,
        wanted.since, wanted.until, cursor.rows,
    )  # fmt: skip
    return page_of_rows(rows, cursor, lambda row: (row["at"], row["audit_id"], row["action"]), _entry_from_row)


def _entry_from_row(row: asyncpg.Record) -> AuditEntry:
    return AuditEntry(**{**row, "detail": orjson.loads(row["detail"])})


def _text(detail: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(detail), default=str).decode()
