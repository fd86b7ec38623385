"""Open reservations against the channels that live: no call is forgotten.

Laws: reservations are read before channels, so that a call that begins in between is never taken for one that ended.
Half a list decides nothing. Who is gone is given time for a finish that is under way, and what is decided then is
corrected by one that comes still later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import structlog

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.watching import Decision, LiveChannel, OpenReservation, SeenCall
from rating_engine.services.calls.extend import LastingCalls, LastingObserver
from rating_engine.services.calls.ports import Now, utc_now
from rating_engine.services.watch.exchange_link import ExchangeLink, moment_of, time_of
from rating_engine.storage.calls.open_calls import Sighting, note_seen, open_calls_of
from rating_engine.storage.postgres.pool import Database

YOUNG_SECONDS: Final = 3.0  # a reservation younger than this may belong to a channel that is listed a moment later
# A call prepared so long after the connection was made must have shown its channel, or this is another exchange.
SHOWN_SECONDS: Final = 2.0
SETTLED_AT_ONCE: Final = 256  # a batch of the ledger
ASKED_AT_ONCE: Final = 16  # channels asked for their answer side by side: an exchange answers hundreds a second

_log = structlog.get_logger(__name__)

Live = tuple[OpenReservation, SeenCall]


class Reconciler:
    """One exchange's reservations, compared again and again. `grace_seconds`: what a finish under way is given."""

    def __init__(
        self,
        link: ExchangeLink,
        database: Database,
        lasting: LastingCalls,
        *,
        observer: LastingObserver,
        grace_seconds: float,
        now: Now = utc_now,
    ) -> None:
        self._now = now
        self._link = link
        self._database = database
        self._lasting = lasting
        self._observer = observer
        self._grace = grace_seconds
        self._missing: dict[CallKey, float] = {}  # since when each open call's channel is known to be gone
        self._unknown: set[CallKey] = set()

    @property
    def undecided(self) -> bool:
        """Whether calls wait for the end of their grace: another round should come soon."""
        return bool(self._missing)

    async def turn(self) -> list[Live]:
        """One comparison; answers the calls that live and are answered. Errors: Unavailable (nothing was decided)."""
        opened = await open_calls_of(self._database, self._link.exchange, older_than_seconds=YOUNG_SECONDS)
        channels = {channel.uniqueid: channel for channel in await self._link.list_channels()}
        now = time.monotonic()
        latest: dict[str, int] = {}
        for call in opened:
            key = call.call_key
            latest[key.uniqueid] = max(latest.get(key.uniqueid, 0), key.attempt)
        live = [call for call in opened if _is_live(call, channels, latest)]
        gone = [call for call in opened if not _is_live(call, channels, latest)]
        seen = await self._look_at(live, channels)
        await note_seen(self._database, [self._sighting(call, view, now) for call, view in seen if view.alive])
        await self._decide(gone, channels, now)
        return [(call, view) for call, view in seen if view.answered_at is not None]

    async def _look_at(self, live: Sequence[OpenReservation], channels: dict[str, LiveChannel]) -> list[Live]:
        """What is known of each living call, its channel asked where its answer was missed."""
        gate = asyncio.Semaphore(ASKED_AT_ONCE)

        async def look(call: OpenReservation) -> Live:
            channel = channels[call.call_key.uniqueid]
            view = self._link.seen(channel.uniqueid) or SeenCall(channel.uniqueid, channel.channel)
            if channel.bridge and not (view.answered_at is not None and view.called_channel):
                async with gate:
                    view = await self._missed_answer(call, view)
            elif view.answered_at is None and call.answered_at is not None:
                view = replace(view, answered_at=moment_of(call.answered_at, self._now))
            return call, view

        return await asyncio.gather(*(look(call) for call in live))

    async def _missed_answer(self, call: OpenReservation, view: SeenCall) -> SeenCall:
        """The channel is in a conversation whose beginning was not heard: it noted the moment, or it begins now."""
        noted = await self._link.read_answer(view.channel)
        if noted is not None:
            return replace(view, answered_at=noted[0], called_channel=noted[1])
        known = time.monotonic() if call.answered_at is None else moment_of(call.answered_at, self._now)
        return replace(view, answered_at=known)

    async def _decide(self, gone: Iterable[OpenReservation], channels: dict[str, LiveChannel], now: float) -> None:
        missing: dict[CallKey, float] = {}
        unknown: set[CallKey] = set()
        due: list[tuple[OpenReservation, SeenCall | None]] = []
        for call in gone:
            key = call.call_key
            superseded = key.uniqueid in channels  # then what is seen of the channel is of its later attempt
            view = None if superseded else self._link.seen(key.uniqueid)
            if view is None and not superseded and self._is_strange(call):
                self._say_unknown(call)
                unknown.add(key)
                continue
            since = self._missing.get(key, now if view is None or view.ended_at is None else view.ended_at)
            if now - since < self._grace:
                missing[key] = since
            else:
                due.append((call, view))
        self._missing, self._unknown = missing, unknown
        for start in range(0, len(due), SETTLED_AT_ONCE):
            page = due[start : start + SETTLED_AT_ONCE]
            await asyncio.gather(*(self._end(call, view, call.call_key.uniqueid in channels) for call, view in page))

    async def _end(self, call: OpenReservation, view: SeenCall | None, superseded: bool) -> None:
        view = view or SeenCall(call.call_key.uniqueid, "")
        if call.answered_at is None and view.answered_at is not None:
            call = replace(call, answered_at=time_of(view.answered_at, self._now))
        if view.last_seen is not None:
            seen_at = time_of(view.last_seen, self._now)
            call = replace(call, last_seen_at=max(seen_at, call.last_seen_at or seen_at))
        ended = None if view.ended_at is None else time_of(view.ended_at, self._now)
        await self._lasting.reconcile_call(call, ended_at=ended, cause=view.cause, superseded=superseded)

    def _sighting(self, call: OpenReservation, view: SeenCall, now: float) -> Sighting:
        answered = None if view.answered_at is None else time_of(view.answered_at, self._now)
        return Sighting(call.bucket, call.call_key, answered, time_of(now, self._now))

    def _is_strange(self, call: OpenReservation) -> bool:
        """Whether this exchange should have shown the call's channel, and never did: its name may be another's."""
        heard_since = time_of(self._link.connected_at, self._now)
        unseen = call.answered_at is None and call.last_seen_at is None
        return unseen and (call.prepared_at - heard_since).total_seconds() > SHOWN_SECONDS

    def _say_unknown(self, call: OpenReservation) -> None:
        if call.call_key not in self._unknown:
            self._observer.reconciled(Decision.UNKNOWN_CHANNEL.value)
            _log.error("reconciliation_unknown_channel", call_key=str(call.call_key), exchange=self._link.exchange)


def _is_live(call: OpenReservation, channels: dict[str, LiveChannel], latest: dict[str, int]) -> bool:
    """Whether its channel lives and carries this attempt, not a later one."""
    return call.call_key.uniqueid in channels and call.call_key.attempt == latest[call.call_key.uniqueid]
