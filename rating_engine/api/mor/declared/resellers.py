"""The section Resellers of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import ADMIN_ONLY, Function, Parameter, Source

ENTRIES: Final = (
    Function(
        "reseller_group_create",
        Source.INFERRED,
        parameters=(
            Parameter("name", required=True),
            Parameter("description"),
            Parameter("rights"),
        ),
        hashed=("name",),
        errors=(
            "Incorrect hash",
            "Access Denied",
        ),
        roles=ADMIN_ONLY,
    ),
)
