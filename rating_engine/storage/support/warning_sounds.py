"""Sounds of warnings, as they are kept."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.warning_sound import WarningSound
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_LIST: Final = """
    SELECT file, sound_id FROM warning_sounds WHERE $1::bigint IS NULL OR sound_id > $1 ORDER BY sound_id LIMIT $2"""
_ADD: Final = "INSERT INTO warning_sounds (file) VALUES ($1) RETURNING sound_id"
_REMOVE: Final = "DELETE FROM warning_sounds WHERE sound_id = $1 RETURNING file"


async def list_sounds(questions: Questions, cursor: Cursor) -> Page[WarningSound]:
    """The oldest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["sound_id"],), lambda row: WarningSound(**row))


async def add_sound(tx: Transaction, new: WarningSound) -> int:
    """Its number. Errors: AlreadyExists, Unavailable."""
    try:
        return int(await tx.fetchval(_ADD, new.file))
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"sound {new.file!r} exists already", field="file") from None


async def remove_sound(tx: Transaction, sound_id: int) -> str:
    """Its file. Errors: NotFound, Refused (a user has it), Unavailable."""
    try:
        file = await tx.fetchval(_REMOVE, sound_id)
    except asyncpg.ForeignKeyViolationError:
        raise Refused(f"callers of a user hear sound {sound_id}; give it another one first") from None
    if file is None:
        raise NotFound(f"there is no sound {sound_id}", field="sound")
    return str(file)
