"""Many callers who ask the same question at the same moment share one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Runs one piece of work a key at a time. A caller who gives up does not cut the others off.

    The work must have deadlines of its own: nobody cancels it. There is at most one task for each call that waits.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: dict[Key, asyncio.Task[Value]] = {}

    async def run(self, key: Key, work: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """The value of `work`, or of the same key's work that already runs; its error is raised to every caller."""
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(work(), name=self._name)
            self._running[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        return await asyncio.shield(task)

    def forget(self, key: Key) -> None:
        """Whoever asks from now on gets a new answer; those who wait get the one that is under way."""
        self._running.pop(key, None)

    def forget_all(self) -> None:
        """The same for every key."""
        self._running.clear()

    def _finished(self, key: Key, task: asyncio.Task[Value]) -> None:
        if self._running.get(key) is task:
            del self._running[key]
        if not task.cancelled():
            task.exception()  # looked at, so that one whose callers have all gone is not reported as forgotten
