"""The end of reservations whose finish never came, and whose exchange could not say more. Every engine does it.

Law: a call that was not seen to be answered is voided; one that was is charged by the policy the operator chose.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from rating_engine.domain.watching import Decision, ExpiryPolicy
from rating_engine.services.calls.extend import LastingCalls, LastingObserver
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.calls.open_calls import expired_answered
from rating_engine.storage.postgres.pool import Database

BATCH: Final = 256  # of the ledger; the rest at the next turn

_log = structlog.get_logger(__name__)


class Expiry:
    """`unseen_seconds`: a call that was seen alive more recently is still somebody's, however old."""

    def __init__(
        self,
        ledger: Ledger,
        database: Database,
        lasting: LastingCalls,
        *,
        observer: LastingObserver,
        policy: ExpiryPolicy,
        buckets: int,
        unseen_seconds: float,
    ) -> None:
        self._ledger = ledger
        self._database = database
        self._lasting = lasting
        self._observer = observer
        self._policy = policy
        self._buckets = buckets
        self._unseen_seconds = unseen_seconds

    async def turn(self) -> None:
        """Void and charge what has expired. Errors: Unavailable, Overloaded (the rest is done at the next turn)."""
        for bucket in range(self._buckets):
            voided = await self._ledger.expire(bucket)
            if voided:
                self._observer.reconciled(Decision.EXPIRED_UNANSWERED.value, voided)
                _log.warning("reservations_expired", bucket=bucket, count=voided)
            answered = await expired_answered(self._database, bucket, unseen_seconds=self._unseen_seconds, limit=BATCH)
            await asyncio.gather(*(self._lasting.expire_call(call, self._policy) for call in answered))
