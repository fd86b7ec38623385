"""The section Login of the index."""

from __future__ import annotations

from typing import Final

from rating_engine.api.mor.declare import Function, Source

ENTRIES: Final = (
    Function(
        "user_login",
        Source.RESTATED,
        hashed=None,
        older=("login",),
    ),
    Function(
        "user_logout",
        Source.RESTATED,
        hashed=None,
        older=("logout",),
    ),
)
