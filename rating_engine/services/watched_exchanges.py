"""Whether an exchange is watched right now, answered from memory: a call asks it, and never waits for it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

SAID_EVERY_SECONDS: Final = 60.0  # of one exchange: each call of it would say the same
SAID_KEPT: Final = 1_000  # exchanges; an operator has some dozens
REFRESH_SECONDS: Final = 2.0  # how soon calls are granted in slices, or in full again, once the watch changes

_log = structlog.get_logger(__name__)


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


class UnwatchedCalls:
    """Says in the log, not too often, that calls were reserved in full though slices were wanted."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def count(self, exchange: str, login: str) -> None:
        """A call of this login from an exchange that nobody watches."""
        now = time.monotonic()
        calls = self._unsaid[exchange] = self._unsaid.get(exchange, 0) + 1
        if now - self._said.get(exchange, -SAID_EVERY_SECONDS) < SAID_EVERY_SECONDS:
            return
        if len(self._said) >= SAID_KEPT:
            self._said.clear()
            self._unsaid.clear()
        self._said[exchange] = now
        self._unsaid[exchange] = 0
        _log.warning("quota_without_watch", exchange=exchange, login=login, calls=calls)
