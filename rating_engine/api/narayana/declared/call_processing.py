"""Section Call processing, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, number, text

ENTRIES: Final = (
    Method("resolveCallerid", 0),
    Method(
        "createCallback",
        1,
        (
            text("callerid"),
            text("destination1", required=True),
            text("destination2", required=True),
            number("epitch"),
        ),
    ),
    Method(
        "callPrepare",
        50,
        (
            text("callerid"),
            text("destination", required=True),
            number("prior", default="1"),
            text("from_originate"),
            text("source"),
            text("originated_by"),
        ),
    ),
    Method(
        "callFinish",
        50,
        (
            text("callerid"),
            text("destination", required=True),
            number("prior", default="1"),
            number("length", required=True),
            text("status", required=True),
            text("is_did"),
        ),
    ),
    Method(
        "getTextBalance",
        50,
        (
            number("balance"),
            text("currency"),
        ),
    ),
    Method(
        "authorizeCall",
        50,
        (
            text("callerid"),
            text("auth", required=True),
        ),
    ),
    Method(
        "authorizeRealm",
        50,
        (
            text("source", required=True),
            text("auth", required=True),
        ),
    ),
    Method("createTTS", 50, (text("text", required=True),)),
)
