"""What a call cost: the charge by the rate that its reservation froze, and the settlement that makes it true.

Laws: however often an end is said, and by whomever, a call is charged once; saying it otherwise is a conflict. An end
that cannot be of this call, because another channel says it, does not end it (`_is_another`). What its exchange was
seen to say is believed against a finish that contradicts it: both are kept, and the call is marked for a person.

It owns what this process remembers of calls that were allowed (`remembered`), since their end is what that is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import Subscriber
from rating_engine.domain.call_charge import CallCharge, charge_call, paid_seconds
from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import CallKey, Claim, DeclineReason, FinishCall, NotSaved, Saved
from rating_engine.domain.reservation import (
    CallDetails,
    EndedCall,
    OpenCall,
    PackageUse,
    SettleOutcome,
    SettleRequest,
    SettleSource,
    Suspicion,
)
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.money import quantise
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.inbound_price import came_in_by
from rating_engine.services.calls.number import sent_callerid
from rating_engine.services.calls.plan import Planning
from rating_engine.services.calls.ports import CallLedger, Now
from rating_engine.services.calls.remembered import RememberedCalls, SharedCalls
from rating_engine.services.calls.seen import ANSWERED, APART_SECONDS, contradicts, seconds_charged
from rating_engine.services.facts.sources import CallSources

# Each try reads what another one committed, or finds less left of a package; more within one finish is a storm.
CHANGED_TRIES: Final = 8

_log = structlog.get_logger(__name__)


@fast_frozen
class _End:
    """How a call ended for everybody's money. `packages`: exactly what it uses; empty: out of what it holds.

    `said`: the seconds of its finish, where those of what was seen are charged. `cost_before`: APART_SECONDS earlier.
    """

    charged: CallCharge
    packages: tuple[PackageUse, ...] = ()
    said: int | None = None
    cost_before: Decimal | None = None


class Finishing:
    """The end of calls, over the ledger."""

    def __init__(
        self,
        *,
        ledger: CallLedger,
        planning: Planning,
        sources: CallSources,
        now: Now,
        shared: SharedCalls | None = None,
        on_suspicion: Callable[[str], None] = lambda suspicion: None,
    ) -> None:
        """`now`: when a finish was said that does not say so. `shared`: what other workers remember of calls.
        `on_suspicion`: hears of each end that a person should look at."""
        self._ledger = ledger
        self._planning = planning
        self._sources = sources
        self._now = now
        self._on_suspicion = on_suspicion
        self.remembered = RememberedCalls(shared)

    def known(self, call_key: CallKey) -> OpenCall | None:
        """The call as it was allowed with the database, where that is remembered."""
        return self.remembered.get(call_key)

    def forget(self, call_key: CallKey, claim: Claim | None = None) -> Claim | None:
        """The call never starts, as far as the request of `claim` is concerned; None: that of this process.

        Answers the claim that is to be given back; None: there is none.
        """
        if claim is None or self.remembered.claim_of(call_key) == claim:
            return self.remembered.drop(call_key)
        return claim

    async def finish(
        self, call: FinishCall, promised: CallDetails | None = None, remembered: OpenCall | None = None
    ) -> Saved | NotSaved:
        """Saved with the charge, or NotSaved with the reason. Errors: Unavailable (outcome unknown), Overloaded.

        `promised`: what is known of a call that the ledger may not know, such as the rate it was allowed at.
        `remembered`: what `known` said of it, by whoever has asked.
        """
        subscriber = await self._subscriber_of(call)
        if subscriber is None:
            return NotSaved(DeclineReason.UNKNOWN_LOGIN)
        remembered = remembered or self.remembered.get(call.call_key)
        promised = remembered.details if remembered is not None else promised
        known: OpenCall | EndedCall | None = remembered
        told, repeated, unseen = call, False, False
        for _ in range(CHANGED_TRIES):
            known = known or await self._ledger.find(subscriber.bucket, call.call_key)
            if known is not None and _is_another(call, subscriber, known.details):
                return NotSaved(DeclineReason.CONFLICT, f"the call is of channel {known.details.channel}")
            call = _as_measured(call, known)
            # What is only read may be lost yet, with a primary that could not tell its standby: the repetition that
            # settle() finds is committed behind it, and so confirmed with it.
            if isinstance(known, EndedCall) and (repeated or _contradicts(call, subscriber, known)):
                return _repeat_finish(call, subscriber, known)
            told = self._as_seen(call, known) if unseen else call
            details, end = await self._reckon(call, told, subscriber, known, promised)
            saved = _saved(told, subscriber, details, end.charged)
            request = _settlement(saved, subscriber, call, known, details, end)
            answer = await self._ledger.settle(request)
            self.remembered.drop(call.call_key)
            match answer.outcome:
                case SettleOutcome.SETTLED:
                    if answer.suspicion is not Suspicion.NONE:
                        self._said(answer.suspicion, call.call_key, saved.seconds, call.seconds, saved.cost)
                    return replace(saved, overrun=answer.overrun) if answer.overrun else saved
                case SettleOutcome.CONFLICT if not call.leeway_seconds or isinstance(known, EndedCall):
                    return NotSaved(DeclineReason.CONFLICT, "another account's call, or finished before otherwise")
                case _:  # settled so before, or what was known is gone, or a package was emptied meanwhile: look again
                    repeated = answer.outcome is SettleOutcome.REPEATED
                    unseen = unseen or answer.outcome is SettleOutcome.UNSEEN
                    known = None
        raise Unavailable("the call kept changing")

    async def _subscriber_of(self, call: FinishCall) -> Subscriber | None:
        """Whose call it is; one that names nobody is of who pays for the number that it came in by, else of the line
        that its number is known to ring from."""
        if not call.login and (number := came_in_by(call)) is not None:
            called = await self._sources.called_number(number)
            return None if called is None or called.login is None else await self._sources.subscriber(called.login)
        if call.login or not call.callerid:
            return await self._sources.subscriber(call.login)
        known = await self._sources.known_caller(digits_of(call.callerid))
        return None if known is None else await self._sources.subscriber(known[0])

    async def foresee(self, call: FinishCall) -> Saved | NotSaved:
        """What `finish` would answer now, of a call that is alone; nothing changes. Errors: Unavailable, Overloaded."""
        subscriber = await self._sources.subscriber(call.login)
        if subscriber is None:
            return NotSaved(DeclineReason.UNKNOWN_LOGIN)
        known = await self._ledger.find(subscriber.bucket, call.call_key)
        if known is not None and not _is_of(subscriber, known):
            return NotSaved(DeclineReason.CONFLICT, "another account's call")
        if known is not None and _is_another(call, subscriber, known.details):
            return NotSaved(DeclineReason.CONFLICT, f"the call is of channel {known.details.channel}")
        if isinstance(known, EndedCall) and (_contradicts(call, subscriber, known) or not known.provisional):
            return _repeat_finish(call, subscriber, known)
        told = self._as_seen(call, known) if self._is_unseen(call, known) else call
        details, end = await self._reckon(call, told, subscriber, known, None)
        return _saved(told, subscriber, details, end.charged)

    async def _reckon(
        self,
        call: FinishCall,
        told: FinishCall,
        subscriber: Subscriber,
        known: OpenCall | EndedCall | None,
        promised: CallDetails | None,
    ) -> tuple[CallDetails, _End]:
        """What the call goes by, and what it costs then. `told`: its end as it is believed."""
        details = known.details if known is not None else promised or await self._rate_anew(call, subscriber)
        end = await self._end(told.seconds, subscriber.bucket, known, details)
        before = _cost_before(told, known, end, details)
        if told is call and before is None:
            return details, end
        return details, replace(end, said=None if told is call else call.seconds, cost_before=before)

    async def correct_by_seen(self, bucket: int, call_key: CallKey, seconds: int, ended_at: datetime) -> bool:
        """A call that has ended was seen to last `seconds`: that is believed, where its finish contradicts it.

        Answers whether anything was corrected. Errors: Unavailable, Overloaded (ask again).
        """
        for _ in range(CHANGED_TRIES):
            known = await self._ledger.find(bucket, call_key)
            if not isinstance(known, EndedCall) or known.seen_seconds is not None:
                return False
            if not contradicts(known.seconds, seconds):
                return False
            end = await self._end(seconds, bucket, known, known.details)
            answer = await self._ledger.settle(_correction(call_key, bucket, seconds, ended_at, known, end))
            match answer.outcome:
                case SettleOutcome.SETTLED:
                    self._said(answer.suspicion, call_key, seconds, _said_of(known), end.charged.cost)
                    return True
                case SettleOutcome.UNKNOWN | SettleOutcome.PACKAGE_TAKEN:
                    continue
                case _:
                    return False
        raise Unavailable("the call kept changing")

    def _is_unseen(self, call: FinishCall, known: OpenCall | EndedCall | None) -> bool:
        """Whether the ledger will say so of this end: see end_of_call of schema.sql."""
        if isinstance(known, EndedCall):
            return (
                known.provisional and known.seen_seconds is not None and contradicts(call.seconds, known.seen_seconds)
            )
        if known is None or known.answered_at is None or call.seconds > 0:
            return False
        return ((call.ended_at or self._now()) - known.answered_at).total_seconds() >= 1

    def _as_seen(self, call: FinishCall, known: OpenCall | EndedCall | None) -> FinishCall:
        """The end of a call as its exchange was seen to say it, as far as that is known."""
        if isinstance(known, EndedCall):
            seconds = call.seconds if known.seen_seconds is None else known.seen_seconds
        elif known is None or known.answered_at is None:
            return call
        else:
            longest = longest_paid(known)
            seconds = seconds_charged(longest, known.answered_at, call.ended_at or self._now(), assumed=True)
        return replace(call, seconds=seconds, disposition=ANSWERED)

    def _said(self, suspicion: Suspicion, call_key: CallKey, seconds: int, said: int, cost: Decimal) -> None:
        self._on_suspicion(suspicion.value)
        _log.warning(
            "finish_suspicious",
            call_key=str(call_key),
            suspicion=suspicion.value,
            seconds=seconds,
            said_seconds=said,
            cost=str(cost),
        )

    async def _rate_anew(self, call: FinishCall, subscriber: Subscriber) -> CallDetails:
        now = self._now()
        started_at = (call.ended_at or now) - timedelta(seconds=call.seconds)
        return await self._planning.rate_anew(call, subscriber, started_at, now)

    async def _end(self, seconds: int, bucket: int, known: OpenCall | EndedCall | None, details: CallDetails) -> _End:
        """What the call costs. What packages have left now is used before money, though the call did not hold it."""
        charged = _charge(details, details.rate, seconds)
        if not details.packages or not details.rate:
            return _End(charged)
        if isinstance(known, OpenCall) and charged.billed_seconds == charged.covered_seconds:
            return _End(charged)
        states = await self._sources.packages(
            bucket,
            details.subscriber_id,
            [(use.package_id, use.period_start) for use in details.packages],
        )
        uses: list[PackageUse] = []
        left = charged.billed_seconds
        available = 0
        for use, state in zip(details.packages, states, strict=True):
            # What this call holds, or had used by an earlier account of its end, is its own to use.
            mine = 0 if known is None or state.seconds_left is None else use.seconds
            usable = (state.seconds_left or 0) + mine
            available += usable
            used = min(left, usable)
            left -= used
            uses.append(replace(use, seconds=used))
        # All that could be used, also where nothing is billed: then the fees of the call are waived as they were
        # promised.
        rate = replace(Rate.from_json(details.rate), covered_seconds=available)
        return _End(_charge(details, rate.to_json(), seconds), tuple(uses))


def _charge(details: CallDetails, rate: str, seconds: int) -> CallCharge:
    """What so many seconds of a call cost all, by this rate of its own."""
    return charge_call(rate, details.carrier_rate, details.carrier_exchange, seconds, details.resellers)


def longest_paid(call: OpenCall) -> int:
    """The seconds that what a call was granted pays for."""
    details, rate = call.details, Rate.from_json(call.details.rate)
    return paid_seconds(rate, call.granted, call.cap_seconds, details.resellers, call.resellers_granted)


def _saved(call: FinishCall, subscriber: Subscriber, details: CallDetails, charged: CallCharge) -> Saved:
    """What a finish costs by the frozen rate; true once it is settled."""
    return Saved(  # by place, as CallDetails
        call.call_key,
        charged.cost,
        subscriber.currency,
        charged.billed_seconds,
        call.seconds,
        details.direction,
        details.destination,
        details.callerid,
        details.route_name,
        call.disposition,
        call.cause,
    )


def _settlement(
    saved: Saved,
    subscriber: Subscriber,
    call: FinishCall,
    known: OpenCall | EndedCall | None,
    details: CallDetails,
    end: _End,
) -> SettleRequest:
    charged = end.charged
    return SettleRequest(  # by place, as CallDetails: 1 us less
        saved.call_key,
        subscriber.bucket,
        known.account_id if known is not None and _is_of(subscriber, known) else subscriber.account_id,
        saved.seconds,
        saved.billed_seconds,
        saved.cost,
        saved.disposition,
        saved.cause,
        SettleSource.FINISH,
        call.ended_at,
        details if known is None else None,
        None,  # a claim
        charged.carrier_cost,
        charged.margin,
        charged.covered_seconds,
        end.packages,
        known.rerate_id if isinstance(known, EndedCall) else None,
        "",  # a channel
        end.said,
        None,  # seen seconds
        end.cost_before,
        call.is_did,
        charged.resellers,
    )


def _correction(
    call_key: CallKey, bucket: int, seconds: int, ended_at: datetime, known: EndedCall, end: _End
) -> SettleRequest:
    return SettleRequest(
        call_key=call_key,
        bucket=bucket,
        account_id=known.account_id,
        seconds=seconds,
        billed_seconds=end.charged.billed_seconds,
        cost=end.charged.cost,
        disposition=ANSWERED,
        cause=known.cause,
        source=SettleSource.SEEN,
        ended_at=ended_at,
        carrier_cost=end.charged.carrier_cost,
        margin=end.charged.margin,
        covered_seconds=end.charged.covered_seconds,
        packages=end.packages,
        rerate_id=known.rerate_id,
        said_seconds=_said_of(known),
        seen_seconds=seconds,
        resellers=end.charged.resellers,
    )


def _said_of(ended: EndedCall) -> int:
    """The seconds of its finish, whatever was believed of them."""
    return ended.seconds if ended.said_seconds is None else ended.said_seconds


def _cost_before(
    call: FinishCall, known: OpenCall | EndedCall | None, end: _End, details: CallDetails
) -> Decimal | None:
    """What a call had cost APART_SECONDS before its end; None where it costs no more than it was granted at first."""
    if not isinstance(known, OpenCall) or end.charged.cost <= known.granted:
        return None
    earlier = max(call.seconds - APART_SECONDS, 0)
    return charge_call(details.rate, "", None, earlier).cost


def _as_measured(call: FinishCall, known: OpenCall | EndedCall | None) -> FinishCall:
    """An end that is told twice, a moment apart by two clocks, is told as it was at first, and never beyond the cut."""
    if not call.leeway_seconds:
        return call
    if isinstance(known, OpenCall):
        longest = longest_paid(known)
        is_cut = longest < call.seconds <= longest + call.leeway_seconds
        return replace(call, seconds=longest) if is_cut else call
    if isinstance(known, EndedCall) and not known.provisional:
        told = known.seconds if known.said_seconds is None else known.said_seconds
        is_same = min(call.seconds, told) > 0 and abs(call.seconds - told) <= call.leeway_seconds
        return replace(call, seconds=told) if is_same else call
    return call


def _is_another(call: FinishCall, subscriber: Subscriber, details: CallDetails) -> bool:
    """Whether this is the end of another call under the same key: two exchanges look like one, and the other's call was
    declined as a conflict.

    A transfer may have renamed the channel, so that another channel alone says little of a call that was answered; but
    a call that was not cannot be the one that runs.
    """
    if not call.channel or not details.channel or call.channel == details.channel:
        return False
    other_caller = call.callerid is not None and sent_callerid(call.callerid, subscriber) != details.callerid
    return call.seconds == 0 or other_caller


def _is_of(subscriber: Subscriber, known: OpenCall | EndedCall) -> bool:
    """Whether a call is of this subscriber's account, or its own: it may be charged on another account since then, and
    a call ends on the one that it began on."""
    return known.account_id == subscriber.account_id or known.details.subscriber_id == subscriber.subscriber_id


def _contradicts(call: FinishCall, subscriber: Subscriber, ended: EndedCall) -> bool:
    """Whether this end cannot be that of a call that ended so. What was only assumed of a call, its end corrects."""
    if not _is_of(subscriber, ended):
        return True
    return not ended.provisional and call.seconds not in (ended.seconds, ended.said_seconds)


def _repeat_finish(call: FinishCall, subscriber: Subscriber, ended: EndedCall) -> Saved | NotSaved:
    if not _is_of(subscriber, ended) or call.seconds not in (ended.seconds, ended.said_seconds):
        return NotSaved(DeclineReason.CONFLICT, f"finished before with {ended.seconds} seconds")
    return Saved(
        call_key=call.call_key,
        cost=_as_charged(ended),
        currency=subscriber.currency,
        billed_seconds=ended.billed_seconds,
        seconds=ended.seconds,
        direction=ended.details.direction,
        destination=ended.details.destination,
        callerid=ended.details.callerid,
        route_name=ended.details.route_name,
        disposition=ended.disposition,
        cause=ended.cause,
        repeated=True,
    )


def _as_charged(ended: EndedCall) -> Decimal:
    """The cost with the places it was first told with; the column has more."""
    if not ended.details.rate:
        return Decimal(0)
    return quantise(ended.cost, Rate.from_json(ended.details.rate).decimals)
