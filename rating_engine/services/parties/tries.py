"""What was wrong lately, by who it came from: different wrong keys of an address, wrong passwords for a login.

Laws: the same wrong thing again counts once; each is forgotten after a time; what is remembered is bounded, and who was
heard of longest ago is forgotten first.
"""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

KNOWN_MAX: Final = 10_000  # of whom something is remembered, some kB each at the most
EACH_MAX: Final = 100  # different wrong things of one; nobody asks for a larger number


class Tries:
    """One memory of a process."""

    def __init__(self, within_seconds: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """`within_seconds`: how long something wrong is remembered."""
        self._within = within_seconds
        self._now = monotonic
        self._heard: OrderedDict[str, dict[bytes, float]] = OrderedDict()

    def wrong(self, who: str, what: str | bytes) -> int:
        """Something wrong came; how many different ones did lately."""
        now = self._now()
        kept = self._recent(who, now)
        digest = hashlib.sha256(what.encode() if isinstance(what, str) else what).digest()
        if digest in kept or len(kept) < EACH_MAX:
            kept[digest] = now
        self._heard[who] = kept
        self._heard.move_to_end(who)
        if len(self._heard) > KNOWN_MAX:
            self._heard.popitem(last=False)
        return len(kept)

    def count(self, who: str) -> int:
        """How many different wrong ones came lately."""
        return len(self._recent(who, self._now()))

    def forget(self, who: str) -> None:
        """The right one came, or the consequences were drawn."""
        self._heard.pop(who, None)

    def _recent(self, who: str, now: float) -> dict[bytes, float]:
        return {what: at for what, at in self._heard.get(who, {}).items() if now - at < self._within}
