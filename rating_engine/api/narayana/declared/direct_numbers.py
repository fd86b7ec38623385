"""Section Direct numbers, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, choice, flag, number, text

ENTRIES: Final = (
    Method("getDisaDIDList", 0),
    Method(
        "updateDIDState",
        1,
        (
            text("did", required=True),
            choice("parameter", ("autorenew", "enabled"), default="autorenew"),
            flag("state", required=True),
        ),
    ),
    Method(
        "getDIDPool",
        1,
        (
            text("country"),
            text("area"),
            text("search_pattern"),
        ),
    ),
    Method(
        "orderDID",
        1,
        (
            number("pool_id", required=True),
            text("did", required=True),
            text("arg1"),
            text("arg2"),
            text("arg3"),
        ),
    ),
    Method(
        "getDIDList",
        1,
        (
            choice("sort_by", ("expiration", "cost", "did"), default="expiration"),
            flag("own", default="true"),
        ),
    ),
    Method(
        "addDID",
        22,
        (
            text("did", required=True),
            text("owner", required=True),
            text("comment", default=""),
            number("cost", default="0.00"),
            text("expiration"),
        ),
    ),
    Method(
        "updateDID",
        22,
        (
            text("did", required=True),
            text("owner"),
            text("comment"),
            number("cost"),
            text("expiration"),
        ),
    ),
    Method("deleteDID", 22, (text("did", required=True),)),
    Method("getDIDInfo", 22, (text("did", required=True),)),
    Method("renewDID", 22, (text("did", required=True),)),
    Method(
        "addDIDPool",
        33,
        (
            text("country", required=True),
            text("area", required=True),
            number("cost", default="0.00"),
            number("installcost", default="0.00"),
            text("provider", default="local"),
            text("user", default=""),
            text("pass", default=""),
            text("param1", default=""),
            text("param2", default=""),
            text("param3", default=""),
            number("qty", default="100"),
        ),
    ),
    Method(
        "updateDIDPool",
        33,
        (
            number("id", required=True),
            text("country"),
            text("area"),
            number("cost"),
            number("installcost"),
            text("provider"),
            text("user"),
            text("pass"),
            text("param1"),
            text("param2"),
            text("param3"),
            number("qty"),
        ),
    ),
    Method("getDIDPools", 33),
    Method("getDIDPoolInfo", 33, (number("id", required=True),)),
    Method("deleteDIDPool", 33, (number("id", required=True),)),
    Method("getDIDCount", 50, (text("did", required=True),)),
)
