"""Calls that last: the money of their next seconds, asked for in slices.

Law: what a call may last never exceeds what its reservation pays for.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from rating_engine.domain.outcomes import CallKey, Extended
from rating_engine.domain.reservation import ExtendOutcome, ExtendRequest, OpenCall
from rating_engine.rating.charge import max_charge, max_duration
from rating_engine.rating.rate import Rate
from rating_engine.storage.ledger import Ledger

_log = structlog.get_logger(__name__)


class LastingCalls:
    """Slices of calls in quota mode. `quota_seconds`: one slice; `grace_seconds`: how long its finish may take then."""

    def __init__(self, ledger: Ledger, *, quota_seconds: int, grace_seconds: int) -> None:
        self._ledger = ledger
        self._quota_seconds = quota_seconds
        self._grace_seconds = grace_seconds

    async def extend_call(
        self, call_key: CallKey, bucket: int, *, talked_seconds: int, answered_at: datetime | None = None
    ) -> Extended | None:
        """Hold the money of one more slice past `talked_seconds`; None when the call has ended.

        The last slice is cut to the second that the money pays. Errors: Unavailable, Overloaded (ask again).
        """
        held = await self._ledger.find(bucket, call_key)
        if not isinstance(held, OpenCall):
            return None
        rate = Rate.from_json(held.details.rate)
        wanted = min(held.cap_seconds, talked_seconds + self._quota_seconds)
        answer = await self._ledger.extend(
            ExtendRequest(
                call_key=call_key,
                bucket=bucket,
                account_id=held.account_id,
                maximum=max_charge(rate, wanted),
                lifetime_seconds=wanted - talked_seconds + self._grace_seconds,
                answered_at=answered_at,
            )
        )
        if answer.outcome is ExtendOutcome.UNKNOWN:
            return None
        longest = max_duration(rate, answer.granted, held.cap_seconds)
        _log.debug("call_extended", call_key=str(call_key), max_seconds=longest, granted=str(answer.granted))
        return Extended(max_seconds=longest, final=longest < wanted or longest >= held.cap_seconds)
