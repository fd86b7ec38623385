"""How calls that share the last of one balance are cut: all in the same second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate


@dataclass(frozen=True, slots=True)
class Talking:
    """A call that has been answered for `talked_seconds`, and may last `cap_seconds` whatever it costs."""

    rate: Rate
    talked_seconds: int
    cap_seconds: int

    def cost_in(self, seconds: int) -> Decimal:
        """What it will have cost so many seconds from now."""
        return charge(self.rate, min(self.talked_seconds + seconds, self.cap_seconds)).cost


def shared_seconds(calls: Sequence[Talking], funds: Decimal) -> int:
    """How many seconds from now `funds` pay for all the calls together; 0 where they don't pay what was talked.

    `funds` are for the whole of the calls, what they cost until now included. No calls: 0.
    """
    low, high = 0, max((call.cap_seconds - call.talked_seconds for call in calls), default=0)
    while low < high:  # the cost never falls with time: the last second that is paid is found by halving
        middle = (low + high + 1) // 2
        if sum((call.cost_in(middle) for call in calls), Decimal(0)) <= funds:
            low = middle
        else:
            high = middle - 1
    return max(low, 0)
