"""What a call that comes in costs the owner of the number: the rate that his inbound tariff has for it.

Law: without such a rate it costs nothing, and is a call in the ledger all the same; a rate that cannot be had in the
account's currency, or a row that blocks the number, declines it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import Declined, DeclineReason, Inbound
from rating_engine.domain.tariff import Direction, RateMatch, Tariff
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.number import Caller, Dialled
from rating_engine.services.calls.price import Price, Pricing, with_factor
from rating_engine.services.facts.sources import CallSources

INBOUND: Final = "inbound"  # in the CDR, where calls that go out have their route
FREE: Final = Rate(price_1=Decimal(0), price_n=Decimal(0))


class InboundPricing:
    """Prices calls that come in. Errors: Unavailable."""

    def __init__(self, sources: CallSources) -> None:
        self._pricing = Pricing(sources)
        self._tariff = sources.tariff
        self._row = sources.row

    async def price(self, inbound: Inbound, subscriber: Subscriber, caller: Caller, at: datetime) -> Price | Declined:
        """What the owner's line pays."""
        own = await self._tariff(subscriber.tariff_id, at)
        if own is None:
            return Declined(DeclineReason.NO_RATE)
        if inbound.tariff_id is not None:
            payer = replace(subscriber, tariff_id=inbound.tariff_id, options=())
            price = await self._pricing.price(payer, Dialled(inbound.number, "", ""), at, caller.longest)
            if not isinstance(price, Declined):
                return replace(price, rate=with_factor(price.rate, inbound.factor))
            if price.reason is not DeclineReason.NO_RATE or await self._is_blocked(inbound, inbound.tariff_id, at):
                return price
        return _free(own, subscriber.currency)

    async def _is_blocked(self, inbound: Inbound, tariff_id: int, at: datetime) -> bool:
        tariff = await self._tariff(tariff_id, at)
        if tariff is None:
            return False
        row = await self._row(tariff, inbound.number, at=at, origin="", band=tariff.schedule.band_at(at))
        return row is not None and row.blocked


def _free(tariff: Tariff, currency: str) -> Price:
    match = RateMatch(tariff.tariff_id, 0, currency, "", Direction(INBOUND, INBOUND), FREE)
    return Price(tariff, (tariff,), match, FREE)
