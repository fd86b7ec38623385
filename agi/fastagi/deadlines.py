"""Who has to have done what by when: one timer for all open connections, instead of one for each.

Laws: a connection is in at most one queue; each queue gives the same number of seconds to all in it, so its first is
the one that is due first, and has waited longest. The timer is never set later than the first that is due, and where
connections come and go it fires about once in the shortest of the spans, not once a connection.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Waiting = TypeVar("Waiting")
Queue = TypeVar("Queue")


class Deadlines(Generic[Queue, Waiting]):
    """Queues of what waits, each with its span in seconds; `on_due` is called with each whose time has come."""

    __slots__ = ("_loop", "_on_due", "_queues", "_timer", "_timer_at")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, seconds: Mapping[Queue, float], on_due: Callable[[Waiting], None]
    ) -> None:
        self._loop = loop
        self._on_due = on_due
        self._queues: dict[Queue, tuple[float, dict[Waiting, float]]] = {
            queue: (span, {}) for queue, span in seconds.items()
        }
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf

    def move(self, waiting: Waiting, left: Queue, entered: Queue) -> None:
        """From one queue to another, where its time begins anew; one that has no span is not counted."""
        queue = self._queues.get(left)
        if queue is not None:
            queue[1].pop(waiting, None)
        queue = self._queues.get(entered)
        if queue is not None:
            at = queue[1][waiting] = self._loop.time() + queue[0]
            if at < self._timer_at:
                self._set_timer(at)

    def longest(self, queue: Queue) -> Waiting | None:
        """Who has waited longest in this queue; None when nobody does."""
        return next(iter(self._queues[queue][1]), None)

    def close(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf

    def _set_timer(self, at: float) -> None:
        self.close()
        self._timer_at = at
        self._timer = self._loop.call_at(at, self._sweep)

    def _sweep(self) -> None:
        self._timer, self._timer_at = None, math.inf
        now = self._loop.time()
        overdue: list[Waiting] = []
        for _, due in self._queues.values():
            while due and due[first := next(iter(due))] <= now:
                del due[first]
                overdue.append(first)
        for waiting in overdue:
            self._on_due(waiting)
        next_at = min((next(iter(due.values())) for _, due in self._queues.values() if due), default=math.inf)
        if next_at < self._timer_at:
            self._set_timer(next_at)
