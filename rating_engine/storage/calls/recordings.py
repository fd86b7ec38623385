"""Recordings by whose they are. Their files are the exchange's; what is here says which there may be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from rating_engine.domain.recording import NewRecording, RecordingKind
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction

_ADD: Final = """
    INSERT INTO recordings (name, kind, party_id, caller, called, mail_to) VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (name) DO NOTHING"""
_COLUMNS: Final = "name, kind, party_id, caller, called, begun_at, mail_to"
_OF: Final = f"""
    SELECT {_COLUMNS} FROM recordings WHERE party_id = $1 AND begun_at >= $2 AND begun_at < $3
    ORDER BY begun_at, name LIMIT $4"""  # noqa: S608  constants, as below
_FIND: Final = f"SELECT {_COLUMNS} FROM recordings WHERE name = $1"  # noqa: S608
_TO_MAIL: Final = f"""
    SELECT {_COLUMNS} FROM recordings WHERE mail_to <> '' AND mailed_at IS NULL AND begun_at > $1
    ORDER BY begun_at LIMIT $2"""  # noqa: S608
_MAILED: Final = "UPDATE recordings SET mailed_at = now() WHERE name = $1 AND mailed_at IS NULL RETURNING name"
_MAIL: Final = "INSERT INTO mails (party_id, recipient, subject, body) VALUES ($1, $2, $3, $4)"
_SECRET: Final = "SELECT secret FROM engine_secrets WHERE name = 'signed_links'"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of one, whether its file is there or not."""

    name: str
    kind: RecordingKind
    party_id: int
    caller: str
    called: str
    begun_at: datetime
    mail_to: str


async def add_recording(database: Database, new: NewRecording) -> None:
    """One that is to be kept; the same again changes nothing. Errors: Unavailable."""
    await database.fetch(_ADD, new.name, new.kind, new.party_id, new.caller, new.called, new.mail_to)


async def recordings_of(
    questions: Questions, party_id: int, since: datetime, until: datetime, limit: int
) -> list[Kept]:
    """Those of a party that began in [since, until), the first first. Errors: Unavailable."""
    return [_kept(row) for row in await questions.fetch(_OF, party_id, since, until, limit)]


async def find_recording(questions: Questions, name: str) -> Kept | None:
    """None: there is none of that name. Errors: Unavailable."""
    row = await questions.fetchrow(_FIND, name)
    return None if row is None else _kept(row)


async def to_mail(questions: Questions, since: datetime, limit: int) -> list[Kept]:
    """Those that are to be mailed and have begun since then. Errors: Unavailable."""
    return [_kept(row) for row in await questions.fetch(_TO_MAIL, since, limit)]


async def queue_mail(tx: Transaction, kept: Kept, subject: str, body: str) -> None:
    """Tell of one, once. Errors: Unavailable."""
    if await tx.fetchval(_MAILED, kept.name) is not None:
        await tx.execute(_MAIL, kept.party_id, kept.mail_to, subject, body)


async def link_secret(questions: Questions) -> bytes | None:
    """What links are signed with; None: the database has none. Errors: Unavailable."""
    secret: bytes | None = await questions.fetchval(_SECRET)
    return secret


def _kept(row: asyncpg.Record) -> Kept:
    return Kept(**{**row, "kind": RecordingKind(row["kind"])})
