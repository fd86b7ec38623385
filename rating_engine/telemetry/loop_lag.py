"""How late the event loop runs: the first sign that something blocks it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

INTERVAL_SECONDS: Final = 0.1  # ten samples a second catch a stall of that length at no cost worth naming


class EventLoopLag:
    """Asks the event loop for a moment, again and again, and reports how much later it came."""

    def __init__(self, observe: Callable[[float], None], *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._observe = observe
        self._interval = interval_seconds

    async def run(self) -> None:
        """Measure until cancelled; run it as a task of its own."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + self._interval
            await asyncio.sleep(self._interval)
            self._observe(max(0.0, loop.time() - due))
