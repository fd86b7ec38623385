"""Mails as people look at them, and how many wait and have failed."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.mail import ListedMail, MailState
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.storage.postgres.pool import Questions

# The newest first.
_LIST: Final = """
    SELECT m.mail_id, p.login AS "user", m.recipient, m.subject, m.state, m.attempts, m.error, m.created_at, m.due_at,
           m.ended_at
    FROM mails m LEFT JOIN parties p USING (party_id)
    WHERE ($1::bigint IS NULL OR m.mail_id < $1) AND ($2::text IS NULL OR m.state = $2)
    ORDER BY m.mail_id DESC LIMIT $3"""
_COUNTS: Final = """
    SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'failed') FROM mails
    WHERE state <> 'sent'"""


async def list_mails(questions: Questions, state: MailState | None, cursor: Cursor) -> Page[ListedMail]:
    """What is queued, was sent or failed. Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_LIST, *cursor.position(int), state, cursor.rows)
    return page_of_rows(
        rows, cursor, lambda row: (row["mail_id"],), lambda row: ListedMail(**{**row, "state": MailState(row["state"])})
    )


async def count_mails(questions: Questions) -> tuple[int, int]:
    """How many wait, and how many of the last month failed. Errors: Unavailable."""
    row = await questions.fetchrow(_COUNTS)
    return (0, 0) if row is None else (row[0], row[1])
