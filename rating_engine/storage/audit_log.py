"""Who changed what, when and from where: one row a management call, written in the transaction of the change."""

from __future__ import annotations

from typing import Any

import orjson

from rating_engine.storage.postgres.transaction import Transaction


async def record(tx: Transaction, action: str, subject: str, detail: dict[str, Any] | None = None) -> None:
    """Say in the audit log that `tx.principal` did `action` (`route.add`) to `subject` (its name or id).

    `detail` is what a reader wants to know of it, never a secret. Errors: Unavailable.
    """
    who = tx.principal
    await tx.execute(
        "INSERT INTO audit_log (party, level, surface, key, address, action, subject, detail, party_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)",
        who.party,
        who.level.word,
        who.surface,
        who.key,
        who.address,
        action,
        subject,
        orjson.dumps(detail or {}, default=str).decode(),
        who.party_id,
    )
