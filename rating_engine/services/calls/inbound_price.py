"""What a call that comes in costs the owner of the number, and the resellers above: the rate that the inbound tariff of
each has for it.

Law: without such a rate it costs nothing, and is a call in the ledger all the same; a rate that cannot be had in the
account's currency, or a row that blocks the number, declines it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.account import Reseller, Subscriber
from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.outcomes import INBOUND, Declined, DeclineReason, FinishCall, Inbound, InboundTerms
from rating_engine.domain.reservation import ResellerPrice
from rating_engine.domain.tariff import Direction, RateMatch, Tariff
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.number import Caller, Dialled
from rating_engine.services.calls.price import Price, Pricing, with_volume
from rating_engine.services.calls.resale import Resale, Resold, Sale
from rating_engine.services.facts.sources import CallSources
from rating_engine.storage.numbers.inbound import CalledNumber

FREE: Final = Rate(price_1=Decimal(0), price_n=Decimal(0))


def came_in_by(call: FinishCall) -> str | None:
    """The number that a call came in by, as its end says; None: it went out, such as a forward of one that came in."""
    number = digits_of(call.destination)
    says_so = call.is_did == "true" or digits_of(call.is_did) == number
    return number if number and says_so else None


def inbound_of(called: CalledNumber) -> Inbound:
    """By what a call to a number of ours comes in."""
    return Inbound(
        called.did_id,
        called.number,
        called.inbound_tariff_id,
        called.did_multiplier,
        called.max_calls > 0,
        tuple(InboundTerms(*terms) for terms in called.resellers),
    )


class InboundPricing:
    """Prices calls that come in. Errors: Unavailable."""

    def __init__(self, sources: CallSources) -> None:
        self._pricing = Pricing(sources)
        self._resale = Resale(sources, self._pricing)
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
                return replace(price, rate=with_volume(price.rate, inbound.factor))
            if price.reason is not DeclineReason.NO_RATE or await self._is_blocked(inbound, inbound.tariff_id, at):
                return price
        return _free(own, subscriber.currency)

    async def resold(
        self, inbound: Inbound, caller: Caller, price: Price, at: datetime
    ) -> tuple[Resold, ...] | Declined:
        """What the resellers above the owner pay besides, the nearest first, each by the terms of its own tariff.

        Declined where one would take in less than it pays, and the tariff it sells by does not allow it.
        """
        below = Sale(price.rate, price.tariff, caller.subscriber.currency, loss=caller.subscriber.allow_loss)
        resold: list[Resold] = []
        for reseller in caller.subscriber.resellers:
            found = await self._of_reseller(inbound, reseller, at, caller.longest)
            if isinstance(found, Declined):
                return found
            one = await self._resale.above(reseller, found, below, at)
            if isinstance(one, Declined):
                return one
            resold.append(one)
            below = Sale(found.rate, found.tariff, reseller.currency)
        return tuple(resold)

    async def resold_anew(self, inbound: Inbound, caller: Caller, at: datetime) -> tuple[ResellerPrice, ...]:
        """The same of a call that has come in already, at a loss or not; without a rate where one has none."""
        found = [await self._of_reseller(inbound, each, at, caller.longest) for each in caller.subscriber.resellers]
        return await self._resale.frozen_anew(caller.subscriber, found, at)

    async def _of_reseller(
        self, inbound: Inbound, reseller: Reseller, at: datetime, cap_seconds: int
    ) -> Price | Declined:
        own = await self._tariff(reseller.tariff_id, at)
        if own is None:
            return Declined(DeclineReason.NO_RATE, "a reseller's tariff is gone")
        terms = inbound.terms_of(reseller.tariff_id)
        by = None if terms.priced_by is None else await self._tariff(terms.priced_by, at)
        if by is not None:
            dialled = Dialled(inbound.number, "", "")
            price = await self._pricing.price_in(by, (by,), dialled, reseller.currency, at, cap_seconds)
            if not isinstance(price, Declined):
                return replace(price, rate=with_volume(price.rate, terms.factor))
            if price.reason is not DeclineReason.NO_RATE or await self._is_blocked(inbound, by.tariff_id, at):
                return Declined(price.reason, f"on the reseller's tariff {own.name}: {price.detail or 'no rate'}")
        return _free(own, reseller.currency)

    async def _is_blocked(self, inbound: Inbound, tariff_id: int, at: datetime) -> bool:
        tariff = await self._tariff(tariff_id, at)
        if tariff is None:
            return False
        row = await self._row(tariff, inbound.number, at=at, origin="", band=tariff.schedule.band_at(at))
        return row is not None and row.blocked


def _free(tariff: Tariff, currency: str) -> Price:
    match = RateMatch(tariff.tariff_id, 0, currency, "", Direction(INBOUND, INBOUND), FREE)
    return Price(tariff, (tariff,), match, FREE)
