"""Calls that can be lengthened while they last: slice by slice, and cut at the second their money ends.

Laws: the exchange's own limit never lies beyond what the call's reservation pays for: it is raised after the money is
held, and lowered before the money is given back. Calls in quota mode that share the last of a balance end in the same
second; a call that was reserved in full is lengthened like them once it gets to its end, and gives nothing back.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final, Protocol

import structlog

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import CallKey, Extended
from rating_engine.domain.watching import OpenReservation, SeenCall
from rating_engine.rating.rate import Rate
from rating_engine.rating.sharing import Talking, shared_seconds
from rating_engine.services.calls.extend import LastingCalls, paid_for
from rating_engine.services.calls.ports import Now, utc_now
from rating_engine.services.watch.exchange_link import ExchangeLink, time_of

EXTEND_AHEAD_SECONDS: Final = 10  # before its slice ends a call is lengthened: some turns may fail until it is too late
WARNING_LEAD_SECONDS: Final = 3  # the last slice is known this long before its warning is due
SETTLE_IN_SECONDS: Final = 1.0  # after the answer the dialplan sets the first limit itself; ours would be overwritten
REARM_SECONDS: Final = 1  # so far beyond its warning a call has been lengthened, and is warned anew


_log = structlog.get_logger(__name__)


class QuotaObserver(Protocol):
    """Where it is counted (telemetry)."""

    def quota_calls(self, count: int) -> None:
        """So many calls are lengthened by this process."""

    def quota_cut(self) -> None:
        """A call was hung up because its money had ended."""


@dataclass(slots=True)
class _Talk:
    """A call that is being talked. `told`: the limit that the exchange has, in seconds from the answer."""

    call: OpenReservation
    link: ExchangeLink
    seen: SeenCall
    answered: float
    rate: Rate
    max_seconds: int
    told: int | None = None
    final: bool = False
    short: bool = False  # of money: a final limit that is not the longest allowed
    warned: bool = False
    cut: asyncio.TimerHandle | None = field(default=None)

    def talked(self, now: float) -> int:
        """Seconds talked, a begun one whole."""
        return max(0, math.ceil(now - self.answered))

    def left(self, now: float) -> float:
        """Seconds until it is cut."""
        return self.answered + self.max_seconds - now


class QuotaCalls:
    """All calls of the exchanges that are watched which can be lengthened. `warning_seconds` 0: no warning."""

    def __init__(
        self, lasting: LastingCalls, *, observer: QuotaObserver, warning_seconds: int = 0, now: Now = utc_now
    ) -> None:
        self._now = now
        self._lasting = lasting
        self._observer = observer
        self._warning_seconds = warning_seconds
        self._ahead = max(EXTEND_AHEAD_SECONDS, warning_seconds + WARNING_LEAD_SECONDS if warning_seconds else 0)
        self._talks: dict[CallKey, _Talk] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._talks)

    def adopt(self, call: OpenReservation, seen: SeenCall, link: ExchangeLink, *, fresh: bool) -> None:
        """Take care of an answered call. `fresh`: it was answered just now, so that its first limit is in place."""
        if call.call_key in self._talks or seen.answered_at is None or not seen.alive:
            return
        rate = Rate.from_json(call.rate)
        longest = paid_for(call)
        talk = _Talk(call, link, seen, seen.answered_at, rate, longest, told=longest if fresh else None)
        self._talks[call.call_key] = talk
        self._arm(talk)

    async def turn(self) -> None:
        """One turn, a second apart: lengthen, share out, tell the exchanges, warn. Faults of one call stay its own."""
        now = time.monotonic()
        self._drop_ended()
        self._observer.quota_calls(len(self._talks))
        needy = [talk for talk in self._talks.values() if talk.left(now) <= self._ahead and _steerable(talk, now)]
        await _all(self._extend(talk, None) for talk in needy)
        short = {(talk.call.bucket, talk.call.account_id) for talk in needy if talk.short}
        await _all(self._share_out(talks) for account, talks in self._by_account().items() if account in short)
        await _all(self._tell(talk) for talk in self._talks.values() if talk.told != talk.max_seconds)
        if self._warning_seconds:
            await _all(self._warn(talk) for talk in self._talks.values())

    async def close(self) -> None:
        """Let go of every call: the limits that the exchanges were told stay."""
        for talk in self._talks.values():
            if talk.cut is not None:
                talk.cut.cancel()
        self._talks.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _drop_ended(self) -> None:
        for key, talk in list(self._talks.items()):
            seen = talk.link.seen(talk.seen.uniqueid)
            if seen is not None and seen.alive:
                talk.seen = replace(seen, called_channel=seen.called_channel or talk.seen.called_channel)
            elif talk.link.session:  # while nothing is heard the call is kept
                self._drop(key)

    def _drop(self, key: CallKey) -> None:
        talk = self._talks.pop(key, None)
        if talk is not None and talk.cut is not None:
            talk.cut.cancel()

    def _by_account(self) -> dict[tuple[int, int], list[_Talk]]:
        accounts: dict[tuple[int, int], list[_Talk]] = defaultdict(list)
        for talk in self._talks.values():
            accounts[talk.call.bucket, talk.call.account_id].append(talk)
        return accounts

    async def _extend(self, talk: _Talk, slice_seconds: int | None) -> None:
        """Ask for the next slice; None: a whole one."""
        extended = await self._lasting.extend_call(
            talk.call,
            talked_seconds=talk.talked(time.monotonic()),
            slice_seconds=slice_seconds,
            answered_at=time_of(talk.answered, self._now),
        )
        self._granted(talk, extended)

    def _granted(self, talk: _Talk, extended: Extended | None) -> None:
        if extended is None:  # finished meanwhile; its channel may take a moment longer
            self._drop(talk.call.call_key)
            return
        talk.call = replace(talk.call, granted=extended.granted, resellers_granted=extended.resellers_granted)
        talk.final = extended.final
        talk.short = extended.final and extended.max_seconds < talk.call.cap_seconds
        if extended.max_seconds != talk.max_seconds:
            talk.max_seconds = extended.max_seconds
            self._arm(talk)

    async def _share_out(self, talks: list[_Talk]) -> None:
        """The money has ended: let all calls of the account go on for the same time with what they hold together."""
        now = time.monotonic()
        talks = [talk for talk in talks if talk.call.quota and _steerable(talk, now)]
        if len(talks) < 2:
            return
        held = sum((talk.call.granted for talk in talks), Decimal(0))
        calls = [Talking(talk.rate, talk.talked(now), talk.call.cap_seconds) for talk in talks]
        seconds = shared_seconds(calls, held)
        costs = [call.cost_in(seconds) for call in calls]
        givers = [talk for talk, cost in zip(talks, costs, strict=True) if cost < talk.call.granted]
        takers = [talk for talk, cost in zip(talks, costs, strict=True) if cost > talk.call.granted]
        if seconds and givers and takers:
            await _all(self._give_back(talk, talk.talked(now) + seconds) for talk in givers)
            await _all(self._extend(talk, seconds) for talk in takers)

    async def _give_back(self, talk: _Talk, keep_seconds: int) -> None:
        """Shorten the call at its exchange, and only then free the money."""
        before, talk.told = talk.max_seconds, None
        talk.max_seconds = min(keep_seconds, before)
        self._arm(talk)
        try:
            shorter = await self._tell(talk)
        finally:
            if talk.told is None:  # not known to be shorter: it keeps its money, and is told so at the end of this turn
                talk.max_seconds = before
                self._arm(talk)
        if shorter:
            talked = talk.talked(time.monotonic())
            kept = await self._lasting.give_back(talk.call, talked_seconds=talked, keep_seconds=keep_seconds)
            self._granted(talk, kept)

    async def _tell(self, talk: _Talk) -> bool:
        """Bring the exchange's own limit to where the money ends; False: not done, tried again at the next turn."""
        now = time.monotonic()
        if not _steerable(talk, now) or talk.left(now) <= 0:
            return False
        limit = talk.max_seconds
        there = await talk.link.set_limit(
            talk.seen.channel, talk.seen.called_channel, seconds_left=talk.left(now), max_seconds=limit
        )
        if there:
            talk.told = limit
        return there

    async def _warn(self, talk: _Talk) -> None:
        left = talk.left(time.monotonic())
        if left > self._warning_seconds + REARM_SECONDS:
            talk.warned = False  # lengthened since
        elif left <= self._warning_seconds and talk.final and not talk.warned and talk.link.session:
            talk.warned = True
            await talk.link.warn(talk.seen.channel)

    def _arm(self, talk: _Talk) -> None:
        """Set the engine's own timer to where the call is cut; the exchange's limit lies at the same moment."""
        if talk.cut is not None:
            talk.cut.cancel()
        delay = max(0.0, talk.left(time.monotonic()))
        talk.cut = asyncio.get_running_loop().call_later(delay, self._start_cut, talk)

    def _start_cut(self, talk: _Talk) -> None:
        task = asyncio.create_task(self._cut(talk), name="quota-cut")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _cut(self, talk: _Talk) -> None:
        key = str(talk.call.call_key)
        try:
            hung_up = await talk.link.hang_up(talk.seen.channel)
        except Unavailable as error:
            _log.warning("quota_cut_left_to_exchange", call_key=key, error=str(error))
            return
        self._observer.quota_cut()
        _log.info("quota_cut", call_key=key, max_seconds=talk.max_seconds, by="engine" if hung_up else "exchange")


def _steerable(talk: _Talk, now: float) -> bool:
    """Whether its exchange can be told another limit; a call that can't be lengthened takes no more money either."""
    return bool(talk.link.session and talk.seen.called_channel) and now - talk.answered >= SETTLE_IN_SECONDS


async def _all(works: Iterable[object]) -> None:
    """Run them side by side; what cannot be done now is tried at the next turn."""
    for outcome in await asyncio.gather(*works, return_exceptions=True):  # type: ignore[call-overload]
        if isinstance(outcome, Unavailable | Overloaded):
            _log.debug("quota_turn_incomplete", error=str(outcome))
        elif isinstance(outcome, Exception):
            _log.error("quota_turn_failed", exc_info=outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
