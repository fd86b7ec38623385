"""Section User, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, number, text

ENTRIES: Final = (
    Method("getInfo", 1),
    Method("getValue", 1, (text("property", required=True),)),
    Method(
        "updateUser",
        1,
        (
            text("web_password"),
            number("accesslevel"),
            number("active"),
            number("account"),
            text("currency"),
            text("language"),
            number("timezone"),
            text("allowed_rates"),
            number("allowed_call_len"),
            text("notify_email"),
            number("notify_balance"),
            number("notify_did"),
            number("notify_ticket"),
            number("notify_balance_limit"),
            number("invites"),
            text("comment"),
        ),
    ),
)
