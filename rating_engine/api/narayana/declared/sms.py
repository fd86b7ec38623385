"""Section SMS, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, number, text

ENTRIES: Final = (
    Method("receiveSMS", 0, (text("msg_handler"),)),
    Method("receiveDeliveryReport", 0, (text("msg_handler"),)),
    Method(
        "msgCallback",
        0,
        (
            text("msisdn", required=True),
            text("text", required=True),
            text("to"),
        ),
    ),
    Method(
        "readSMS",
        1,
        (
            number("status"),
            text("did"),
        ),
    ),
    Method(
        "sendSMS",
        1,
        (
            text("callerid"),
            text("to", required=True),
            text("text", required=True),
        ),
    ),
    Method("sendHLR", 1, (text("to", required=True),)),
    Method(
        "sendVoiceMessage",
        1,
        (
            text("callerid"),
            text("to", required=True),
            text("text", required=True),
        ),
    ),
    Method(
        "sendSIPMessage",
        1,
        (
            text("callerid"),
            text("to", required=True),
            text("text", required=True),
        ),
    ),
    Method("deliveryReport", 1, (text("id", "string", required=True),)),
    Method(
        "setDeliveryReport",
        95,
        (
            number("id", required=True),
            number("status", required=True),
        ),
    ),
    Method("getSMS", 95, (number("status"),)),
)
