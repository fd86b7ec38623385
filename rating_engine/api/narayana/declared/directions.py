"""Section Directions and tarification, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, choice, flag, number, text

ENTRIES: Final = (
    Method(
        "resolveDirection",
        0,
        (
            text("number", required=True),
            choice("select", ("id", "code", "direction"), default="direction"),
        ),
    ),
    Method("getDirections", 0, (flag("distinct", default="true"),)),
    Method("getCurrentRates", 0, (text("currency", default="EUR"),)),
    Method(
        "getRatesList",
        1,
        (
            flag("all", default="false"),
            flag("is_public", default="false"),
            flag("is_option"),
        ),
    ),
    Method(
        "switchRates",
        1,
        (
            number("id", required=True),
            flag("state"),
            text("sip_extension"),
        ),
    ),
    Method("getRates", 1, (number("id", required=True),)),
    Method("getRatesInfo", 22, (number("id", required=True),)),
    Method(
        "addRates",
        22,
        (
            text("table", required=True),
            text("name", required=True),
            text("bill_type", default="byminute"),
            flag("is_option", default="false"),
            flag("is_public", default="false"),
            number("switch_price", default="0.00"),
            number("multiplier", default="1.00"),
            number("did_multiplier", default="1.00"),
            text("description", default=""),
        ),
    ),
    Method(
        "updateRates",
        22,
        (
            number("id", required=True),
            text("name"),
            text("bill_type"),
            flag("is_option"),
            flag("is_public"),
            number("switch_price"),
            number("multiplier"),
            number("did_multiplier"),
            text("description"),
        ),
    ),
    Method("deleteRates", 22, (number("id", required=True),)),
    Method(
        "addDirection",
        22,
        (
            number("rates", required=True),
            number("direction", required=True),
            number("cost", required=True),
            number("route", required=True),
            number("priority", default="1"),
        ),
    ),
    Method(
        "updateDirection",
        22,
        (
            number("rates", required=True),
            number("direction", required=True),
            number("prior", default="1"),
            number("cost"),
            number("route"),
            number("priority"),
        ),
    ),
    Method(
        "updateDirections",
        22,
        (
            number("rates", required=True),
            text("directions", required=True),
        ),
    ),
    Method(
        "deleteDirection",
        22,
        (
            number("rates", required=True),
            number("direction", required=True),
            number("prior", default="1"),
        ),
    ),
    Method(
        "updateMarkup",
        22,
        (
            number("rates", required=True),
            number("markup", required=True),
        ),
    ),
    Method("copyDirections", 22, (number("rates", required=True),)),
    Method("getBillTypes", 22),
    Method("getBillType", 33, (text("bill_type", required=True),)),
    Method(
        "addBillType",
        33,
        (
            text("bill_type", required=True),
            number("free_threshold", required=True),
            number("step", required=True),
        ),
    ),
    Method(
        "updateBillType",
        33,
        (
            text("bill_type", required=True),
            number("free_threshold"),
            number("step"),
        ),
    ),
    Method("deleteBillType", 33, (text("bill_type", required=True),)),
)
