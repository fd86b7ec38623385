"""Section Accounts, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method(
        "updateAccount",
        1,
        (
            number("account"),
            number("balance"),
            number("overdraft"),
            number("refill_allowed"),
            text("billing_name"),
            text("billing_address"),
            text("billing_email"),
            text("billing_bank_account"),
            number("postpaid"),
        ),
    ),
    Method("getAccounts", 22, (flag("all", default="false"),)),
    Method("getAccountInfo", 22, (number("account", required=True),)),
    Method("deleteAccount", 22, (number("account", required=True),)),
)
