"""Which surface the running code answers for, so that the core can be counted by surface without knowing any."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

SURFACES: Final = frozenset({"fastagi", "ari", "narayana", "tenant", "mor", "teleum", "cli"})

# A surface sets it where a request begins (`current_surface.set("narayana")`); tasks inherit it from who made them.
current_surface: Final[ContextVar[str]] = ContextVar("surface", default="fastagi")
