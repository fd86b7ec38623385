"""Section DIDTables Filters, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, choice, flag, number, text

ENTRIES: Final = (
    Method("getDIDActions", 1),
    Method(
        "getFilters",
        1,
        (
            text("resolver"),
            flag("sources", default="false"),
        ),
    ),
    Method(
        "addDIDRule",
        1,
        (
            text("did", required=True),
            text("source", required=True),
            text("pattern", required=True),
            choice("policy", ("ACCEPT", "REJECT"), required=True),
            text("sms_action"),
            text("sms_destination"),
            text("action"),
            text("server"),
            text("destination"),
            text("callerid"),
            number("timeout"),
            text("condition"),
            text("input"),
            choice("position", ("start", "end")),
        ),
    ),
    Method(
        "updateDIDRule",
        1,
        (
            text("did", required=True),
            number("rule", required=True),
            number("pos"),
            text("source"),
            text("pattern"),
            choice("policy", ("ACCEPT", "REJECT")),
            text("sms_action"),
            text("sms_destination"),
            text("action"),
            text("server"),
            text("destination"),
            text("callerid"),
            number("timeout"),
            text("condition"),
            text("input"),
        ),
    ),
    Method(
        "deleteDIDRule",
        1,
        (
            text("did", required=True),
            number("rule", required=True),
            text("pattern"),
        ),
    ),
    Method(
        "getDIDRules",
        1,
        (
            text("did", required=True),
            number("rule"),
        ),
    ),
    Method(
        "resolveDIDRule",
        50,
        (
            text("did", required=True),
            number("rule", default="1"),
            text("callerid"),
            text("status"),
            text("input"),
        ),
    ),
)
