"""What will happen when, in virtual seconds; things of the same second in the order they were planned."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.faults.simulation.asking import Ask
from tests.support.auditor_nouns import Answer

Heard = Callable[[Answer], None]


@dataclass(frozen=True, slots=True)
class Question:
    """To be asked of an engine; `heard` gets the answer."""

    engine: int
    ask: Ask
    heard: Heard


Event = Question | Callable[[], Awaitable[None]]


@dataclass(slots=True)
class Agenda:
    """Plan with `at` and `soon`; what is due comes out of `next_together`."""

    now: int = 0
    _planned: list[tuple[int, int, Event]] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, second: int, event: Event) -> None:
        """Plan an event, now at the earliest."""
        heapq.heappush(self._planned, (max(second, self.now), next(self._numbers), event))

    def after(self, seconds: int, event: Event) -> None:
        """The same, counted from now."""
        self.at(self.now + seconds, event)

    def __len__(self) -> int:
        return len(self._planned)

    def next_together(self, most: int) -> list[Event]:
        """The next event; a question comes with the questions of the same second that follow it, up to `most`."""
        second, _, first = heapq.heappop(self._planned)
        self.now = second
        together = [first]
        while isinstance(first, Question) and self._planned and len(together) < most:
            if self._planned[0][0] != second or not isinstance(self._planned[0][2], Question):
                break
            together.append(heapq.heappop(self._planned)[2])
        return together
