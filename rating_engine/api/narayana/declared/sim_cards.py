"""Section SIM-cards, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method(
        "getSIMList",
        1,
        (
            flag("all", default="true"),
            flag("own", default="false"),
        ),
    ),
    Method("getSIMInfo", 1, (text("iccid", required=True),)),
    Method(
        "bindSIM",
        1,
        (
            text("iccid", required=True),
            text("puk1", required=True),
            text("puk2", required=True),
        ),
    ),
    Method("unbindSIM", 1, (text("iccid", required=True),)),
    Method(
        "updateSIM",
        1,
        (
            text("iccid", required=True),
            text("owner"),
            text("puk1"),
            text("puk2"),
            text("sip_extension"),
            text("callback_cid"),
            number("directsms"),
            number("enabled"),
        ),
    ),
    Method(
        "addSIM",
        33,
        (
            text("provider", required=True),
            text("msisdn"),
            text("iccid", required=True),
            text("puk1"),
            text("puk2"),
        ),
    ),
    Method("deleteSIM", 33, (text("iccid", required=True),)),
    Method(
        "notifySIM",
        50,
        (
            text("sim", required=True),
            text("from", required=True),
            text("text", required=True),
        ),
    ),
)
