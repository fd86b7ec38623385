"""Section News and broadcast messages, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, choice, flag, number, text

ENTRIES: Final = (
    Method(
        "getNews",
        0,
        (
            text("id"),
            flag("all"),
            flag("broadcast"),
        ),
    ),
    Method(
        "addNews",
        33,
        (
            text("id", required=True),
            flag("isbroadcast", default="false"),
            text("user"),
            number("access", default="0"),
            text("language"),
            choice("typ", ("info", "warning", "error", "success"), default="info"),
            text("broadcast"),
            text("header", required=True),
            text("message", required=True),
        ),
    ),
    Method(
        "updateNews",
        33,
        (
            text("id", required=True),
            flag("isbroadcast", default="false"),
            text("user"),
            number("access", default="0"),
            text("language"),
            choice("typ", ("info", "warning", "error", "success"), default="info"),
            text("broadcast"),
            text("header"),
            text("message"),
        ),
    ),
    Method("deleteNews", 33, (text("id", required=True),)),
)
