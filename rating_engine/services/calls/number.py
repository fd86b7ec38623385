"""Who calls and whom, in digits: the first two steps of a plan."""

from __future__ import annotations

from datetime import datetime

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import NO_ORIGIN, CallKey, Declined, DeclineReason, Origin
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.number import InvalidNumber, normalise_callerid
from rating_engine.rating.numbering import NumberingPlan, destination_of
from rating_engine.services.facts.books import NumberingBook


@fast_frozen
class Caller:
    """A call as it was asked for, by whom, at which instant; `callerid` as `sent_callerid`. Nothing is priced yet.

    `longest`: seconds that the call may last at the most, whatever the money. `origin`, `is_did`: what the CDR keeps.
    """

    call_key: CallKey
    subscriber: Subscriber
    callerid: str
    channel: str
    at: datetime
    longest: int
    origin: Origin = NO_ORIGIN
    is_did: str = ""


@fast_frozen
class Dialled:
    """Whom a call is for and from whom, in digits. `routing_number`: as translated (LRN), '' where it is the same.

    `origin`: the caller's number, '' where it is none. `attempt`: the how manieth of the call, from 1: prices
    may depend on it.
    """

    destination: str
    routing_number: str
    origin: str
    attempt: int = 1

    @property
    def routed(self) -> str:
        """The number that routes and carriers go by."""
        return self.routing_number or self.destination


class Numbers:
    """Reads what was dialled, by the numbering plan of the caller's account. Errors: Unavailable."""

    def __init__(self, numbering: NumberingBook) -> None:
        self._numbering = numbering

    async def dialled(
        self,
        subscriber: Subscriber,
        destination: str,
        callerid: str | None,
        routing_number: str | None = None,
        *,
        attempt: int = 1,
    ) -> Dialled | Declined:
        """The numbers of a call in digits."""
        plan = await self._numbering.plan_of(subscriber.numbering_plan)
        try:
            digits = destination_of(destination, plan, await self._numbering.aliases_of(subscriber.aliases))
            routed = destination_of(routing_number, plan) if routing_number else ""
        except InvalidNumber as error:
            return Declined(DeclineReason.INVALID_DESTINATION, str(error))
        origin = origin_of(callerid or subscriber.callerid, plan)
        return Dialled(digits, "" if routed == digits else routed, origin, attempt)


def sent_callerid(callerid: str | None, subscriber: Subscriber) -> str:
    """The caller id that the carrier sees: the call's own, or else the subscriber's."""
    return (normalise_callerid(callerid) if callerid else "") or subscriber.callerid


def origin_of(callerid: str, plan: NumberingPlan) -> str:
    """The caller's number in digits, '' where it is none."""
    try:
        return destination_of(callerid, plan) if callerid else ""
    except InvalidNumber:
        return ""
