"""The section Financial statements of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "financial_statements_get",
        Source.RESTATED,
        parameters=(
            Parameter("user_id"),
            Parameter("status", also=("stauts",)),
            Parameter("date_from", required=True),
            Parameter("date_till", required=True),
        ),
        hashed=("user_id",),
        errors=(
            "Bad login",
            "Incorrect hash",
        ),
        older=("financial_statements",),
        permission=Permission.INVOICES,
    ),
)
