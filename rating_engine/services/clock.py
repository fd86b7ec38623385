"""The instants that price calls: the database's clock, read through an offset to this machine's monotonic one.

Laws: `now` follows the database once it has answered, and is off by no more than the answer took; within that this
machine's own clock is believed, beyond it never. What that one is off by is known (`skew_seconds`) and said.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

import structlog

SAMPLES_KEPT: Final = 8  # the quickest answer of the last so many decides: a busy moment spoils single ones
ANSWER_SECONDS_MAX: Final = 1.0  # an answer that took longer says too little of when it was given
SKEW_SECONDS_MAX: Final = 2.0  # machines that keep time are within milliseconds; a call's second is charged by
DRIFT_SECONDS: Final = 0.05  # what two clocks may drift apart between samples, and then some

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Sample:
    """The database's clock minus the monotonic one, in seconds, within plus or minus `error`."""

    offset: float
    error: float

    def agrees_with(self, other: _Sample) -> bool:
        """Whether both can be true of one server's clock."""
        return abs(self.offset - other.offset) <= self.error + other.error + DRIFT_SECONDS


class Clock:
    """What time it is for money. Until the database has answered once, that is this machine's own time."""

    def __init__(
        self, *, own: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`own`: this machine's wall clock, seconds since 1970; `monotonic`: one that never jumps."""
        self._own = own
        self._monotonic = monotonic
        self._samples: deque[_Sample] = deque(maxlen=SAMPLES_KEPT)
        self._best: _Sample | None = None

    def now(self) -> datetime:
        """The instant, aware, in UTC."""
        return datetime.fromtimestamp(self._seconds(), UTC)

    @property
    def is_set(self) -> bool:
        """Whether the database has told the time."""
        return self._best is not None

    @property
    def skew_seconds(self) -> float:
        """This machine's own clock minus the database's; 0.0 until the database has told."""
        return 0.0 if self._best is None else self._own() - self._seconds()

    @property
    def problem(self) -> str | None:
        """What is wrong with the own clock, in words, or None. What cannot be measured is not held against it."""
        error = 0.0 if self._best is None else self._best.error
        skew = self.skew_seconds
        if abs(skew) - error <= SKEW_SECONDS_MAX:
            return None
        return f"this machine's clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the database's"

    async def ask(self, read: Callable[[], Awaitable[datetime]]) -> None:
        """Take one sample of what `read` answers, the database's clock. Raises whatever it raises, and keeps the rest.

        It was read somewhere between question and answer, so the middle is wrong by half of that at the most; within
        that the own clock is believed. A sample
        that contradicts the earlier ones tells of another server, or of a clock that was set: they are dropped.
        """
        asked = self._monotonic()
        told = await read()
        answered = self._monotonic()
        if answered - asked > ANSWER_SECONDS_MAX:
            return
        sample = _Sample(told.timestamp() - (asked + answered) / 2, (answered - asked) / 2)
        own = self._own() - answered
        if abs(own - sample.offset) <= sample.error:
            # The own clock is right as far as can be told, and on the database's machine exactly: half of a slow round
            # trip beside it would price a call by what counted a moment before.
            sample = replace(sample, offset=own)
        if self._best is not None and not sample.agrees_with(self._best):
            self._samples.clear()
        self._samples.append(sample)
        self._best = min(self._samples, key=lambda one: one.error)

    def _seconds(self) -> float:
        return self._own() if self._best is None else self._monotonic() + self._best.offset


class ClockKeeper:
    """Keeps a clock by the database's, again and again, and says when the own one is off and when it is right again."""

    def __init__(
        self, clock: Clock, read: Callable[[], Awaitable[datetime]], *, on_skew: Callable[[float], None]
    ) -> None:
        """`read`: the database's clock; `on_skew` hears `skew_seconds` after each answer (telemetry)."""
        self._clock = clock
        self._read = read
        self._on_skew = on_skew
        self._said: bool = False

    async def turn(self) -> None:
        """One heartbeat. Errors: Unavailable, Overloaded; the clock goes on by what it knew."""
        await self._clock.ask(self._read)
        self._on_skew(self._clock.skew_seconds)
        problem = self._clock.problem
        if problem is not None and not self._said:
            _log.error("clock_off", problem=problem, skew_seconds=round(self._clock.skew_seconds, 3))
        elif problem is None and self._said:
            _log.info("clock_right", skew_seconds=round(self._clock.skew_seconds, 3))
        self._said = problem is not None
