"""The section Calls of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import EACH, Function, Parameter, Source

ENTRIES: Final = (
    Function(
        "user_calls_get",
        Source.RESTATED,
        parameters=(
            Parameter("s_user", also=("user_id",)),
            Parameter("period_start"),
            Parameter("period_end"),
            Parameter("s_call_type", also=("calltype",)),
            Parameter("s_device", also=("device",)),
            Parameter("s_provider"),
            Parameter("s_hgc"),
            Parameter("s_did"),
            Parameter("s_destination"),
            Parameter("order_by"),
            Parameter("order_desc"),
            Parameter("only_did"),
        ),
        hashed=EACH,
        as_sent=True,
        errors=(
            "User was not found",
            "Incorrect hash",
        ),
        older=("user_calls",),
    ),
)
