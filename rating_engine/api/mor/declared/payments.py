"""The section Payments of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import EACH, MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "payment_create",
        Source.RESTATED,
        parameters=(
            Parameter("user_id", required=True),
            Parameter("p_currency", required=True),
            Parameter("paymenttype"),
            Parameter("tax_in_amount"),
            Parameter("amount", required=True),
            Parameter("transaction"),
            Parameter("payer_email"),
            Parameter("comments_for_user"),
        ),
        hashed=EACH,
        as_sent=True,
        errors=(
            "Bad login",
            "Incorrect hash",
            "No currency",
            "Payment was not saved",
        ),
        older=("create_payment",),
        roles=MANAGERS,
        permission=Permission.FINANCIAL_DATA,
        moves_money=True,
    ),
    Function(
        "payments_get",
        Source.RESTATED,
        parameters=(
            Parameter("s_user_id"),
            Parameter("s_from"),
            Parameter("s_till"),
            Parameter("s_transaction"),
            Parameter("s_completed"),
            Parameter("s_username"),
            Parameter("s_first_name"),
            Parameter("s_last_name"),
            Parameter("s_paymenttype"),
            Parameter("s_amount_min"),
            Parameter("s_amount_max"),
            Parameter("s_currency"),
            Parameter("s_number"),
            Parameter("s_pin"),
        ),
        hashed=EACH,
        as_sent=True,
        errors=(
            "Bad login",
            "Incorrect hash",
        ),
        older=("payments_list",),
        roles=MANAGERS,
        permission=Permission.FINANCIAL_DATA,
    ),
)
