"""The section SMS of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import MANAGERS, Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "sms_send",
        Source.RESTATED,
        parameters=(
            Parameter("lcr_id", required=True),
            Parameter("dst", required=True),
            Parameter("src", required=True),
            Parameter("message", required=True),
        ),
        errors=(
            "There is no message or it is empty",
            "Wrong source",
            "Wrong destination",
            "There is no such LCR",
            "User is not subscribed to sms service",
            "1 - failed, admin does not have rate for this destination",
            "Incorrect hash",
            "Bad login",
        ),
        older=("send_sms",),
        permission=Permission.MESSAGES,
        moves_money=True,
    ),
    Function(
        "user_sms_service_subscribe",
        Source.INFERRED,
        parameters=(
            Parameter("user_id", required=True),
            Parameter("sms_tariff_id"),
            Parameter("sms_lcr_id"),
        ),
        hashed=("user_id",),
        errors=(
            "User was not found",
            "Incorrect hash",
            "Access Denied",
        ),
        roles=MANAGERS,
        permission=Permission.MESSAGES,
    ),
)
