"""Whether an exchange is watched right now, answered from memory: a call asks it, and never waits for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

REFRESH_SECONDS: Final = 2.0  # how soon calls can be lengthened, or cannot again, once the watch changes


class WatchedExchanges:
    """A copy of what the watching engine says, each entry true until it runs out."""

    def __init__(self, read: Callable[[], Awaitable[dict[str, float]]]) -> None:
        self._read = read
        self._until: dict[str, float] = {}

    async def refresh(self) -> None:
        """Read it anew. Errors: Unavailable; what is known then runs out by itself."""
        asked = time.monotonic()
        self._until = {exchange: asked + seconds for exchange, seconds in (await self._read()).items()}

    def is_watched(self, exchange: str) -> bool:
        """Whether calls of this exchange can be lengthened now."""
        return self._until.get(exchange, 0.0) > time.monotonic()
