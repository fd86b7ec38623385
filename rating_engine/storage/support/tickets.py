"""Tickets and their messages as they are kept, with a mark for each side that has not read one."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.errors import NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.ticket import MAX_MESSAGES, NewTicket, Ticket, TicketMessage
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_COLUMNS: Final = """
    t.ticket_id, t.party_id, p.login AS party, t.desk_id, d.login AS desk, t.subject, t.closed, t.unread_by_party,
    t.unread_by_desk,
    ARRAY(SELECT a.login FROM parties a WHERE a.party_id = ANY (t.assigned) ORDER BY a.login) AS assigned,
    m.message_id, m.sender, m.from_desk, m.created_at AS at
    FROM tickets t JOIN parties p ON p.party_id = t.party_id JOIN parties d ON d.party_id = t.desk_id
    JOIN LATERAL (SELECT * FROM ticket_messages l WHERE l.ticket_id = t.ticket_id ORDER BY l.message_id DESC LIMIT 1) m
      ON true"""
# $1 the reader, $2 its realm, $3 whether it may sit at a desk: a side of which the reader is
_OWN: Final = """
    (t.party_id IN ($1, $2) OR t.desk_id = $2 AND $3 AND (t.assigned = '{}' OR $1 = ANY (t.assigned)))"""
_FIND: Final = f"SELECT {_COLUMNS} WHERE t.ticket_id = $1"
_LIST: Final = f"""
    SELECT {_COLUMNS}
    WHERE ({_OWN} OR $4 AND $3 AND t.desk_id = ANY (parties_below($2)))
      AND ($5::bigint IS NULL OR t.ticket_id < $5)
    ORDER BY t.ticket_id DESC LIMIT $6
"""
_UNREAD: Final = """
    SELECT count(*) FROM tickets t
    WHERE NOT t.closed AND (t.unread_by_party AND t.party_id IN ($1, $2)
       OR t.unread_by_desk AND t.desk_id = $2 AND $3 AND (t.assigned = '{}' OR $1 = ANY (t.assigned)))
"""
_ADD: Final = "INSERT INTO tickets (party_id, desk_id, subject) VALUES ($1, $2, $3) RETURNING ticket_id"
_ADD_MESSAGE: Final = """
    INSERT INTO ticket_messages (ticket_id, sender, from_desk, message, comment) VALUES ($1, $2, $3, $4, $5)
    RETURNING message_id
"""
_MARK_WRITTEN: Final = """
    UPDATE tickets SET closed = false, unread_by_party = $2, unread_by_desk = NOT $2 WHERE ticket_id = $1
"""
_MESSAGES: Final = """
    SELECT message_id, ticket_id, sender, from_desk, message, comment, created_at AS at,
           lag(message_id) OVER (ORDER BY message_id) AS reply
    FROM ticket_messages WHERE ticket_id = $1 ORDER BY message_id LIMIT $2
"""
_DROP_EMPTY: Final = """
    DELETE FROM tickets t WHERE t.ticket_id = $1
      AND NOT EXISTS (SELECT 1 FROM ticket_messages m WHERE m.ticket_id = t.ticket_id)
"""


async def find_ticket(questions: Questions, ticket_id: int) -> Ticket:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, ticket_id)
    if row is None:
        raise NotFound(f"there is no ticket {ticket_id}", field="ticket")
    return _from_row(row)


async def hold_ticket(tx: Transaction, ticket_id: int) -> Ticket:
    """The same, as it is until the transaction ends. Errors: NotFound, Unavailable."""
    await tx.fetchval("SELECT 1 FROM tickets WHERE ticket_id = $1 FOR NO KEY UPDATE", ticket_id)
    return await find_ticket(tx, ticket_id)


async def list_tickets(questions: Questions, reader: Principal, everything: bool, cursor: Cursor) -> Page[Ticket]:
    """Tickets of which the reader is a side, the latest first; `everything`: of all desks below too.

    Errors: InvalidRequest (after), Unavailable.
    """
    (before,) = cursor.position(int)
    rows = await questions.fetch(_LIST, *_reader(reader), everything, before, cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["ticket_id"],), _from_row)


async def count_unread(questions: Questions, reader: Principal) -> int:
    """How many open tickets the reader's side has not read. Errors: Unavailable."""
    return int(await questions.fetchval(_UNREAD, *_reader(reader)))


