"""What is prepared on each connection of the calls door before it serves: every money function, for its types."""

from __future__ import annotations

from typing import Final

FIRST_STATEMENTS: Final = tuple(f"SELECT {operation}_v2($1, $2)" for operation in ("reserve", "extend", "settle"))
