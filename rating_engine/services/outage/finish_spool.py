"""Finishes that could not be charged when they were said: kept on this engine's disk, and charged when they can be.

Laws: a finish that is answered as spooled is charged once, or kept aside with the reason for a person; what cannot be
charged holds up what is behind it for REPLAY_TRIES turns at the most; finishes are charged in the order they were said,
those of one call strictly so. Replaying is saying the finish again, so doing it twice is harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

import structlog

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import DeclineReason, FinishCall, FinishOutcome, NotSaved, Saved, Spooled
from rating_engine.domain.reservation import CallDetails, OpenCall
from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.ports import Now, utc_now
from rating_engine.storage.spool.finish_record import (
    SpooledFinish,
    UnreadableRecord,
    finish_from_payload,
    finish_to_payload,
)
from rating_engine.storage.spool.spool import Spool, SpoolRefused, Window
from rating_engine.storage.spool.spool_records import Record

REPLAY_WINDOW: Final = 128  # finishes charged side by side: they share the ledger's batches and leave calls room
REPLAY_TRIES: Final = 30  # turns that one finish may fail unexpectedly (half a minute) before it is kept aside
ADOPT_SECONDS: Final = 10.0  # how long the files of a dead process wait at most for a living one
# How long others wait for the spool to be emptied once the database is back: thousands a second are charged.
CATCH_UP_SECONDS: Final = 60.0
UNREADABLE: Final = "unreadable"
INTERNAL: Final = "internal"

ReplayFinish = Callable[[FinishCall, CallDetails | None], Awaitable[FinishOutcome]]
_log = structlog.get_logger(__name__)


class SpoolObserver(Protocol):
    """Where the figures of the spool go (telemetry)."""

    def spooled(self) -> None:
        """A finish was spooled."""

    def spool_not_taken(self, reason: str) -> None:
        """A finish could be neither charged nor spooled; `reason` is a SpoolRefusal."""

    def spool_replayed(self, overrun: bool) -> None:
        """A spooled finish was charged, or found charged."""

    def spool_refused(self, reason: str) -> None:
        """A spooled finish was kept aside; `reason` is a DeclineReason, `unreadable` or `internal`."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What became of one record. `refusal`: its line for the .refused file."""

    done: bool
    refusal: bytes | None = None


_WAIT: Final = _Verdict(done=False)
_DONE: Final = _Verdict(done=True)


