"""An exchange's clock against ours: its times become our moments, whatever either clock is set to. No I/O."""

from __future__ import annotations

from typing import Final

STALE_SECONDS: Final = 60.0  # clocks drift some milliseconds an hour: a better measure may be this old
EARLIEST_SECONDS: Final = 3_600.0 * 24  # a moment further back than a day is a clock that was set, not a call


class ExchangeClock:
    """Learns from pings: the exchange's time lay between our question and its answer, the tighter the better."""

    def __init__(self) -> None:
        self._offset: float | None = None  # our moment less its time
        self._trip = 0.0
        self._learned = 0.0

    def learn(self, asked: float, answered: float, theirs: float) -> None:
        """A ping asked and answered at these moments, answered with the exchange's time `theirs`."""
        trip = answered - asked
        if self._offset is None or trip <= self._trip or answered - self._learned > STALE_SECONDS:
            self._offset, self._trip, self._learned = (asked + answered) / 2 - theirs, trip, answered

    def moment(self, theirs: float, now: float) -> float | None:
        """Our moment of the exchange's time `theirs`, never after `now`; None while unknown, or out of all bounds."""
        if self._offset is None:
            return None
        moment = theirs + self._offset
        if moment > now + STALE_SECONDS or moment < now - EARLIEST_SECONDS:
            return None
        return min(moment, now)
