"""Tickets: questions of users, and what their desk answers. A desk is the party above who asks, and who manages for it.

Laws: a ticket has two sides, and each has a mark of its own for what it has not read; a new message takes the mark off
its own side, puts it on the other one, and opens what was closed; who is on no side and not above sees nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rating_engine.domain.checks import check_line, check_long_text
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal

MAX_MESSAGE: Final = 10_000  # characters
MAX_COMMENT: Final = 1_000
MAX_OPEN: Final = 100  # open tickets of one user: more is a program that asks in a circle, and nobody would read them
MAX_MESSAGES: Final = 1_000  # of one ticket: it is answered whole
DESK_WORD: Final = "support"  # what a desk is called to those who ask it


class Side(StrEnum):
    """Where a reader stands. ABOVE: it owns the desk, reads and answers for it, and leaves its marks alone."""

    PARTY = "party"
    DESK = "desk"
    ABOVE = "above"


@dataclass(frozen=True, slots=True)
class NewTicket:
    """A question. `to`: the desk, where None; else a user that is asked something. `comment`: for administrators.

    Raises InvalidRequest naming the field.
    """

    message: str
    to: str | None = None
    subject: str = ""
    comment: str = ""

    def __post_init__(self) -> None:
        check_line(self.subject, "subject", empty=True)
        check_message(self.message, self.comment)


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket. `party`: who is one side of it, `desk` the other, by login; `assigned`: who of the desk cares for it,
    nobody: all of them. The last four are of its newest message.
    """

    ticket_id: int
    party_id: int
    party: str
    desk_id: int
    desk: str
    subject: str
    closed: bool
    unread_by_party: bool
    unread_by_desk: bool
    assigned: tuple[str, ...]
    message_id: int
    sender: str
    from_desk: bool
    at: datetime

    def unread_by(self, side: Side) -> bool:
        """Whether a side has not read it."""
        return self.unread_by_party if side is Side.PARTY else self.unread_by_desk

    def side_of(self, who: Principal) -> Side | None:
        """Where somebody stands; None: on neither side."""
        if self.party_id in (who.party_id, who.realm):
            return Side.PARTY
        return Side.DESK if self.desk_id == who.realm and who.level >= Level.RESELLER else None


@dataclass(frozen=True, slots=True)
class TicketMessage:
    """One message of a ticket. `reply`: the one before it; None: it is the first."""

    message_id: int
    ticket_id: int
    sender: str
    from_desk: bool
    message: str
    comment: str
    at: datetime
    reply: int | None


def check_message(message: str, comment: str) -> None:
    """What can be written. Raises InvalidRequest."""
    check_long_text(message, "message", MAX_MESSAGE)
    check_long_text(comment, "comment", MAX_COMMENT, empty=True)
