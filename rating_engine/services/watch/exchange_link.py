"""What the watcher asks of an exchange, whatever protocol it is reached by; and how its moments become times.

Moments are seconds of `time.monotonic`, which no correction of the clock moves: a call is cut by them. Times are what
is stored.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Protocol

from rating_engine.domain.callback import CallbackOrder
from rating_engine.domain.phone_state import HeardPhone
from rating_engine.domain.watching import FailedLogin, LiveChannel, SeenCall
from rating_engine.services.calls.ports import Now, utc_now


class ExchangeLink(Protocol):
    """One exchange, followed. Every method that asks it raises Unavailable when it does not answer in time."""

    @property
    def exchange(self) -> str:
        """Its name: the first part of the keys of its calls."""
        ...

    @property
    def session(self) -> int:
        """Counts the connections made, from 1; 0 while there is none. What was seen before a new one is in doubt."""
        ...

    @property
    def connected_at(self) -> float:
        """The moment since which its events are heard."""
        ...

    async def run(self) -> None:
        """Connect, and again whenever the connection is lost, until cancelled."""
        ...

    def seen(self, uniqueid: str) -> SeenCall | None:
        """What was seen of a channel; None: nothing."""
        ...

    @property
    def rings_lines(self) -> bool:
        """Whether the first number of a callback may be the line's own, whose telephone then rings for nothing."""
        ...

    def steers(self, uniqueid: str) -> bool:
        """Whether the call may be lengthened from here; another connection to the same exchange may have it."""
        ...

    def take_answers(self) -> list[SeenCall]:
        """The calls whose called party has answered since this was asked last."""
        ...

    def take_ends(self) -> list[SeenCall]:
        """The conversations whose answer and end were both heard, that have ended since this was asked last."""
        ...

    def take_failed_logins(self) -> list[FailedLogin]:
        """Who could not log in since this was asked last."""
        ...

    def take_phones(self) -> list[HeardPhone]:
        """The phones whose registration has changed since this or the list was asked for last."""
        ...

    async def list_phones(self) -> list[HeardPhone]:
        """Every phone that is registered, the whole list or Unavailable."""
        ...

    async def list_channels(self) -> list[LiveChannel]:
        """Every channel that lives, the whole list or Unavailable."""
        ...

    async def read_answer(self, channel: str) -> tuple[float, str] | None:
        """When the call of a caller's channel was answered, and by which channel; None: the channel does not know."""
        ...

    async def set_limit(self, caller: str, called: str, *, seconds_left: float, max_seconds: int) -> bool:
        """Let a call be cut so many seconds from now by the exchange itself; False: it has ended.

        `max_seconds`: the same counted from its answer, which the dialplan is told for its report.
        """
        ...

    async def hang_up(self, channel: str) -> bool:
        """End a call; False: it has ended already."""
        ...

    async def call_back(self, order: CallbackOrder, callerid: str) -> bool:
        """Have the shipped dialplan call two numbers; whether it has begun: its first question was answered yes."""
        ...

    async def warn(self, channel: str) -> None:
        """Let the caller hear that the money is about to end."""
        ...


def time_of(moment: float, now: Now = utc_now) -> datetime:
    """The time of a moment, by the clock that calls go by."""
    return now() + timedelta(seconds=moment - time.monotonic())


def moment_of(when: datetime, now: Now = utc_now) -> float:
    """The moment of a time."""
    return time.monotonic() + (when - now()).total_seconds()
