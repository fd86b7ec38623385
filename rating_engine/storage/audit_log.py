"""Who changed what, when and from where: one row a management call, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg
import orjson

from rating_engine.domain.audit import AuditEntry, AuditFilter
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_RECORD: Final = (
    "INSERT INTO audit_log (party, level, surface, key, address, action, party_id, subject, detail)"
    " SELECT $1, $2, $3, $4, $5, $6, $7, s.* FROM unnest($8::text[], $9::jsonb[]) AS s"
)

_LIST: Final = """
    SELECT audit_id, at, party, level, surface, key, address, action, subject, detail::text
    FROM audit_log
    WHERE ($1::bigint IS NULL OR audit_id < $1) AND ($2::bigint[] IS NULL OR party_id = ANY ($2))
      AND ($3::text IS NULL OR lower(party) = lower($3))
      AND ($4::text IS NULL OR action = $4 OR starts_with(action, $4 || '.'))
      AND ($5::text IS NULL OR subject = $5) AND ($6::text IS NULL OR key = $6)
      AND ($7::timestamptz IS NULL OR at >= $7) AND ($8::timestamptz IS NULL OR at < $8)
    ORDER BY audit_id DESC LIMIT $9
"""


async def record(tx: Transaction, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Say in the audit log that `tx.principal` did `action` (`route.add`) to `subject` (its name or id).

    `detail` is what a reader wants to know of it, never a secret. Errors: Unavailable.
    """
    await record_each(tx, action, {subject: detail or {}})


async def record_each(tx: Transaction, action: str, details: Mapping[str, Mapping[str, Any]]) -> None:
    """The same of many subjects, each with its detail: a row each. Errors: Unavailable."""
    who = tx.principal
    texts = [orjson.dumps(detail, default=str).decode() for detail in details.values()]
    await tx.execute(
        _RECORD, who.party, who.level.word, who.surface, who.key, who.address, action, who.party_id,
        list(details), texts,
    )  # fmt: skip


async def list_entries(
    questions: Questions, tree: Sequence[int] | None, wanted: AuditFilter, cursor: Cursor
) -> Page[AuditEntry]:
    """Entries, the newest first; `tree`: of these parties, None: of everybody. Errors: InvalidRequest (after)."""
    rows = await questions.fetch(
        _LIST, *cursor.position(int), tree, wanted.party, wanted.action, wanted.subject, wanted.key, wanted.since,
        wanted.until, cursor.rows,
    )  # fmt: skip
    return page_of_rows(rows, cursor, lambda row: (row["audit_id"],), _entry_from_row)


def _entry_from_row(row: asyncpg.Record) -> AuditEntry:
    return AuditEntry(**{**row, "detail": orjson.loads(row["detail"])})
