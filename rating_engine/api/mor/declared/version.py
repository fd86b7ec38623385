"""The section Version of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import Function, Source

ENTRIES: Final = (
    Function(
        "system_version_get",
        Source.RESTATED,
        errors=("Access Denied",),
        older=("get_version",),
    ),
)
