"""Calls that were declined since another call had their key: counted by exchange, and written down for the doctor.

Law: counting costs a call no look-up and no wait; what could not be written down is with the next turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from rating_engine.domain.outcomes import PrepareCall

CONFLICTS_SECONDS: Final = 10.0  # how soon the doctor knows
MAX_NAMES: Final = 100  # of exchanges between two turns: a caller of FastAGI may call itself anything


class Conflicts:
    """`keep` writes counts by exchange down, beside those that there are."""

    def __init__(self, keep: Callable[[Mapping[str, int]], Awaitable[None]]) -> None:
        self._keep = keep
        self._counts: Counter[str] = Counter()

    def note(self, call: PrepareCall) -> None:
        """This call was declined so."""
        exchange = call.call_key.exchange
        if exchange in self._counts or len(self._counts) < MAX_NAMES:
            self._counts[exchange] += 1

    async def turn(self) -> None:
        """Write down what was counted since. Errors: those of `keep`; nothing is forgotten then."""
        if not self._counts:
            return
        counts, self._counts = self._counts, Counter()
        try:
            await self._keep(counts)
        except BaseException:
            self._counts.update(counts)
            raise
