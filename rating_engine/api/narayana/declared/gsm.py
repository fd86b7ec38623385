"""Section GSM, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, text

ENTRIES: Final = (
    Method(
        "gsmRequest",
        0,
        (
            text("provider", required=True),
            text("action"),
        ),
    ),
)
