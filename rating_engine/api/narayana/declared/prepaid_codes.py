"""Section Prepaid codes (invites). New users registration, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method("registerRequest", 0, (text("signature", required=True),)),
    Method(
        "registerByCode",
        0,
        (
            text("code", required=True),
            flag("register", default="false"),
            text("user"),
            text("web_password"),
            text("language"),
        ),
    ),
    Method(
        "activatePrepaidCode",
        1,
        (
            text("code", required=True),
            number("amount", required=True),
        ),
    ),
    Method(
        "getPrepaidCodes",
        1,
        (
            flag("active", default="false"),
            flag("all", default="false"),
            flag("count", default="false"),
        ),
    ),
    Method(
        "createPrepaidCode",
        1,
        (
            number("accesslevel", default="10"),
            number("balance", default="0.00"),
            text("target", default=""),
        ),
    ),
    Method("deletePrepaidCode", 1, (text("code", required=True),)),
)
