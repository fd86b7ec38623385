"""Secrets of signed requests as they are kept: encrypted, one a party."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from rating_engine.domain.addresses import parse_network
from rating_engine.domain.hash_secret import HashSecret
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = ("enabled", "allowed_sources", "blocked", "hide_usernames")
_COLUMN_OF: Final = {"sources": "allowed_sources"}

_SECRETS: Final = """
    SELECT h.party_id AS owner_id, p.login AS owner, h.enabled, h.allowed_sources AS sources, h.blocked, h.is_short,
           h.changed_at, h.hide_usernames, h.secret
    FROM hash_secrets h JOIN parties p USING (party_id)"""
_OF: Final = f"{_SECRETS} WHERE h.party_id = $1"
_LIST: Final = f"{_SECRETS} ORDER BY h.party_id"
_PUT: Final = """
    INSERT INTO hash_secrets (party_id, secret, is_short) VALUES ($1, $2, $3)
    ON CONFLICT (party_id) DO UPDATE SET secret = EXCLUDED.secret, is_short = EXCLUDED.is_short, changed_at = now()
"""


async def secret_of(questions: Questions, party_id: int) -> tuple[HashSecret, bytes] | None:
    """What a party's requests are signed with, and its sealed text; None: nothing. Errors: Unavailable."""
    row = await questions.fetchrow(_OF, party_id)
    return None if row is None else (_secret_from_row(row), row["secret"])


async def list_secrets(questions: Questions) -> list[HashSecret]:
    """All of them: one a reseller. Errors: Unavailable."""
    return [_secret_from_row(row) for row in await questions.fetch(_LIST)]


async def put_secret(tx: Transaction, party_id: int, sealed: bytes, *, is_short: bool) -> None:
    """Keep it in place of the one before. Errors: Unavailable."""
    await tx.execute(_PUT, party_id, sealed, is_short)


async def change_secret(tx: Transaction, party_id: int, values: Mapping[str, object]) -> None:
    """Set fields of HashSecretChanges. Errors: Unavailable."""
    columns = {_COLUMN_OF.get(name, name): _plain(name, value) for name, value in values.items()}
    if columns:
        changes = assignments(CHANGEABLE, columns, first=2)
        await tx.execute(
            f"UPDATE hash_secrets SET {changes} WHERE party_id = $1",  # noqa: S608  # names of columns
            party_id, *columns.values(),
        )  # fmt: skip


def _plain(name: str, value: Any) -> object:
    if name == "sources":
        return [parse_network(source, "sources") for source in value]
    return list(value) if isinstance(value, tuple) else value


def _secret_from_row(row: asyncpg.Record) -> HashSecret:
    values = {name: value for name, value in row.items() if name != "secret"}
    return HashSecret(**{**values, "sources": tuple(row["sources"]), "blocked": tuple(row["blocked"])})
