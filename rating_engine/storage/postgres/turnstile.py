"""Who may use one of a door's connections now, and who waits for one.

Laws: in the order of coming; nobody waits longer than the deadline, nor at all once the server is known to be away;
that all connections are busy is said as `Overloaded` and never taken for a server that does not answer.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from rating_engine.domain.errors import Overloaded, Unavailable

WAITING_MAX: Final = 1_000  # beyond this many the last would wait past any deadline


class Turnstile:
    """`places`: connections; `seconds`: how long one may be waited for; `name` is the door's, for who reads errors."""

    def __init__(self, name: str, places: int, seconds: float) -> None:
        self._name = name
        self._places = places
        self._seconds = seconds
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def taken(self) -> int:
        """Connections in use."""
        return self._taken

    async def enter(self) -> None:
        """Return once a connection may be used. Errors: Overloaded; Unavailable when the server is found away."""
        if self._taken < self._places:
            self._taken += 1
            return
        if len(self._waiting) >= WAITING_MAX:
            raise Overloaded(f"PostgreSQL: {WAITING_MAX} requests are waiting for the {self._name} connections already")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._seconds):
                await turn  # whoever leaves hands the place over
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                raise Overloaded(
                    f"PostgreSQL: all {self._places} {self._name} connections have been busy for {self._seconds:g} s"
                ) from None
            raise

    def leave(self) -> None:
        """A connection can be used by the next."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken -= 1

    def turn_away(self, problem: str) -> None:
        """Whoever waits waits in vain: the server is away."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(Unavailable(problem))

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        """Somebody no longer waits. A place that was handed over in the same moment goes on to the next."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        elif turn.done() and not turn.cancelled() and turn.exception() is None:
            self.leave()
