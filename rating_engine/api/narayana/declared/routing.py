"""Section Routing, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, choice, flag, number, text

ENTRIES: Final = (
    Method(
        "getRoutes",
        22,
        (
            flag("update", default="false"),
            choice("type", ("all", "sip", "sms", "default"), default="all"),
            flag("all", default="false"),
        ),
    ),
    Method("getRouteInfo", 22, (number("id", required=True),)),
    Method(
        "addRoute",
        22,
        (
            text("route", required=True),
            choice("type", ("sip", "sms"), required=True),
            text("sip_server", required=True),
            text("prefix", required=True),
            text("host", default=""),
            text("user", default=""),
            flag("fromuser", default="false"),
            text("pass", default=""),
            number("callerid", default="2"),
            text("balance_handler", default=""),
            text("balance_username", default=""),
            text("balance_password", default=""),
        ),
    ),
    Method(
        "updateRoute",
        22,
        (
            number("id", required=True),
            text("route"),
            text("prefix"),
            text("host"),
            text("user"),
            text("pass"),
            number("callerid"),
            text("balance_handler"),
            text("balance_username"),
            text("balance_password"),
        ),
    ),
    Method(
        "updateRouteState",
        22,
        (
            number("id", required=True),
            flag("state", required=True),
        ),
    ),
    Method("deleteRoute", 22, (number("id", required=True),)),
)
