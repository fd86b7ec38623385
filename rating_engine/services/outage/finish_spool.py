"""Finishes that could not be charged when they were said: kept on this engine's disk, and charged when they can be.

Laws: a finish that is answered as spooled is charged once, however long that takes; only one whose own content keeps it
from being charged is kept aside, with the reason, for a person. What cannot be charged now waits, less and less often
tried, and holds up nothing but later finishes of its own call. Replaying is saying the finish again, so doing it twice
is harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

import structlog

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import CallKey, DeclineReason, FinishCall, FinishOutcome, NotSaved, Saved, Spooled
from rating_engine.domain.reservation import CallDetails, OpenCall
from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.ports import Now, utc_now
from rating_engine.storage.postgres.blame import blames_data
from rating_engine.storage.spool.finish_record import (
    SpooledFinish,
    UnreadableRecord,
    finish_from_payload,
    finish_to_payload,
)
from rating_engine.storage.spool.spool import Place, Spool, SpoolRefused, Window
from rating_engine.storage.spool.spool_records import Record

REPLAY_WINDOW: Final = 128  # finishes charged side by side: they share the ledger's batches and leave calls room
RETRY_SECONDS: Final = 1.0  # until a finish that failed is tried again the first time, doubled each time
RETRY_SECONDS_MAX: Final = 60.0  # one that a person must mend something for is charged within this once it is mended
FAILURES_MAX: Final = 1_000  # in a row: then it is no fault of single finishes, and the others are left for later
ADOPT_SECONDS: Final = 10.0  # how long the files of a dead process wait at most for a living one
# How long others wait for the spool to be emptied once the database is back: thousands a second are charged.
CATCH_UP_SECONDS: Final = 60.0
LINES_A_TURN: Final = 20  # of what failed; the metric says how many they are
UNREADABLE: Final = "unreadable"
INTERNAL: Final = "internal"
_MAY_PASS: Final = frozenset({DeclineReason.UNAVAILABLE, DeclineReason.OVERLOADED, DeclineReason.ACCOUNT_LOCKED})

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

    def spool_stuck(self, count: int) -> None:
        """So many finishes were tried and could not be charged; they wait on."""

    def spool_aside(self, count: int) -> None:
        """So many lie in the directory for a person."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What became of one record. `refusal`: its line for the .refused file. `failed`: not for a reason that passes."""

    done: bool
    refusal: bytes | None = None
    failed: bool = False


_WAIT: Final = _Verdict(done=False)
_FAILED: Final = _Verdict(done=False, failed=True)
_DONE: Final = _Verdict(done=True)

_Read = SpooledFinish | UnreadableRecord


