"""Calls that last: the money of their next seconds, asked for in slices, and what becomes of those nobody finishes.

Laws: what a call may last never exceeds what its reservation pays for. What is assumed of a call's end is charged by
the rate that was frozen for it, and is corrected by a finish that comes later.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

import structlog

from rating_engine.domain.call_charge import charge_call, paid_seconds
from rating_engine.domain.outcomes import Extended
from rating_engine.domain.reservation import (
    ExtendAnswer,
    ExtendOutcome,
    ExtendRequest,
    SettleAnswer,
    SettleOutcome,
    SettleRequest,
    SettleSource,
)
from rating_engine.domain.watching import Decision, ExpiryPolicy, OpenReservation
from rating_engine.rating.charge import max_charge
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.seen import ANSWERED, seconds_charged

LOST: Final = "LOST"
EXPIRED: Final = "EXPIRED"

_log = structlog.get_logger(__name__)


class LastingLedger(Protocol):
    """Where money is held and charged. Errors of each: Unavailable (outcome unknown), Overloaded (nothing done)."""

    async def extend(self, request: ExtendRequest, /) -> ExtendAnswer:
        """Hold more money for a call, or less."""
        ...

    async def settle(self, request: SettleRequest, /) -> SettleAnswer:
        """Charge a call and free the rest."""
        ...


class LastingObserver(Protocol):
    """Where decisions are counted (telemetry)."""

    def reconciled(self, decision: str, count: int = 1) -> None:
        """So many reservations that nobody finished were decided so; a Decision."""


class LastingCalls:
    """`quota_seconds`: one slice of a call in quota mode; `grace_seconds`: how long past it its finish may come."""

    def __init__(
        self, ledger: LastingLedger, *, quota_seconds: int, grace_seconds: int, observer: LastingObserver
    ) -> None:
        self._ledger = ledger
        self._quota_seconds = quota_seconds
        self._grace_seconds = grace_seconds
        self._observer = observer

    async def extend_call(
        self,
        call: OpenReservation,
        *,
        talked_seconds: int,
        slice_seconds: int | None = None,
        answered_at: datetime | None = None,
    ) -> Extended | None:
        """Hold the money of one more slice past `talked_seconds`; None when the call has ended.

        The last slice is cut to the second that the money pays. `slice_seconds` None: as the settings say.
        Errors: Unavailable, Overloaded (ask again).
        """
        wanted = min(call.cap_seconds, talked_seconds + (slice_seconds or self._quota_seconds))
        answer = await self._ask(call, wanted, talked_seconds, answered_at, give_back=False)
        return _extended(call, wanted, answer)

    async def give_back(self, call: OpenReservation, *, talked_seconds: int, keep_seconds: int) -> Extended | None:
        """Free what a call holds past second `keep_seconds`, for the other calls of its account; None: it has ended.

        The exchange must have been told the shorter limit before. Errors: Unavailable, Overloaded.
        """
        keep = min(call.cap_seconds, keep_seconds)
        answer = await self._ask(call, keep, talked_seconds, None, give_back=True)
        return _extended(call, keep, answer)

    async def _ask(
        self, call: OpenReservation, until: int, talked: int, answered_at: datetime | None, *, give_back: bool
    ) -> ExtendAnswer:
        return await self._ledger.extend(
            ExtendRequest(
                call_key=call.call_key,
                bucket=call.bucket,
                account_id=call.account_id,
                maximum=max_charge(Rate.from_json(call.rate), until),
                lifetime_seconds=max(until - talked, 0) + self._grace_seconds,
                answered_at=answered_at,
                give_back=give_back,
                resellers=tuple(
                    (one.account_id, max_charge(Rate.from_json(one.rate), until)) for one in call.resellers
                ),
            )
        )

    async def reconcile_call(
        self, call: OpenReservation, *, ended_at: datetime | None = None, cause: int = 0, superseded: bool = False
    ) -> Decision:
        """End a call whose channel is gone and whose finish has not come; says what was decided.

        Charged from its answer to `ended_at` if its hangup was seen, else to when it was last seen alive; voided when
        it was not answered. `superseded`: its channel went on to a later attempt. Errors: Unavailable, Overloaded.
        """
        if call.answered_at is None:
            decision = Decision.SUPERSEDED if superseded else Decision.NOT_ANSWERED
            return await self._end(call, decision, seconds=0, cause=cause, ended_at=ended_at, disposition=LOST)
        decision = Decision.LAST_SEEN if ended_at is None else Decision.HANGUP_SEEN
        end = ended_at or call.last_seen_at or call.answered_at
        seconds = _seconds_charged(call, call.answered_at, end, assumed=ended_at is None)
        seen = None if ended_at is None else seconds
        return await self._end(
            call, decision, seconds=seconds, cause=cause, ended_at=end, disposition=ANSWERED, seen_seconds=seen
        )

    async def expire_call(self, call: OpenReservation, policy: ExpiryPolicy) -> Decision:
        """End a call that was seen answered and has expired; says what was decided. Errors: Unavailable, Overloaded."""
        if policy is ExpiryPolicy.VOID or call.answered_at is None:
            return await self._end(
                call, Decision.EXPIRED_VOIDED, seconds=0, disposition=EXPIRED, source=SettleSource.EXPIRED
            )
        longest = paid_for(call)
        if policy is ExpiryPolicy.GRANTED:
            return await self._end(call, Decision.EXPIRED_GRANTED, seconds=max(longest, 1), disposition=ANSWERED)
        end = call.last_seen_at or call.answered_at
        seconds = _seconds_charged(call, call.answered_at, end, assumed=True)
        return await self._end(call, Decision.EXPIRED_SEEN, seconds=seconds, ended_at=end, disposition=ANSWERED)

    async def _end(
        self,
        call: OpenReservation,
        decision: Decision,
        *,
        seconds: int,
        disposition: str,
        cause: int = 0,
        ended_at: datetime | None = None,
        source: SettleSource = SettleSource.RECONCILED,
        seen_seconds: int | None = None,
    ) -> Decision:
        charged = charge_call(call.rate, call.carrier_rate, call.carrier_exchange, seconds, call.resellers)
        answer = await self._ledger.settle(
            SettleRequest(
                call_key=call.call_key,
                bucket=call.bucket,
                account_id=call.account_id,
                seconds=seconds,
                billed_seconds=charged.billed_seconds,
                cost=charged.cost,
                disposition=disposition,
                cause=cause,
                source=source,
                ended_at=ended_at,
                carrier_cost=charged.carrier_cost,
                margin=charged.margin,
                covered_seconds=charged.covered_seconds,
                seen_seconds=seen_seconds,
                resellers=charged.resellers,
            )
        )
        if answer.outcome is not SettleOutcome.SETTLED:
            decision = Decision.FINISHED
        self._observer.reconciled(decision.value)
        _log.warning(
            "call_reconciled",
            call_key=str(call.call_key),
            decision=decision.value,
            seconds=seconds,
            cost=str(charged.cost),
            overrun=str(answer.overrun),
        )
        return decision


def _extended(call: OpenReservation, wanted: int, answer: ExtendAnswer) -> Extended | None:
    if answer.outcome is ExtendOutcome.UNKNOWN:
        return None
    longest = paid_for(replace(call, granted=answer.granted, resellers_granted=answer.resellers_granted))
    _log.debug("call_extended", call_key=str(call.call_key), max_seconds=longest, granted=str(answer.granted))
    return Extended(
        max_seconds=longest,
        granted=answer.granted,
        final=longest < wanted or longest >= call.cap_seconds,
        resellers_granted=answer.resellers_granted,
    )


def paid_for(call: OpenReservation) -> int:
    """The seconds that what a call was granted pays for."""
    rate = Rate.from_json(call.rate)
    return paid_seconds(rate, call.granted, call.cap_seconds, call.resellers, call.resellers_granted)


def _seconds_charged(call: OpenReservation, answered_at: datetime, ended_at: datetime, *, assumed: bool) -> int:
    return seconds_charged(paid_for(call), answered_at, ended_at, assumed=assumed)
