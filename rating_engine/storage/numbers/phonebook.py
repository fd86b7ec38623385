"""Phonebooks, in the bucket of their users' lines: these dial by them."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.phonebook import MAX_ENTRIES, PhonebookEntry
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_ENTRIES: Final = "SELECT entry_id, party_id, name, number, speeddial FROM phonebook_entries"
_OF: Final = f"{_ENTRIES} WHERE party_id = $1 ORDER BY lower(name), entry_id LIMIT $2"  # a constant
_BY_ID: Final = f"{_ENTRIES} WHERE entry_id = $1"
_BUCKET: Final = """
    SELECT COALESCE((SELECT min(bucket) FROM subscribers WHERE party_id = $1),
                    (SELECT min(bucket) FROM accounts WHERE party_id = $1), 0)"""
_ADD: Final = """
    INSERT INTO phonebook_entries (bucket, party_id, name, number, speeddial) VALUES ($1, $2, $3, $4, $5)
    RETURNING entry_id"""
_CHANGE: Final = "UPDATE phonebook_entries SET name = $2, number = $3, speeddial = $4 WHERE entry_id = $1"
_TOUCH: Final = "UPDATE subscribers SET version = version WHERE party_id = $1"


async def entries_of(questions: Questions, party_id: int) -> list[PhonebookEntry]:
    """Of one user, by name. Errors: Unavailable."""
    return [PhonebookEntry(**row) for row in await questions.fetch(_OF, party_id, MAX_ENTRIES)]


async def find_entry(questions: Questions, entry_id: int) -> PhonebookEntry:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_BY_ID, entry_id)
    if row is None:
        raise NotFound(f"there is no phonebook entry {entry_id}", field="entry")
    return PhonebookEntry(**row)


async def add_entry(tx: Transaction, party_id: int, entry: PhonebookEntry) -> int:
    """Its number. Errors: AlreadyExists (the short number), InvalidRequest (MAX_ENTRIES), Unavailable."""
    if await tx.fetchval("SELECT count(*) FROM phonebook_entries WHERE party_id = $1", party_id) >= MAX_ENTRIES:
        raise InvalidRequest("user_id", f"has {MAX_ENTRIES} entries, which is the limit")
    bucket = await tx.fetchval(_BUCKET, party_id)
    try:
        number: int = await tx.fetchval(_ADD, bucket, party_id, entry.name, entry.number, entry.speeddial)
    except asyncpg.UniqueViolationError:
        raise _taken(entry) from None
    await tx.execute(_TOUCH, party_id)
    return number


async def change_entry(tx: Transaction, entry: PhonebookEntry) -> None:
    """Put it in the place of what its number has. Errors: AlreadyExists (the short number), Unavailable."""
    try:
        await tx.execute(_CHANGE, entry.entry_id, entry.name, entry.number, entry.speeddial)
    except asyncpg.UniqueViolationError:
        raise _taken(entry) from None
    await tx.execute(_TOUCH, entry.party_id)


def _taken(entry: PhonebookEntry) -> AlreadyExists:
    return AlreadyExists(f"{entry.speeddial} is another entry's", field="speeddial")
