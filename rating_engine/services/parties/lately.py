"""What was read of keys and parties a moment ago, so that who asks a hundred times a second is looked up four times.

Law: what is not let in any more is let in nowhere once its change was answered. It needs no announcement: an answer is
remembered for LATELY_SECONDS from before it was asked for, and who changes what it was made of (a key, a party's state)
is answered so long after the change has been committed (`until_forgotten`). What is not there is not remembered: a new
key counts at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final, TypeVar

LATELY_SECONDS: Final = 0.25
SLACK_SECONDS: Final = 0.02  # clocks of two machines run alike to far less than this
KNOWN_MAX: Final = 10_000

T = TypeVar("T")


class Lately:
    """One memory of a process."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._known: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    async def ask(self, what: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What was read of it lately, or what is read now. Errors: those of `read`."""
        kept = self._known.get(what)
        asked_at = self._now()
        if kept is not None and asked_at - kept[0] < LATELY_SECONDS:
            answer: T = kept[1]
            return answer
        answer = await read()
        if answer is not None:
            self._known[what] = asked_at, answer
            self._known.move_to_end(what)
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        return answer


async def until_forgotten() -> None:
    """Returns when no process remembers what was read before now."""
    await asyncio.sleep(LATELY_SECONDS + SLACK_SECONDS)