@dataclass(slots=True)
class _Stuck:
    """A record that could not be charged, or is of a call that has an earlier one. Times are monotonic."""

    call_key: CallKey
    next_at: float
    tries: int = 0


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
        self._stuck: dict[Place, _Stuck] = {}
        self._failed_in_a_row = 0
        self._tried: set[Place] = set()  # at this turn, in vain
        self._said = 0  # lines of this turn

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
            self._observer.spool_aside(await asyncio.to_thread(self._spool.count_aside))
        self._failed_in_a_row = 0
        self._tried.clear()
        self._said = 0
        while self._spool.holds_files and self._is_up():
            window = await self._spool.window(REPLAY_WINDOW, self._passed_over())
            if window is None or not await self._replay(window):
                break
        self._observer.spool_stuck(len(self._stuck))

    async def close(self) -> None:
        """Let go of the files; what waits in them waits for the next process."""
        await self._spool.close()

    def _note_outage(self) -> None:
        if not self._is_up():
            self._catch_up_until = time.monotonic() + CATCH_UP_SECONDS

    def _passed_over(self) -> frozenset[Place]:
        """The records whose time has not come, or has been."""
        now = time.monotonic()
        return frozenset(self._tried.union(place for place, stuck in self._stuck.items() if stuck.next_at > now))

    async def _replay(self, window: Window) -> bool:
        """Charge the window's records; whether it is any use to go on with others."""
        batch = self._batch(window)
        outcomes = await asyncio.gather(*(self._settle(finish) for _, finish in batch), return_exceptions=True)
        refused: list[bytes] = []
        done: list[Record] = []
        for (record, finish), outcome in zip(batch, outcomes, strict=True):
            verdict = self._judge(record, finish, outcome, self._stuck.get(window.place(record)))
            if verdict.done:
                done.append(record)
                if verdict.refusal is not None:
                    refused.append(verdict.refusal)
            elif isinstance(finish, SpooledFinish):
                self._wait(window.place(record), finish.call.call_key, verdict.failed)
        if refused:
            await self._spool.keep_refused(window, refused)
        await self._spool.done(window, done)
        for record in done:
            self._stuck.pop(window.place(record), None)
        self._failed_in_a_row = 0 if done else self._failed_in_a_row + len(batch)
        is_away = bool(batch) and all(isinstance(outcome, Unavailable) for outcome in outcomes)
        return not is_away and self._failed_in_a_row < FAILURES_MAX

    def _batch(self, window: Window) -> list[tuple[Record, _Read]]:
        """The records up to the first whose call is among them already: that one has to wait for its turn.

        One of a call that has an earlier finish waiting is passed over until that one has had its turn.
        """
        waiting: dict[CallKey, tuple[Place, float]] = {}
        for place, stuck in self._stuck.items():
            waiting.setdefault(stuck.call_key, (place, stuck.next_at))
        batch: list[tuple[Record, _Read]] = []
        calls = set()
        for record in window.records:
            finish = _read(record)
            if isinstance(finish, SpooledFinish):
                key = finish.call.call_key
                place = window.place(record)
                if key in calls:
                    break
                if key in waiting and waiting[key][0] != place:
                    self._stuck.setdefault(place, _Stuck(key, 0.0)).next_at = waiting[key][1]
                    self._tried.add(place)
                    continue
                calls.add(key)
            batch.append((record, finish))
        return batch

    async def _settle(self, finish: _Read) -> FinishOutcome:
        if isinstance(finish, UnreadableRecord):
            return NotSaved(DeclineReason.BAD_REQUEST)
        return await self._charge(finish.call, finish.details)

    def _wait(self, place: Place, call_key: CallKey, failed: bool) -> None:
        """Try it again: what may pass at the next turn, what failed less and less often."""
        self._tried.add(place)
        stuck = self._stuck.setdefault(place, _Stuck(call_key, 0.0))
        if failed:
            doubled = min(stuck.tries, 10)  # more would only be larger than the largest
            stuck.tries += 1
            stuck.next_at = time.monotonic() + min(RETRY_SECONDS * 2**doubled, RETRY_SECONDS_MAX)

    def _judge(
        self, record: Record, finish: _Read, outcome: FinishOutcome | BaseException, before: _Stuck | None
    ) -> _Verdict:
        if isinstance(finish, UnreadableRecord):
            self._observer.spool_refused(UNREADABLE)
            _log.error("finish_unreadable", record=record.start, error=str(finish))
            return _Verdict(True, record.payload)
        match outcome:
            case Saved():
                self._observer.spool_replayed(outcome.overrun > 0)
                answer = "repeated" if outcome.repeated else "saved"
                _log.info("finish_replayed", **_said(finish.call), outcome=answer, cost=str(outcome.cost))
                return _DONE
            case Unavailable() | Overloaded():
                return _WAIT
            case NotSaved(reason=reason) if reason in _MAY_PASS:
                return _WAIT
            case NotSaved():
                return self._refuse(finish, outcome.reason.value, outcome.detail)
            case BaseException() if blames_data(outcome):
                return self._refuse(finish, INTERNAL, f"{type(outcome).__name__}: {outcome}")
            case BaseException():
                self._say_stuck(finish, outcome, 0 if before is None else before.tries)
                return _FAILED
        raise AssertionError("a replayed finish is not spooled again")

    def _say_stuck(self, finish: SpooledFinish, error: BaseException, tries: int) -> None:
        """One traceback and some lines a turn: a fault that all have says the same of each."""
        self._said += 1
        if self._said == 1 and tries == 0:
            _log.error("finish_replay_failed", **_said(finish.call), tries=1, exc_info=error)
        elif self._said <= LINES_A_TURN:
            problem = f"{type(error).__name__}: {error}"
            _log.error("finish_replay_failed", **_said(finish.call), tries=tries + 1, error=problem)

    def _refuse(self, finish: SpooledFinish, reason: str, detail: str) -> _Verdict:
        self._observer.spool_refused(reason)
        _log.error("finish_refused", **_said(finish.call), reason=reason, detail=detail)
        return _Verdict(True, finish_to_payload(finish, refused=reason, detail=detail[:1_000]))


def _read(record: Record) -> _Read:
    try:
        return finish_from_payload(record.payload)
    except UnreadableRecord as error:
        return error


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
