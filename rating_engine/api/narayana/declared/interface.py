"""Section Interface functions, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, text

ENTRIES: Final = (
    Method("getCourse", 0, (text("currency", required=True),)),
    Method("getCurrencies", 0),
)
