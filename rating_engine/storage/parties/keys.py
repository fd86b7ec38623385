"""API keys as they are kept: by the SHA-256 of their secret, which nothing here has ever seen in clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import asyncpg

from rating_engine.domain.addresses import Network, parse_network
from rating_engine.domain.api_key import ApiKey, AuthBy, KeyKind, NewKey
from rating_engine.domain.errors import AlreadyExists, Hint, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.party import Level
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = (
    "access_level", "auth_by", "default_party_id", "default_value", "allowed_sources", "allowed_methods", "scopes",
    "secure_only", "rate_limit", "enabled", "secret_hash", "shown",
)  # fmt: skip
_COLUMN_OF: Final = {"level": "access_level", "sources": "allowed_sources", "methods": "allowed_methods"}

_KEYS: Final = """
    SELECT k.key_id, k.name, k.shown, k.kind, k.access_level AS level, k.auth_by, k.owner_id, o.login AS owner,
           d.login AS default_user, k.default_value, k.allowed_sources AS sources, k.allowed_methods AS methods,
           k.scopes, k.secure_only, k.rate_limit, k.enabled, k.created_at, k.revoked_at, k.maintained_at,
           COALESCE(e.dns_name, '') AS dns_name
    FROM api_keys k JOIN parties o ON o.party_id = k.owner_id LEFT JOIN parties d ON d.party_id = k.default_party_id
    LEFT JOIN exchanges e ON e.name = k.name"""
_BY_SECRET: Final = f"{_KEYS} WHERE k.secret_hash = $1"
_BY_NAME: Final = f"{_KEYS} WHERE k.name = $1"
_LIST: Final = f"""
    {_KEYS}
    WHERE ($1::bigint IS NULL OR k.key_id > $1) AND k.owner_id = ANY (parties_below($2))
      AND ($3 OR k.revoked_at IS NULL)
    ORDER BY k.key_id LIMIT $4
"""
_ADD: Final = """
    INSERT INTO api_keys (name, secret_hash, shown, kind, access_level, auth_by, owner_id, default_party_id,
                          allowed_sources, allowed_methods, scopes, secure_only, rate_limit, default_value)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::cidr[], $10, $11, $12, $13, $14)
"""


_SECRETS: Final = "api_keys_secret_hash_key"


def unknown_key(name: str) -> NotFound:
    """The error for a name that no key has."""
    return NotFound(f"key {name!r} does not exist", field="key", hint=Hint.SEE_KEYS)


async def key_of_secret(questions: Questions, secret_hash: bytes) -> ApiKey | None:
    """The key of a secret, revoked ones too. Errors: Unavailable."""
    row = await questions.fetchrow(_BY_SECRET, secret_hash)
    return None if row is None else key_from_row(row)


async def find_key(questions: Questions, name: str) -> ApiKey:
    """The key of a name, revoked ones too. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_BY_NAME, name)
    if row is None:
        raise unknown_key(name)
    return key_from_row(row)


async def list_keys(questions: Questions, below: int, revoked: bool, cursor: Cursor) -> Page[ApiKey]:
    """Keys of a party and of all below it, the oldest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(int), below, revoked, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["key_id"],), key_from_row)


async def add_key(
    tx: Transaction, new: NewKey, secret_hash: bytes, shown: str, *, owner_id: int, default_party_id: int | None
) -> None:
    """Keep a key. Errors: AlreadyExists (name), Unavailable."""
    try:
        await tx.execute(
            _ADD, new.name, secret_hash, shown, new.kind, int(new.level), new.auth_by, owner_id, default_party_id,
            _networks(new.sources), list(new.methods), list(new.scopes), new.secure_only,
            new.rate_limit, new.default_value,
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == _SECRETS:
            raise _taken_secret() from None
        raise AlreadyExists(f"key {new.name!r} exists, or did", field="name") from None


async def change_key(tx: Transaction, key_id: int, values: Mapping[str, object]) -> None:
    """Set fields of KeyChanges, the default user by its number, the secret by its hash and first characters.

    Errors: AlreadyExists (secret), Unavailable.
    """
    columns = {_COLUMN_OF.get(name, name): _plain(name, value) for name, value in values.items()}
    changes = assignments(CHANGEABLE, columns, first=2)
    try:
        await tx.execute(
            f"UPDATE api_keys SET {changes} WHERE key_id = $1",  # noqa: S608  # names of columns
            key_id, *columns.values(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise _taken_secret() from None


async def revoke_key(tx: Transaction, key_id: int) -> None:
    """For good. Errors: Unavailable."""
    await tx.execute("UPDATE api_keys SET revoked_at = now() WHERE key_id = $1 AND revoked_at IS NULL", key_id)


async def note_maintenance(tx: Transaction, name: str) -> None:
    """Maintenance was asked for with a key. Errors: Unavailable."""
    await tx.execute("UPDATE api_keys SET maintained_at = now() WHERE name = $1", name)


def key_from_row(row: asyncpg.Record) -> ApiKey:
    """The key of a row of _KEYS."""
    words = {"kind": KeyKind, "level": Level, "auth_by": AuthBy, "sources": tuple, "methods": tuple, "scopes": tuple}
    return ApiKey(**{name: words[name](value) if name in words else value for name, value in row.items()})


def _taken_secret() -> AlreadyExists:
    return AlreadyExists("another key has this secret, or had", field="secret")


def _plain(name: str, value: Any) -> object:
    if name == "sources":
        return _networks(value)
    return list(value) if isinstance(value, tuple) else int(value) if isinstance(value, Level) else value


def _networks(sources: Sequence[str]) -> list[Network]:
    return [parse_network(source, "sources") for source in sources]
