"""Section User control, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method("getUsers", 22, (flag("all", default="false"),)),
    Method(
        "registerUser",
        22,
        (
            text("user", required=True),
            text("web_password", required=True),
            number("accesslevel", required=True),
            text("sip_server", required=True),
            text("sip_extension", required=True),
            text("sip_password", required=True),
            number("balance", default="0.00"),
            text("language", default="config.defaultlanguage"),
            text("currency", default="EUR"),
            flag("sip_srtp", default="false"),
            text("account", default="auto"),
        ),
    ),
    Method(
        "updateUser",
        1,
        (
            text("user", "username"),
            text("web_password"),
            number("accesslevel"),
            number("active"),
            number("account"),
            text("currency"),
            text("language"),
            number("timezone"),
            number("rates"),
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
    Method("deleteUser", 22, (text("user", required=True),)),
)
