"""Section Event log, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method(
        "getLogs",
        1,
        (
            number("limit", default="100"),
            flag("only_completed", default="false"),
            flag("resolve_info", default="false"),
            text("user"),
        ),
    ),
    Method("deleteLogs", 1, (text("user"),)),
)
