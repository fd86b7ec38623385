"""Ends that exchanges were seen to say, against the CDRs: a finish that contradicts them is put right.

Laws: only what was heard of both, answer and hangup, counts. A call whose finish has not come yet is left to it, and to
reconciliation after it. A call is put right once, however often it is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.watching import SeenCall
from rating_engine.services.calls.ports import Now, utc_now
from rating_engine.services.calls.seen import contradicts, seconds_seen
from rating_engine.services.watch.exchange_link import ExchangeLink, time_of
from rating_engine.storage.calls.ended_calls import EndedAttempt, ended_attempts
from rating_engine.storage.postgres.pool import Database

FINISH_SECONDS: Final = 3.0  # a finish is said when the channel hangs up, and is here by then but under load
TRIES: Final = 8  # every FINISH_SECONDS: one that comes later finds the call reconciled, by what was seen
ENDS_KEPT: Final = 10_000  # a minute of the busiest exchange; beyond it the oldest are passed over
PAGE: Final = 500  # keys of one question, a few milliseconds
ATTEMPT_SECONDS: Final = 2.0  # so long after its answer an attempt may seem to have been prepared: two clocks

# Of a bucket, a call, its seconds and its end; whether anything was put right.
Correct = Callable[[int, CallKey, int, datetime], Awaitable[bool]]

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _End:
    seen: SeenCall
    answered_at: datetime
    ended_at: datetime
    due: float
    tries: int = 0

    @property
    def seconds(self) -> int:
        return seconds_seen(self.answered_at, self.ended_at)


class SeenEnds:
    """Those of one exchange. `correct`: as Finishing.correct_by_seen."""

    def __init__(
        self, link: ExchangeLink, database: Database, correct: Correct, *, buckets: int, now: Now = utc_now
    ) -> None:
        self._link = link
        self._database = database
        self._correct = correct
        self._buckets = buckets
        self._now = now
        self._waiting: list[_End] = []

    async def turn(self) -> None:
        """Look at those that are due. Errors: Unavailable (looked at again)."""
        now = time.monotonic()
        for seen in self._link.take_ends():
            if seen.answered_at is not None and seen.ended_at is not None:
                times = time_of(seen.answered_at, self._now), time_of(seen.ended_at, self._now)
                self._waiting.append(_End(seen, *times, due=now + FINISH_SECONDS))
        self._waiting = self._waiting[-ENDS_KEPT:]
        due = [end for end in self._waiting if end.due <= now][:PAGE]
        if not due:
            return
        uniqueids = sorted({end.seen.uniqueid for end in due})
        attempts = await ended_attempts(self._database, self._link.exchange, uniqueids, buckets=self._buckets)
        done = [end for end in due if await self._is_done(end, attempts.get(end.seen.uniqueid, ()))]
        self._waiting = [end for end in self._waiting if end not in done]

    async def _is_done(self, end: _End, attempts: tuple[EndedAttempt, ...]) -> bool:
        """Whether nothing is to be done about it any more."""
        found = _attempt_of(end, attempts)
        end.tries, end.due = end.tries + 1, time.monotonic() + FINISH_SECONDS
        if found is None:
            return end.tries >= TRIES
        if contradicts(found.seconds, end.seconds):
            try:
                await self._correct(found.bucket, found.call_key, end.seconds, end.ended_at)
            except (Unavailable, Overloaded) as error:
                _log.debug("correction_put_off", call_key=str(found.call_key), error=str(error))
                return end.tries >= TRIES
        return True


def _attempt_of(end: _End, attempts: tuple[EndedAttempt, ...]) -> EndedAttempt | None:
    """The attempt that was answered then: the last one that had been prepared; None: it has not ended yet."""
    before = [one for one in attempts if (one.prepared_at - end.answered_at).total_seconds() <= ATTEMPT_SECONDS]
    latest = max(before, key=lambda one: one.call_key.attempt, default=None)
    return None if latest is None or latest.is_open else latest
