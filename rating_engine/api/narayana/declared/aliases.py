"""Section Personal plan sets (aliases), as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method("getAliases", 1, (flag("all"),)),
    Method("getAlias", 1, (number("id", required=True),)),
    Method(
        "addAlias",
        1,
        (
            text("alias", required=True),
            text("destination", required=True),
            text("sip_extension"),
            flag("global"),
        ),
    ),
    Method(
        "updateAlias",
        1,
        (
            number("id", "alias", required=True),
            text("destination"),
            text("sip_extension"),
        ),
    ),
    Method("deleteAlias", 1, (number("id", required=True),)),
)
