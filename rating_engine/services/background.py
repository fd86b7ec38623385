"""Work done again and again in the background: named, supervised, and never silently dead."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from rating_engine.domain.errors import RatingEngineError

_log = structlog.get_logger(__name__)


class Periodic:
    """Runs `work` every so many seconds. A turn that fails is logged, and the next one comes all the same."""

    def __init__(self, name: str, interval_seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        self._name = name
        self._interval = interval_seconds
        self._work = work
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    def wake(self) -> None:
        """There is something to do: the next turn is now."""
        self._wanted.set()

    def start(self) -> None:
        """Begin with a first turn at once."""
        self._task = asyncio.create_task(self.run(), name=self._name)

    async def stop(self) -> None:
        """Stop; a turn that runs is cancelled."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # awaited itself, its cancellation would hide our own

    async def run(self) -> None:
        """The turns, until cancelled: for who has a task of its own for them."""
        while True:
            try:
                await self._work()
            except RatingEngineError as error:  # a dependency is away, which others report
                _log.debug("periodic_skipped", task=self._name, error=str(error))
            except Exception:
                _log.exception("periodic_failed", task=self._name)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), self._interval)
            self._wanted.clear()
