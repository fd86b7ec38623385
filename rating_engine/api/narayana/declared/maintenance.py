"""Section Technical maintenance, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, text

ENTRIES: Final = (
    Method(
        "asteriskRequest",
        22,
        (
            text("asterisk", required=True),
            text("destination", required=True),
            text("process", required=True),
            text("params"),
        ),
    ),
    Method(
        "updateDialplan",
        33,
        (
            text("asterisk", required=True),
            text("url", required=True),
        ),
    ),
    Method("restoreDialplan", 33, (text("asterisk"),)),
    Method(
        "updateInterface",
        33,
        (
            text("asterisk", required=True),
            text("url", required=True),
        ),
    ),
    Method("doMaintenance", 90),
)
