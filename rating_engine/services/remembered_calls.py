"""The calls that this process allowed, so that their finish needs no look-up. The ledger is what is true."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import CallKey, FinishCall, PrepareCall
from rating_engine.domain.reservation import CallDetails, OpenCall
from rating_engine.domain.tariff import RateMatch
from rating_engine.rating.number import normalise_callerid

CALLS_KEPT: Final = 100_000  # about 1 kB each; the rest are looked up


class RememberedCalls:
    """Open calls by key, the oldest out first."""

    def __init__(self) -> None:
        self._calls: OrderedDict[CallKey, OpenCall] = OrderedDict()

    def get(self, call_key: CallKey) -> OpenCall | None:
        """The call as this process allowed it, or None."""
        return self._calls.get(call_key)

    def pop(self, call_key: CallKey) -> OpenCall | None:
        """The same, and forget it."""
        return self._calls.pop(call_key, None)

    def add(self, call_key: CallKey, call: OpenCall) -> None:
        """Remember a call that was allowed."""
        self._calls[call_key] = call
        if len(self._calls) > CALLS_KEPT:
            self._calls.popitem(last=False)


def call_details(
    call: PrepareCall | FinishCall,
    subscriber: Subscriber,
    destination: str,
    match: RateMatch | None,
    route_name: str = "",
) -> CallDetails:
    """What the CDR will say of a call, with the rate that is frozen for it ("" where there is none)."""
    return CallDetails(
        subscriber_id=subscriber.subscriber_id,
        exchange=call.call_key.exchange,
        attempt=call.call_key.attempt,
        callerid=normalise_callerid(call.callerid or "") or subscriber.callerid,
        destination=destination,
        direction="" if match is None else match.direction.name,
        prefix="" if match is None else match.prefix,
        tariff_id=subscriber.tariff_id,
        deck_id=0 if match is None else match.deck_id,
        rate="" if match is None else match.rate.to_json(),
        route_name=route_name,
    )
