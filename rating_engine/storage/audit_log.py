"""Who changed what, when and from where: one row a management call, written in the transaction of the change.

What was changed of an account stands with it (account_audit, by its bucket), so that a cluster commits both on one
node; a money function is handed its note and writes it itself. Everything else is the catalogue's (catalogue_audit).
People read both as the view audit_log.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import orjson

from rating_engine.domain.principal import Principal
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = "party, level, surface, key, address, action, subject, detail"
_OF_CATALOGUE: Final = f"INSERT INTO catalogue_audit ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb)"  # noqa: S608  # constants
_OF_ACCOUNT: Final = (
    f"INSERT INTO account_audit (bucket, {_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb)"  # noqa: S608
)


class Note(NamedTuple):
    """One audit_note of schema.sql: who did what to whom; `detail` is JSON."""

    party: str
    level: str
    surface: str
    key: str | None
    address: str | None
    action: str
    subject: str
    detail: str


def note_of(who: Principal, action: str, subject: str, detail: Mapping[str, Any] | None = None) -> Note:
    """That `who` did `action` (`account.topup`) to `subject` (its name or id).

    `detail` is what a reader wants to know of it, never a secret.
    """
    text = orjson.dumps(dict(detail or {}), default=str).decode()
    return Note(who.party, who.level, who.surface, who.key, who.address, action, subject, text)


async def record(
    tx: Transaction, action: str, subject: str, detail: Mapping[str, Any] | None = None, *, bucket: int | None = None
) -> None:
    """Say in the audit log that `tx.principal` did `action` to `subject`, as in `note_of`.

    `bucket`: of the account that was changed; None: the catalogue was. Errors: Unavailable.
    """
    note = note_of(tx.principal, action, subject, detail)
    if bucket is None:
        await tx.execute(_OF_CATALOGUE, *note)
    else:
        await tx.execute(_OF_ACCOUNT, bucket, *note)
