"""What a call cost: the charge by the rate that its reservation froze, and the settlement that makes it true.

Law: however often an end is said, and by whomever, a call is charged once; saying it otherwise is a conflict.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import DeclineReason, FinishCall, NotSaved, Saved
from rating_engine.domain.reservation import CallDetails, EndedCall, OpenCall, SettleOutcome, SettleRequest
from rating_engine.rating.charge import charge
from rating_engine.rating.money import quantise
from rating_engine.rating.number import InvalidNumber, normalise_callerid, normalise_destination
from rating_engine.rating.rate import Rate
from rating_engine.services.directory import SubscriberDirectory
from rating_engine.services.rate_decks import RateDecks
from rating_engine.services.remembered_calls import RememberedCalls, call_details
from rating_engine.storage.ledger import Ledger

CHANGED_TRIES: Final = 4  # each try reads what another one committed; more within one finish is a storm


class Finishing:
    """The end of calls, over the ledger."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        subscribers: SubscriberDirectory,
        rate_decks: RateDecks,
        remembered: RememberedCalls,
        international_prefix: str,
    ) -> None:
        self._ledger = ledger
        self._subscribers = subscribers
        self._rate_decks = rate_decks
        self._remembered = remembered
        self._international_prefix = international_prefix

    async def finish(self, call: FinishCall, promised: CallDetails | None = None) -> Saved | NotSaved:
        """Saved with the charge, or NotSaved with the reason. Errors: Unavailable (outcome unknown), Overloaded.

        `promised`: what is known of a call that the ledger may not know, such as the rate it was allowed at.
        """
        subscriber = await self._subscribers.find(call.login)
        if subscriber is None:
            return NotSaved(DeclineReason.UNKNOWN_LOGIN)
        remembered = self._remembered.pop(call.call_key)
        promised = remembered.details if remembered is not None else promised
        known: OpenCall | EndedCall | None = remembered
        repeated = False
        for _ in range(CHANGED_TRIES):
            known = known or await self._ledger.find(subscriber.bucket, call.call_key)
            # What is only read may be lost yet, with a primary that could not tell its standby: the repetition that
            # settle() finds is committed behind it, and so confirmed with it.
            if isinstance(known, EndedCall) and (repeated or _contradicts(call, subscriber, known)):
                return _repeat_finish(call, subscriber, known)
            details = known.details if known is not None else promised or await self._rate_anew(call, subscriber)
            saved = _saved(call, subscriber, details)
            request = _settlement(saved, subscriber, call.ended_at, details if known is None else None)
            answer = await self._ledger.settle(request)
            match answer.outcome:
                case SettleOutcome.SETTLED:
                    return replace(saved, overrun=answer.overrun)
                case SettleOutcome.CONFLICT:
                    return NotSaved(DeclineReason.CONFLICT, "another account's call, or finished before otherwise")
                case _:  # it was settled so before, or what this process remembered is gone: look again
                    repeated = answer.outcome is SettleOutcome.REPEATED
                    known = None
        raise Unavailable("the call kept changing")

    async def _rate_anew(self, call: FinishCall, subscriber: Subscriber) -> CallDetails:
        """Details of a call whose prepare never reached us, at today's rate; an empty rate where there is none."""
        try:
            destination = normalise_destination(call.destination, international_prefix=self._international_prefix)
        except InvalidNumber:
            destination, match = normalise_callerid(call.destination), None
        else:
            tariff = await self._rate_decks.tariff(subscriber.tariff_id)
            now = datetime.now(UTC)
            match = None if tariff is None else await self._rate_decks.match_rate(tariff, destination, at=now)
        return call_details(call, subscriber, destination, match)


def _saved(call: FinishCall, subscriber: Subscriber, details: CallDetails) -> Saved:
    """What a finish costs by the frozen rate; true once it is settled."""
    charged = charge(Rate.from_json(details.rate), call.seconds) if details.rate else None
    return Saved(
        call_key=call.call_key,
        cost=Decimal(0) if charged is None else charged.cost,
        currency=subscriber.currency,
        billed_seconds=0 if charged is None else charged.billed_seconds,
        seconds=call.seconds,
        direction=details.direction,
        destination=details.destination,
        callerid=details.callerid,
        route_name=details.route_name,
        disposition=call.disposition,
        cause=call.cause,
    )


def _settlement(
    saved: Saved, subscriber: Subscriber, ended_at: datetime | None, details: CallDetails | None
) -> SettleRequest:
    return SettleRequest(
        call_key=saved.call_key,
        bucket=subscriber.bucket,
        account_id=subscriber.account_id,
        seconds=saved.seconds,
        billed_seconds=saved.billed_seconds,
        cost=saved.cost,
        disposition=saved.disposition,
        cause=saved.cause,
        ended_at=ended_at,
        details=details,
    )


def _contradicts(call: FinishCall, subscriber: Subscriber, ended: EndedCall) -> bool:
    """Whether this end cannot be that of a call that ended so. What was only assumed of a call, its end corrects."""
    if ended.account_id != subscriber.account_id:
        return True
    return not ended.provisional and ended.seconds != call.seconds


def _repeat_finish(call: FinishCall, subscriber: Subscriber, ended: EndedCall) -> Saved | NotSaved:
    if ended.account_id != subscriber.account_id or ended.seconds != call.seconds:
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