class FinishSpool:
    """The finishes that wait."""

    def __init__(
        self,
        spool: Spool,
        replay: ReplayFinish,
        *,
        is_up: Callable[[], bool],
        observer: SpoolObserver,
        now: Now = utc_now,
    ) -> None:
        """`replay` charges a finish now, as Finishing.finish does. `is_up`: whether the database can be asked at all.

        `now`: when a finish was said that does not say so.
        """
        self._spool = spool
        self._charge = replay
        self._is_up = is_up
        self._observer = observer
        self._now = now
        self._adopt_at = 0.0
        self._catch_up_until = time.monotonic() + CATCH_UP_SECONDS
        self._stuck: tuple[str, int] = ("", 0)  # the record that fails, and how often it has

    @property
    def is_behind(self) -> bool:
        """Whether ends wait that are about to be charged, as when the database is just back.

        Their reservations may have expired meanwhile; whoever frees those now gives their money to others.
        """
        return self._spool.holds_files and time.monotonic() < self._catch_up_until

    async def keep(self, call: FinishCall, promised: OpenCall | None, *, waited_seconds: float = 0.0) -> FinishOutcome:
        """Spooled once it is on disk, or NotSaved when the disk does not take it either.

        `promised`: the call as it was allowed, where that is known. `waited_seconds`: how long ago the finish was said.
        """
        self._note_outage()
        ended_at = call.ended_at or self._now() - timedelta(seconds=waited_seconds)
        details = None if promised is None else promised.details
        finish = SpooledFinish(replace(call, ended_at=ended_at), details)
        try:
            await self._spool.append(finish_to_payload(finish))
        except SpoolRefused as error:
            self._observer.spool_not_taken(error.why.value)
            _log.error("finish_lost", **_said(call), spool=str(self._spool.directory), error=error.why.value)
            return NotSaved(DeclineReason.UNAVAILABLE, str(error))
        self._observer.spooled()
        return _spooled(call, promised)

    async def turn(self) -> None:
        """Take over what dead processes left, and charge what waits until nothing does, or nothing can be charged."""
        self._note_outage()
        if time.monotonic() >= self._adopt_at:
            self._adopt_at = time.monotonic() + ADOPT_SECONDS
            await self._spool.adopt()
        while self._spool.holds_files and self._is_up():
            window = await self._spool.window(REPLAY_WINDOW)
            if window is None or not await self._replay(window):
                return

    async def close(self) -> None:
        """Let go of the files; what waits in them waits for the next process."""
        await self._spool.close()

    def _note_outage(self) -> None:
        if not self._is_up():
            self._catch_up_until = time.monotonic() + CATCH_UP_SECONDS

    async def _replay(self, window: Window) -> bool:
        """Charge the window's records; whether all of those begun are done with."""
        batch = _one_of_each_call(window.records)
        outcomes = await asyncio.gather(*(self._settle(finish) for _, finish in batch), return_exceptions=True)
        refused: list[bytes] = []
        count = 0
        for (record, finish), outcome in zip(batch, outcomes, strict=True):
            verdict = self._judge(f"{window.file.path.name}:{record.start}", record, finish, outcome)
            if not verdict.done:
                break
            count += 1
            if verdict.refusal is not None:
                refused.append(verdict.refusal)
        if refused:
            await self._spool.keep_refused(window, refused)
        await self._spool.done(window, count)
        return count == len(batch)

    async def _settle(self, finish: SpooledFinish | UnreadableRecord) -> FinishOutcome:
        if isinstance(finish, UnreadableRecord):
            return NotSaved(DeclineReason.BAD_REQUEST)
        return await self._charge(finish.call, finish.details)

    def _judge(
        self,
        name: str,
        record: Record,
        finish: SpooledFinish | UnreadableRecord,
        outcome: FinishOutcome | BaseException,
    ) -> _Verdict:
        if isinstance(finish, UnreadableRecord):
            self._observer.spool_refused(UNREADABLE)
            _log.error("finish_unreadable", record=name, error=str(finish))
            return _Verdict(True, record.payload)
        match outcome:
            case Saved():
                self._observer.spool_replayed(outcome.overrun > 0)
                answer = "repeated" if outcome.repeated else "saved"
                _log.info("finish_replayed", **_said(finish.call), outcome=answer, cost=str(outcome.cost))
                return _DONE
            case NotSaved(reason=DeclineReason.UNAVAILABLE | DeclineReason.OVERLOADED) | Unavailable() | Overloaded():
                return _WAIT
            case NotSaved():
                return self._refuse(finish, outcome.reason.value, outcome.detail)
            case BaseException():
                return self._unexpected(name, finish, outcome)
        raise AssertionError("a replayed finish is not spooled again")

    def _unexpected(self, name: str, finish: SpooledFinish, error: BaseException) -> _Verdict:
        """A fault of ours or the database's: it may pass, so it is tried again; it may not, so not for ever."""
        before = self._stuck[1] if self._stuck[0] == name else 0
        self._stuck = name, before + 1
        if before == 0:
            _log.error("finish_replay_failed", **_said(finish.call), exc_info=error)
        if before + 1 < REPLAY_TRIES:
            return _WAIT
        return self._refuse(finish, INTERNAL, f"{type(error).__name__}: {error}")

    def _refuse(self, finish: SpooledFinish, reason: str, detail: str) -> _Verdict:
        self._observer.spool_refused(reason)
        _log.error("finish_refused", **_said(finish.call), reason=reason, detail=detail)
        return _Verdict(True, finish_to_payload(finish, refused=reason, detail=detail[:1_000]))


def _one_of_each_call(records: Sequence[Record]) -> list[tuple[Record, SpooledFinish | UnreadableRecord]]:
    """The records up to the first whose call is among them already: that one has to wait for its turn."""
    batch: list[tuple[Record, SpooledFinish | UnreadableRecord]] = []
    calls = set()
    for record in records:
        try:
            finish: SpooledFinish | UnreadableRecord = finish_from_payload(record.payload)
        except UnreadableRecord as error:
            finish = error
        if isinstance(finish, SpooledFinish):
            if finish.call.call_key in calls:
                break
            calls.add(finish.call.call_key)
        batch.append((record, finish))
    return batch


def _spooled(call: FinishCall, promised: OpenCall | None) -> Spooled:
    """The answer to a finish that waits: with the cost, if the rate that was frozen for the call is known."""
    details = None if promised is None else promised.details
    charged = charge(Rate.from_json(details.rate), call.seconds) if details is not None and details.rate else None
    return Spooled(
        call_key=call.call_key,
        seconds=call.seconds,
        destination=call.destination if details is None else details.destination,
        callerid=(call.callerid or "") if details is None else details.callerid,
        disposition=call.disposition,
        cause=call.cause,
        cost=None if charged is None else charged.cost,
        currency=None if promised is None else promised.currency or None,
        billed_seconds=None if charged is None else charged.billed_seconds,
        direction="" if details is None else details.direction,
        route_name="" if details is None else details.route_name,
    )


def _said(call: FinishCall) -> dict[str, object]:
    """A finish in the words of the log: all that a person needs to charge it by hand."""
    return {
        "call_key": str(call.call_key),
        "login": call.login,
        "destination": call.destination,
        "seconds": call.seconds,
        "disposition": call.disposition,
        "cause": call.cause,
        "ended_at": None if call.ended_at is None else call.ended_at.isoformat(),
    }
