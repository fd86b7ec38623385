"""Mail that waits to be sent, and for a while what became of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from rating_engine.domain.mail import Mail
from rating_engine.domain.ticket import Ticket
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

# A side of a ticket, as far as it wants mail of it: the user, or whom it is assigned to, or all of the desk.
_QUEUE_FOR_TICKET: Final = """
    INSERT INTO mails (party_id, recipient, subject, body)
    SELECT p.party_id, p.notify_email, $3, $4
    FROM tickets t JOIN parties p ON CASE
        WHEN $2 THEN p.party_id = t.party_id
        WHEN t.assigned <> '{}' THEN p.party_id = ANY (t.assigned)
        ELSE p.party_id = t.desk_id OR p.owner_id = t.desk_id AND p.kind IN ('admin', 'accountant') END
    WHERE t.ticket_id = $1 AND p.notify_ticket AND p.notify_email <> '' AND NOT p.hidden
"""
_QUEUE_FOR_PARTY: Final = """
    INSERT INTO mails (party_id, recipient, subject, body)
    SELECT party_id, COALESCE(NULLIF($2, ''), notify_email), $3, $4 FROM parties
    WHERE party_id = $1 AND COALESCE(NULLIF($2, ''), notify_email) <> '' RETURNING mail_id
"""
_TAKE: Final = """
    UPDATE mails SET due_at = now() + $2::interval
    WHERE mail_id IN (SELECT mail_id FROM mails WHERE state = 'queued' AND due_at <= now()
                      ORDER BY due_at, mail_id LIMIT $1 FOR UPDATE SKIP LOCKED)
    RETURNING mail_id, token, recipient, subject, body, attempts, created_at, attachment, attachment_name
"""
_QUEUE_PAPER: Final = """
    INSERT INTO mails (party_id, recipient, subject, body, attachment_name, attachment)
    VALUES ($1, $2, $3, $4, $5, $6)"""
# What was attached is kept elsewhere.
_SENT: Final = "UPDATE mails SET state = 'sent', ended_at = now(), error = '', attachment = NULL WHERE mail_id = $1"
_PUT_OFF: Final = """
    UPDATE mails SET attempts = attempts + $2, due_at = now() + $3::interval, error = $4 WHERE mail_id = $1
"""
_FAILED: Final = (
    "UPDATE mails SET state = 'failed', attempts = attempts + 1, ended_at = now(), error = $2 WHERE mail_id = $1"
)
_GIVE_UP: Final = """
    UPDATE mails SET state = 'failed', ended_at = now(), error = 'was not sent in time: ' || error
    WHERE state = 'queued' AND created_at < now() - $1::interval RETURNING mail_id
"""
_FORGET: Final = "DELETE FROM mails WHERE state <> 'queued' AND ended_at < now() - $1::interval RETURNING mail_id"


async def queue(tx: Transaction, party_id: int | None, recipient: str, subject: str, body: str) -> None:
    """A mail to somebody. Errors: Unavailable."""
    await tx.execute(
        "INSERT INTO mails (party_id, recipient, subject, body) VALUES ($1, $2, $3, $4)",
        party_id, recipient, subject, body,
    )  # fmt: skip


async def queue_for_ticket(tx: Transaction, ticket: Ticket, *, from_desk: bool, body: str) -> None:
    """Tell the side that did not write. Errors: Unavailable."""
    subject = f"Ticket {ticket.ticket_id}: {ticket.subject}" if ticket.subject else f"Ticket {ticket.ticket_id}"
    await tx.execute(_QUEUE_FOR_TICKET, ticket.ticket_id, from_desk, subject, body)


async def queue_for_party(tx: Transaction, party_id: int, recipient: str, *, subject: str, body: str) -> bool:
    """Mail to an address, '' for that of the party; whether there is one. Errors: Unavailable."""
    return await tx.fetchval(_QUEUE_FOR_PARTY, party_id, recipient, subject, body) is not None


async def queue_paper(
    tx: Transaction, party_id: int, recipient: str, subject: str, body: str, name: str, paper: bytes
) -> None:
    """Send a PDF, under that name. Errors: Unavailable."""
    await tx.execute(_QUEUE_PAPER, party_id, recipient, subject, body, name, paper)


async def take_due(database: Database, limit: int, lease: timedelta) -> list[Mail]:
    """What is to be sent now, the oldest first; nobody else takes it for so long. Errors: Unavailable."""
    mails = [Mail(**row) for row in await database.fetch(_TAKE, limit, lease)]
    return sorted(mails, key=lambda mail: mail.mail_id)


async def note_sent(database: Database, mail_id: int) -> None:
    """It was handed over. Errors: Unavailable."""
    await database.fetch(_SENT, mail_id)


async def put_off(database: Database, mail_id: int, problem: str, after: timedelta, *, counts: bool) -> None:
    """It is tried again later; `counts`: as an attempt. Errors: Unavailable."""
    await database.fetch(_PUT_OFF, mail_id, int(counts), after, problem)


async def note_failed(database: Database, mail_id: int, problem: str) -> None:
    """It is not tried again. Errors: Unavailable."""
    await database.fetch(_FAILED, mail_id, problem)


async def give_up(tx: Transaction, after: timedelta) -> int:
    """What waits longer fails; how many. Errors: Unavailable."""
    return len(await tx.fetch(_GIVE_UP, after))


async def forget_ended(tx: Transaction, after: timedelta) -> int:
    """What was sent, or failed, longer ago is gone; how many. Errors: Unavailable."""
    return len(await tx.fetch(_FORGET, after))
