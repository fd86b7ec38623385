"""Section Data security, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method("getBans", 22),
    Method("flushBans", 22),
    Method(
        "banIP",
        33,
        (
            text("source", required=True),
            text("target", required=True),
            text("reason", default=""),
        ),
    ),
    Method("unbanIP", 33, (number("id", required=True),)),
    Method(
        "updateBanPermanent",
        33,
        (
            number("id", required=True),
            flag("state", required=True),
        ),
    ),
    Method("flushAllBans", 33),
    Method("closeChannels", 50),
)
