"""Who changed what, when and from where: one row a management call, written in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from rating_engine.storage.postgres.transaction import Transaction

_RECORD: Final = (
    "INSERT INTO audit_log (party, level, surface, key, address, action, party_id, subject, detail)"
    " SELECT $1, $2, $3, $4, $5, $6, $7, s.* FROM unnest($8::text[], $9::jsonb[]) AS s"
)


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
