"""The section Callback of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import Function, Parameter, Source
from rating_engine.domain.permission import Permission

ENTRIES: Final = (
    Function(
        "callback_init",
        Source.RESTATED,
        parameters=(
            Parameter("device", required=True),
            Parameter("src", required=True),
            Parameter("dst"),
        ),
        hashed=("device", "src", "dst"),
        errors=(
            "Not authenticated",
            "Bad device",
            "No source",
        ),
        older=("callback",),
        moves_money=True,
        permission=Permission.DEVICES,
    ),
)