async def count_open(tx: Transaction, party_id: int) -> int:
    """How many tickets of a user are open. Errors: Unavailable."""
    return int(await tx.fetchval("SELECT count(*) FROM tickets WHERE party_id = $1 AND NOT closed", party_id))


async def add_ticket(tx: Transaction, new: NewTicket, *, party_id: int, desk_id: int, from_desk: bool) -> int:
    """Its number; with its first message. Errors: Unavailable."""
    ticket_id: int = await tx.fetchval(_ADD, party_id, desk_id, new.subject)
    await add_message(tx, ticket_id, new.message, new.comment, from_desk=from_desk)
    return ticket_id


async def add_message(tx: Transaction, ticket_id: int, message: str, comment: str, *, from_desk: bool) -> int:
    """Its number; the other side has not read it. Errors: Unavailable."""
    message_id: int = await tx.fetchval(_ADD_MESSAGE, ticket_id, tx.principal.party, from_desk, message, comment)
    await tx.execute(_MARK_WRITTEN, ticket_id, from_desk)
    return message_id


async def messages_of(questions: Questions, ticket_id: int) -> list[TicketMessage]:
    """All of a ticket, the first one first. Errors: Unavailable."""
    return [TicketMessage(**row) for row in await questions.fetch(_MESSAGES, ticket_id, MAX_MESSAGES)]


async def count_messages(tx: Transaction, ticket_id: int) -> int:
    """How many there are. Errors: Unavailable."""
    return int(await tx.fetchval("SELECT count(*) FROM ticket_messages WHERE ticket_id = $1", ticket_id))


async def set_unread(tx: Transaction, ticket_id: int, *, by_desk: bool, unread: bool) -> None:
    """The mark of one side. Errors: Unavailable."""
    column = "unread_by_desk" if by_desk else "unread_by_party"
    await tx.execute(f"UPDATE tickets SET {column} = $2 WHERE ticket_id = $1", ticket_id, unread)  # noqa: S608


async def set_closed(tx: Transaction, ticket_id: int, closed: bool) -> None:
    """Errors: Unavailable."""
    await tx.execute("UPDATE tickets SET closed = $2 WHERE ticket_id = $1", ticket_id, closed)


async def set_assigned(tx: Transaction, ticket_id: int, party_ids: list[int]) -> None:
    """Who of the desk cares for it. Errors: Unavailable."""
    await tx.execute("UPDATE tickets SET assigned = $2 WHERE ticket_id = $1", ticket_id, party_ids)


async def remove_ticket(tx: Transaction, ticket_id: int) -> bool:
    """With its messages; whether there was one. Errors: Unavailable."""
    await tx.execute("DELETE FROM ticket_messages WHERE ticket_id = $1", ticket_id)
    return await tx.fetchval("DELETE FROM tickets WHERE ticket_id = $1 RETURNING 1", ticket_id) is not None


async def tickets_of(tx: Transaction, party_id: int) -> list[int]:
    """The numbers of a user's tickets. Errors: Unavailable."""
    return [row["ticket_id"] for row in await tx.fetch("SELECT ticket_id FROM tickets WHERE party_id = $1", party_id)]


async def remove_message(tx: Transaction, message_id: int) -> int:
    """One message, and with the last one its ticket, whose number this answers. Errors: NotFound, Unavailable."""
    ticket_id: int | None = await tx.fetchval(
        "DELETE FROM ticket_messages WHERE message_id = $1 RETURNING ticket_id", message_id
    )
    if ticket_id is None:
        raise NotFound(f"there is no message {message_id}", field="id")
    await tx.execute(_DROP_EMPTY, ticket_id)
    return ticket_id


def _reader(reader: Principal) -> tuple[int | None, int, bool]:
    return reader.party_id, reader.realm, reader.level >= Level.RESELLER


def _from_row(row: asyncpg.Record) -> Ticket:
    return Ticket(**{**row, "assigned": tuple(row["assigned"])})
