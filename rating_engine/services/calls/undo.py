"""What is held for answers that nobody heard, given back: within seconds, and once the database is there again.

Laws: a claim is written down before the ledger is asked, and until its answer is told or given back, so that a process
that is killed, or stopped while the database is away, leaves it to the next one. Giving back is harmless for whoever
was told: the ledger frees a reservation only when every request that asked for it has given its claim back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from typing import Final

import structlog

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import Claim
from rating_engine.domain.reservation import SettleOutcome, SettleRequest, SettleSource
from rating_engine.services.calls.ports import CallLedger, NoBook, UnheardBook

CLAIMS_KEPT: Final = 100_000  # beyond an outage of half a minute under full load; what is beyond expires
AT_ONCE: Final = 128  # given back side by side: they share the ledger's batches and leave calls room
# A statement whose answer was lost may still be under way at the server, behind a lock, say: that nothing is held yet
# does not mean that nothing will be. So it is asked again, for longer than any statement of ours may run.
DOUBT_SECONDS: Final = 60.0
ADOPT_SECONDS: Final = 10.0  # how long the claims of a dead process wait at most for a living one

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Pending:
    """A claim to be given back. `place`: in the book. Times are of the monotonic clock."""

    claim: Claim
    place: int | None
    doubtful_until: float
    next_at: float
    wait: float = 1.0


class Undo:
    """Claims whose answer is on its way, and those that are to be given back."""

    def __init__(
        self,
        ledger: CallLedger,
        book: UnheardBook | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._book = book or NoBook()
        self._clock = clock
        self._places: dict[Claim, int] = {}
        self._pending: dict[Claim, _Pending] = {}
        self._adopt_at = 0.0

    def __len__(self) -> int:
        """How many are to be given back."""
        return len(self._pending)

    def asking(self, claim: Claim) -> None:
        """The ledger is about to be asked for this claim."""
        place = self._book.note(claim)
        if place is not None:
            self._places[claim] = place

    def told(self, claim: Claim) -> None:
        """Its answer is about to be told, or nothing is held by it."""
        place = self._places.pop(claim, None)
        if place is not None:
            self._book.clear(place)

    def give_back(self, claim: Claim) -> None:
        """Nobody heard its answer: whatever is held by it is freed soon. Needs no database, and never waits."""
        if claim in self._pending:
            return
        if len(self._pending) >= CLAIMS_KEPT:
            _log.error("undo_full", call_key=str(claim.call_key), kept=CLAIMS_KEPT)
            self.told(claim)
            return
        place = self._places.pop(claim, None)
        now = self._clock()
        self._pending[claim] = _Pending(
            claim, self._book.note(claim) if place is None else place, now + DOUBT_SECONDS, now
        )

    async def turn(self) -> None:
        """Give back what can be; what cannot be now is tried at the next turn."""
        await self._adopt()
        now = self._clock()
        due = [pending for pending in self._pending.values() if pending.next_at <= now]
        waiting = iter(due)
        while batch := list(islice(waiting, AT_ONCE)):
            answers = await asyncio.gather(*map(self._settle, batch), return_exceptions=True)
            for pending, answer in zip(batch, answers, strict=True):
                self._judge(pending, answer)
            if all(isinstance(answer, Unavailable | Overloaded) for answer in answers):
                return

    async def _settle(self, pending: _Pending) -> SettleOutcome:
        return (await self._ledger.settle(_void(pending.claim))).outcome

    def _judge(self, pending: _Pending, answer: SettleOutcome | BaseException) -> None:
        if isinstance(answer, Unavailable | Overloaded):
            return  # as it is, at the next turn
        if isinstance(answer, Exception):
            _log.error("undo_failed", call_key=str(pending.claim.call_key), exc_info=answer)
        elif isinstance(answer, BaseException):
            raise answer
        elif answer is not SettleOutcome.UNKNOWN:
            self._done(pending)
            return
        now = self._clock()
        if now >= pending.doubtful_until:
            self._done(pending)
            return
        pending.next_at = now + pending.wait
        pending.wait *= 2

    def _done(self, pending: _Pending) -> None:
        self._pending.pop(pending.claim, None)
        if pending.place is not None:
            self._book.clear(pending.place)

    async def _adopt(self) -> None:
        now = self._clock()
        if now < self._adopt_at:
            return
        self._adopt_at = now + ADOPT_SECONDS
        try:
            left = await asyncio.to_thread(self._book.adopt)
        except OSError as error:
            _log.error("unheard_unreadable", error=str(error))
            return
        for claim in left:
            self.give_back(claim)
        if left:
            _log.warning("unheard_adopted", claims=len(left))


def _void(claim: Claim) -> SettleRequest:
    return SettleRequest(
        call_key=claim.call_key,
        bucket=claim.bucket,
        account_id=claim.account_id,
        seconds=0,
        billed_seconds=0,
        cost=Decimal(0),
        disposition="ABANDONED",
        cause=0,
        source=SettleSource.ABANDONED,
        claim=claim.number,
    )
