"""Versions of the files of exchanges."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.exchange_file import MAX_KEPT, FileKind, FileVersion, sha256_of, version_of
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_SELECT: Final = """
    SELECT f.file_id, x.name AS exchange, f.kind, f.version, f.sha256, f.url, f.body AS text, f.before_id AS before,
           f.is_current, f.created_at
    FROM exchange_files f JOIN exchanges x USING (exchange_id)"""
_CURRENT: Final = f"{_SELECT} WHERE f.exchange_id = $1 AND f.kind = $2 AND f.is_current"
_NUMBERED: Final = f"{_SELECT} WHERE f.file_id = $1"
_LIST: Final = f"{_SELECT} WHERE f.exchange_id = $1 ORDER BY f.kind, f.file_id DESC"
_ADD: Final = """
    INSERT INTO exchange_files (exchange_id, kind, version, sha256, url, body, before_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING file_id"""
_CLEAR: Final = "UPDATE exchange_files SET is_current = false WHERE exchange_id = $1 AND kind = $2 AND is_current"
_MARK: Final = "UPDATE exchange_files SET is_current = true WHERE file_id = $1"
_FORGET: Final = """
    DELETE FROM exchange_files WHERE exchange_id = $1 AND kind = $2 AND NOT is_current AND file_id NOT IN (
        SELECT file_id FROM exchange_files WHERE exchange_id = $1 AND kind = $2 ORDER BY file_id DESC LIMIT $3)"""


async def current_file(questions: Questions, exchange_id: int, kind: FileKind) -> FileVersion | None:
    """What was put into place last. Errors: Unavailable."""
    return _version(await questions.fetchrow(_CURRENT, exchange_id, kind))


async def file_numbered(questions: Questions, file_id: int) -> FileVersion | None:
    """One that is still kept. Errors: Unavailable."""
    return _version(await questions.fetchrow(_NUMBERED, file_id))


async def list_files(questions: Questions, exchange_id: int) -> list[FileVersion]:
    """All that are kept of an exchange, of each kind the newest first. Errors: Unavailable."""
    found = [_version(row) for row in await questions.fetch(_LIST, exchange_id)]
    return [each for each in found if each is not None]


async def add_file(tx: Transaction, exchange_id: int, kind: FileKind, text: str, url: str, before: int | None) -> int:
    """Keep a version; the oldest ones are forgotten. Its number. Errors: Unavailable."""
    made: int = await tx.fetchval(_ADD, exchange_id, kind, version_of(text), sha256_of(text), url, text, before)
    await tx.execute(_FORGET, exchange_id, kind, MAX_KEPT)
    return made


async def mark_current(tx: Transaction, exchange_id: int, kind: FileKind, file_id: int) -> None:
    """Say which version is in place. Errors: Unavailable."""
    await tx.execute(_CLEAR, exchange_id, kind)
    await tx.execute(_MARK, file_id)


def _version(row: asyncpg.Record | None) -> FileVersion | None:
    return None if row is None else FileVersion(**{**row, "kind": FileKind(row["kind"])})
