"""Section Finances and statistics, as the document has it."""

from __future__ import annotations

from typing import Final

from rating_engine.api.narayana.declare import Method, flag, number, text

ENTRIES: Final = (
    Method("getPaymentMethods", 0),
    Method("finishInvoice", 0),
    Method(
        "getStats",
        1,
        (
            flag("financials", default="false"),
            flag("statistic", default="false"),
            text("date1"),
            text("date2"),
        ),
    ),
    Method(
        "transferMoney",
        1,
        (
            text("destination", required=True),
            number("amount", required=True),
            text("comment"),
        ),
    ),
    Method(
        "createInvoice",
        1,
        (
            text("payment_method", required=True),
            text("payment_type", required=True),
            number("payment_amount"),
        ),
    ),
    Method(
        "generateInvoice",
        1,
        (
            number("invoice", required=True),
            text("date"),
            text("deadline"),
            text("services", required=True),
        ),
    ),
    Method(
        "monthlyInvoice",
        1,
        (
            number("month"),
            flag("email", default="true"),
        ),
    ),
    Method(
        "getInvoices",
        1,
        (
            flag("own", default="true"),
            flag("bank", default="false"),
            flag("done"),
        ),
    ),
    Method("getInvoiceInfo", 1, (number("invoice", "id", required=True),)),
    Method("viewInvoice", 1, (number("invoice", required=True),)),
    Method("deleteInvoice", 33, (number("invoice", required=True),)),
)
