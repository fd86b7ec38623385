"""Section Ticket system: questions to one's desk, and its answers. Who belongs to a desk is called `support` here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rating_engine.api.narayana.answer import date
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.page import MAX_LIMIT
from rating_engine.domain.party import Level
from rating_engine.domain.ticket import DESK_WORD, NewTicket, Side, Ticket, TicketMessage


async def get_unread_tickets(asked: Asked) -> Answer:
    """How many the asker's side has not read."""
    return str(await asked.use.tickets.unread())


async def create_ticket(asked: Asked) -> Answer:
    """A new one, or one more message of `ticket`; its number."""
    values = asked.values
    message, comment = values.needed_text("message"), values.text("comment") or ""
    ticket = values.whole("ticket")
    if ticket is not None:
        return str(await asked.use.tickets.answer(ticket, message, comment))
    new = NewTicket(message, to=values.text("destination") or None, subject=values.text("subject") or "",
                    comment=comment)  # fmt: skip
    return str(await asked.use.tickets.open(new))


async def get_tickets(asked: Asked) -> Answer:
    """The last ones of the asker and of its desk; `all`: of all desks below too."""
    limit = asked.values.needed_whole("limit")
    if not 1 <= limit <= MAX_LIMIT:
        raise Failure(Code.E_DATA_ABORT, f"limit: is from 1 to {MAX_LIMIT}")
    everything = asked.values.flag("all") is True
    found = await whole_list(lambda cursor: asked.use.tickets.page(cursor, everything=everything), limit)
    offset = (await asked.user()).utc_offset
    return [_listed(ticket, _side(asked, ticket), offset) for ticket in found]


async def get_ticket(asked: Asked) -> Answer:
    """Its messages, which are read by that."""
    number = asked.values.needed_whole("ticket")
    ticket = await asked.use.tickets.show(number)
    messages = await asked.use.tickets.read(number)
    offset = (await asked.user()).utc_offset
    is_admin = asked.asking.level >= Level.ADMIN
    return [_shown(message, ticket, _side(asked, ticket), offset, is_admin=is_admin) for message in messages]


async def update_ticket(asked: Asked) -> Answer:
    """Closed, opened, as if unread, or given to people of the desk."""
    values, tickets = asked.values, asked.use.tickets
    number, action = values.needed_whole("ticket"), values.needed_text("action")
    if action == "markunread":
        await tickets.mark_unread(number)
    elif action == "assign":
        names = values.text("assign_to")
        if names is None:
            raise Failure(Code.E_MISSING_ARGUMENT, "assign_to: is obligatory to assign a ticket; empty: to nobody")
        await tickets.assign(number, [name.strip() for name in names.split(",") if name.strip()])
    else:
        await tickets.set_closed(number, action == "close")
    return True


async def delete_ticket(asked: Asked) -> Answer:
    """One of them, or all of a user."""
    ticket, user = asked.values.whole("ticket"), asked.values.text("username")
    if (ticket is None) == (not user):
        raise Failure(Code.E_MISSING_ARGUMENT, "ticket: or username is obligatory, one of both")
    if ticket is not None:
        await asked.use.tickets.remove(ticket)
    elif user:
        await asked.use.tickets.remove_of(user)
    return True


async def delete_message(asked: Asked) -> Answer:
    """One message; with its last one a ticket is gone."""
    await asked.use.tickets.remove_message(asked.values.needed_whole("id"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getUnreadTickets": get_unread_tickets,
    "createTicket": create_ticket,
    "getTickets": get_tickets,
    "getTicket": get_ticket,
    "updateTicket": update_ticket,
    "deleteTicket": delete_ticket,
    "deleteMessage": delete_message,
}


def _side(asked: Asked, ticket: Ticket) -> Side:
    return ticket.side_of(asked.asking) or Side.ABOVE


def _status(ticket: Ticket, side: Side) -> str:
    return "-1" if ticket.closed else str(int(ticket.unread_by(side)))


def _ends(ticket: Ticket, sender: str, *, from_desk: bool) -> tuple[str, str]:
    """Who wrote to whom; a desk goes by one word, whoever of it wrote."""
    return (DESK_WORD, ticket.party) if from_desk else (sender, DESK_WORD)


def _listed(ticket: Ticket, side: Side, offset: int) -> dict[str, Any]:
    sender, recipient = _ends(ticket, ticket.sender, from_desk=ticket.from_desk)
    return {
        "status": _status(ticket, side),
        "unread": "true" if ticket.unread_by(side) else "false",
        "subject": ticket.subject,
        "sender": sender,
        "reply": "",
        "recipient": recipient,
        "ticket": str(ticket.ticket_id),
        "msgid": str(ticket.message_id),
        "date": date(ticket.at),
        "clientdate": date(ticket.at, offset),
    }


def _shown(message: TicketMessage, ticket: Ticket, side: Side, offset: int, *, is_admin: bool) -> dict[str, Any]:
    sender, recipient = _ends(ticket, message.sender, from_desk=message.from_desk)
    shown = {
        "type": "out" if message.from_desk == (side is not Side.PARTY) else "in",
        "ticket": str(message.ticket_id),
        "reply": "" if message.reply is None else str(message.reply),
        "message": message.message,
        "status": _status(ticket, side),
        "subject": ticket.subject,
        "sender": sender,
        "username": message.sender,
        "date": date(message.at),
        "clientdate": date(message.at, offset),
        "recipient": recipient,
        "msgid": str(message.message_id),
    }
    return {**shown, "comment": message.comment} if is_admin else shown
