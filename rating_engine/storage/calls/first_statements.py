"""What each connection of the calls door is asked first: every money function, for nothing at all."""

from __future__ import annotations

from typing import Final

from rating_engine.storage.postgres.session import FirstStatement

FIRST_STATEMENTS: Final[tuple[FirstStatement, ...]] = tuple(
    (f"SELECT {operation}_v2($1, $2::{operation}_request_v2[])", (0, []))
    for operation in ("reserve", "extend", "settle")
)
