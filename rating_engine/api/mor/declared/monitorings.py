"""The section Monitorings of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import ADMIN_ONLY, Function, Parameter, Source

ENTRIES: Final = (
    Function(
        "ma_activate",
        Source.INFERRED,
        parameters=(
            Parameter("monitoring_id"),
            Parameter("users"),
            Parameter("block"),
        ),
        hashed=("monitoring_id", "users", "block"),
        errors=(
            "Incorrect hash",
            "Access Denied",
        ),
        roles=ADMIN_ONLY,
    ),
)
