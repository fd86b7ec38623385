"""Section Ticket system, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, choice, flag, number, text

ENTRIES: Final = (
    Method("getUnreadTickets", 1),
    Method(
        "createTicket",
        1,
        (
            text("destination"),
            text("subject"),
            text("message", required=True),
            text("comment"),
            number("ticket"),
        ),
    ),
    Method(
        "getTickets",
        1,
        (
            number("limit", default="800"),
            flag("all", default="false"),
        ),
    ),
    Method("getTicket", 1, (number("ticket", required=True),)),
    Method(
        "updateTicket",
        1,
        (
            number("ticket", required=True),
            choice("action", ("close", "open", "markunread", "assign"), default="open"),
            text("assign_to"),
        ),
    ),
    Method(
        "deleteTicket",
        33,
        (
            number("ticket"),
            text("username"),
        ),
    ),
    Method("deleteMessage", 33, (number("id", required=True),)),
)
