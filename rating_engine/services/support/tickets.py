"""Tickets: asked, answered, read, closed, given to somebody of the desk, and taken away.

Laws: a user asks the desk of its owner and no other; who sits at a desk writes to users below it; a comment is read and
written by administrators alone; whom a message is for is told by mail, if it wants that, and once until it has read.
"""

from __future__ import annotations

from collections.abc import Sequence

from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotYours, Refused
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import Level, Party
from rating_engine.domain.principal import Principal
from rating_engine.domain.ticket import (
    DESK_WORD,
    MAX_MESSAGES,
    MAX_OPEN,
    NewTicket,
    Side,
    Ticket,
    TicketMessage,
    check_message,
)
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties.parties import find_party, is_below
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.support import tickets as store
from rating_engine.storage.support.outbox import queue_for_ticket


class Tickets:
    """What one principal does with tickets."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def open(self, new: NewTicket) -> int:
        """Its number. Errors: InvalidRequest (to), NotFound (to), NotYours (to), NotAllowed (comment), Refused."""
        self._check_comment(new.comment)
        party, desk_id, from_desk = await self._sides(new.to)
        async with self._database.transaction(self._principal) as tx:
            if not from_desk and await store.count_open(tx, party.party_id) >= MAX_OPEN:
                raise Refused(f"{MAX_OPEN} tickets of {party.login!r} are open: close some first", field="ticket")
            ticket_id = await store.add_ticket(tx, new, party_id=party.party_id, desk_id=desk_id, from_desk=from_desk)
            await self._tell(tx, await store.find_ticket(tx, ticket_id), new.message, from_desk=from_desk)
            await record(tx, "ticket.open", str(ticket_id), {"party": party.login, "from_desk": from_desk})
        return ticket_id

    async def answer(self, ticket_id: int, message: str, comment: str = "") -> int:
        """One more message; the number of the ticket.

        Errors: InvalidRequest, NotFound, NotYours, NotAllowed (comment), Refused (it is full), Unavailable.
        """
        check_message(message, comment)
        self._check_comment(comment)
        async with self._database.transaction(self._principal) as tx:
            ticket, side = await self._hold(tx, ticket_id)
            if await store.count_messages(tx, ticket_id) >= MAX_MESSAGES:
                raise Refused(f"ticket {ticket_id} has {MAX_MESSAGES} messages: open another one", field="ticket")
            from_desk = side is not Side.PARTY
            if ticket.closed or not ticket.unread_by(
                Side.PARTY if from_desk else Side.DESK
            ):  # else it was told already
                await self._tell(tx, ticket, message, from_desk=from_desk)
            await store.add_message(tx, ticket_id, message, comment, from_desk=from_desk)
            await record(tx, "ticket.answer", str(ticket_id), {"party": ticket.party, "side": side})
        return ticket_id

    async def page(self, cursor: Cursor, *, everything: bool = False) -> Page[Ticket]:
        """One's own and of one's desk, the latest first; `everything`: of all below too. Errors: Unavailable."""
        return await store.list_tickets(self._database, self._principal, everything, cursor)

    async def unread(self) -> int:
        """How many open ones the asker's side has not read. Errors: Unavailable."""
        return await store.count_unread(self._database, self._principal)

    async def show(self, ticket_id: int) -> Ticket:
        """One of them. Errors: NotFound, NotYours, Unavailable."""
        ticket = await store.find_ticket(self._database, ticket_id)
        await self._side(self._database, ticket)
        return ticket

    async def read(self, ticket_id: int) -> list[TicketMessage]:
        """Its messages; its side, or whom it is assigned to, has read them now. Errors: NotFound, NotYours."""
        async with self._database.transaction(self._principal) as tx:
            ticket, side = await self._hold(tx, ticket_id)
            is_others = side is Side.DESK and ticket.assigned and self._principal.party not in ticket.assigned
            if side is not Side.ABOVE and not is_others and ticket.unread_by(side):
                await store.set_unread(tx, ticket_id, by_desk=side is Side.DESK, unread=False)
            return await store.messages_of(tx, ticket_id)

    async def mark_unread(self, ticket_id: int) -> None:
        """As if the asker's side had not read it. Errors: NotFound, NotYours, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            _, side = await self._hold(tx, ticket_id)
            await store.set_unread(tx, ticket_id, by_desk=side is not Side.PARTY, unread=True)

    async def set_closed(self, ticket_id: int, closed: bool) -> None:
        """Errors: NotFound, NotYours, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await self._hold(tx, ticket_id)
            await store.set_closed(tx, ticket_id, closed)
            await record(tx, "ticket.close" if closed else "ticket.reopen", str(ticket_id))

    async def assign(self, ticket_id: int, logins: Sequence[str]) -> None:
        """Who of the desk cares for it; nobody: all of them.

        Errors: InvalidRequest (who is not of the desk), NotAllowed (who asks is not either), NotFound, NotYours.
        """
        async with self._database.transaction(self._principal) as tx:
            ticket, side = await self._hold(tx, ticket_id)
            if side is Side.PARTY:
                raise NotAllowed("who cares for a ticket is for its desk to say")
            people = [await find_party(tx, login) for login in logins]
            for party in people:
                if party.realm != ticket.desk_id or party.hidden:
                    raise InvalidRequest("assign_to", f"{party.login!r} is not of the desk {ticket.desk!r}")
            await store.set_assigned(tx, ticket_id, [party.party_id for party in people])
            await record(tx, "ticket.assign", str(ticket_id), {"to": [party.login for party in people]})

    async def remove(self, ticket_id: int) -> None:
        """It and its messages are gone. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await self._hold(tx, ticket_id)
            await store.remove_ticket(tx, ticket_id)
            await record(tx, "ticket.remove", str(ticket_id))

    async def remove_of(self, user: str) -> int:
        """All tickets of a user; how many. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            party = await find_party(tx, user)
            tickets = await store.tickets_of(tx, party.party_id)
            for ticket_id in tickets:
                await store.remove_ticket(tx, ticket_id)
            await record(tx, "ticket.remove_of", party.login, {"tickets": len(tickets)})
        return len(tickets)

    async def remove_message(self, message_id: int) -> None:
        """One message; with its last one a ticket is gone. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            ticket_id = await store.remove_message(tx, message_id)
            await record(tx, "ticket.remove_message", str(ticket_id), {"message": message_id})

    async def _sides(self, to: str | None) -> tuple[Party, int, bool]:
        """Whose ticket it will be, which desk's, and whether the desk writes."""
        who = self._principal
        own = await find_party(self._database, who.realm if who.party_id is None else who.party_id)
        own = await find_party(self._database, own.realm)  # who manages asks for whom it manages
        named = None if to is None or to.lower() == DESK_WORD else await self._named(to)
        if named is None or named.realm == own.owner_id:
            if own.owner_id is None:
                raise InvalidRequest("destination", "names nobody, and there is no desk above the system's own")
            return own, own.owner_id, False
        if who.level < Level.RESELLER or not await is_below(self._database, named.party_id, who.realm):
            raise NotYours(f"user {named.login!r} is not yours", field="destination")
        if named.realm == own.party_id:
            raise InvalidRequest("destination", f"{named.login!r} is of your own desk")
        return named, own.party_id, True

    async def _named(self, login: str) -> Party:
        party = await find_party(self._database, login)
        if party.hidden:
            raise InvalidRequest("destination", f"{party.login!r} was deleted")
        return party

    async def _hold(self, tx: Transaction, ticket_id: int) -> tuple[Ticket, Side]:
        ticket = await store.hold_ticket(tx, ticket_id)
        return ticket, await self._side(tx, ticket)

    async def _side(self, questions: Questions, ticket: Ticket) -> Side:
        """Asked by the connection that is held, if one is: who holds one and waits for another waits for itself."""
        side = ticket.side_of(self._principal)
        if side is not None:
            return side
        at_desk = self._principal.level >= Level.RESELLER
        if not at_desk or not await is_below(questions, ticket.desk_id, self._principal.realm):
            raise NotYours(f"ticket {ticket.ticket_id} is not yours", field="ticket")
        return Side.ABOVE

    async def _tell(self, tx: Transaction, ticket: Ticket, message: str, *, from_desk: bool) -> None:
        sender = DESK_WORD if from_desk else self._principal.party
        await queue_for_ticket(tx, ticket, from_desk=from_desk, body=f"{sender} wrote:\n\n{message}\n")

    def _check_comment(self, comment: str) -> None:
        if comment and self._principal.level < Level.ADMIN:
            raise NotAllowed("comment: is for administrators")
