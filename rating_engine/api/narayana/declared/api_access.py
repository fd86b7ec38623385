"""Section API access, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, number, text

ENTRIES: Final = (
    Method("getKey", 33, (text("name", required=True),)),
    Method("getKeys", 33),
    Method(
        "addKey",
        33,
        (
            text("name", required=True),
            text("auth_by", required=True),
            text("source"),
            text("apikey", required=True),
            number("accessLevel", "accesslevel"),
            text("default_user"),
            text("allowed_methods"),
            number("secure_only"),
        ),
    ),
    Method(
        "updateKey",
        33,
        (
            text("name", required=True),
            text("auth_by"),
            text("source"),
            text("apikey"),
            number("accesslevel", "accessLevel"),
            text("default_user", "default user"),
            text("allowed_methods"),
            number("secure_only"),
            number("enabled"),
        ),
    ),
    Method("revokeKey", 33, (text("name", required=True),)),
)
