"""The section Invoices of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "invoices_get",
        Source.RESTATED,
        parameters=(
            Parameter("from"),
            Parameter("till"),
            Parameter("lang"),
        ),
        hashed=("from", "till", "lang"),
        errors=(
            "Incorrect hash",
            "user not found",
            "no invoices found",
        ),
        older=("invoices",),
        bare_errors=("user not found", "no invoices found"),
        permission=Permission.INVOICES,
    ),
)
