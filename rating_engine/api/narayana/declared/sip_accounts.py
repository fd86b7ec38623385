"""Section SIP accounts, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, choice, flag, number, text

ENTRIES: Final = (
    Method(
        "getExtensions",
        1,
        (
            flag("own", default="true"),
            flag("all", default="false"),
            text("owner"),
        ),
    ),
    Method(
        "getExtensionInfo",
        1,
        (
            text("sip_extension", required=True),
            text("property"),
        ),
    ),
    Method("getAvailExtension", 1, (flag("own", default="false"),)),
    Method(
        "createExtension",
        1,
        (
            text("owner"),
            text("sip_extension", required=True),
            text("sip_password", required=True),
            text("sip_server"),
            text("sip_callerid"),
            text("sip_language"),
            flag("sip_srtp", default="false"),
        ),
    ),
    Method(
        "updateExtension",
        1,
        (
            text("sip_extension", required=True),
            text("extension"),
            text("sip_password"),
            text("sip_server"),
            number("sip_srtp", "sip_srt"),
            choice("sip_transport", ("udp,tcp,tls", "udp,tcp", "tls", "udp", "tcp")),
            text("sip_callerid"),
            number("sip_max_call_len"),
            number("sip_reach"),
            text("sip_redirect"),
            number("sip_force_callback"),
            text("sip_language"),
            number("sip_rates_id"),
            number("disa_pin"),
            text("disa_trusted_cli"),
        ),
    ),
    Method("deleteExtension", 1, (text("sip_extension", required=True),)),
)
