"""Who pays for a call besides its caller: the resellers above, each by its own price. The step between the price of the
call and its route.

Laws: whoever sells a call sells it for no less than it pays for it, unless the tariff it is sold on allows loss; the
carrier is compared with the last one's price, who is whom we sell to. All prices are of one instant, as the caller's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from rating_engine.domain.account import Reseller, Subscriber
from rating_engine.domain.outcomes import Declined, DeclineReason
from rating_engine.domain.reservation import ResellerHold, ResellerPrice
from rating_engine.domain.tariff import Tariff
from rating_engine.rating.charge import cheapest_later, dearest_later
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.lcr import covers
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.cover import Covered
from rating_engine.services.calls.hold import money_of
from rating_engine.services.calls.number import Caller, Dialled
from rating_engine.services.calls.price import Price, Pricing, minute_price
from rating_engine.services.facts.sources import CallSources


@fast_frozen
class Sale:
    """What whoever is asked for a call's cost is paid for it: `sold`, in `currency`, as `tariff` has it.

    `route_id`: the one route that a price is for; None: they are for all. `loss`: whether it may bring less than it
    costs, as who pays has it; None: as the tariff has it.
    """

    sold: Rate
    tariff: Tariff
    currency: str
    route_id: int | None = None
    loss: bool | None = None

    @property
    def allow_loss(self) -> bool:
        """Whether it may cost more than it is sold for."""
        return self.tariff.allow_loss if self.loss is None else self.loss


@dataclass(frozen=True, slots=True)
class Resold:
    """One reseller of a call. `exchange`: one of its account's currency in that of whom it sells to."""

    reseller: Reseller
    price: Price
    exchange: Decimal | None

    @property
    def frozen(self) -> ResellerPrice:
        """As the call keeps it."""
        match = self.price.match
        return ResellerPrice(
            account_id=self.reseller.account_id,
            tariff_id=self.price.tariff.tariff_id,
            deck_id=match.deck_id,
            prefix=match.prefix,
            rate=self.price.rate.to_json(),
            exchange=self.exchange,
        )

    def hold(self, ahead: int, floor: int | None) -> ResellerHold:
        """What is asked of it, as `money_of` has it."""
        return money_of(self.price.rate, ahead, floor)


class Resale:
    """Prices calls for resellers. Errors: Unavailable."""

    def __init__(self, sources: CallSources, pricing: Pricing) -> None:
        self._tariff = sources.tariff
        self._pricing = pricing

    async def resold(
        self, caller: Caller, dialled: Dialled, price: Price, covered: Covered
    ) -> tuple[Resold, ...] | Declined:
        """All who pay for the call, the nearest first; Declined where one has no price, or would sell at a loss."""
        subscriber, at = caller.subscriber, caller.at
        if not subscriber.resellers:
            return ()
        below = Sale(covered.sold, price.tariff, subscriber.currency, loss=subscriber.allow_loss)
        route_id = price.match.route_id
        resold: list[Resold] = []
        for reseller in subscriber.resellers:
            found = await self._priced(reseller, dialled, at, caller.longest)
            if isinstance(found, Declined):
                return found
            if found.match.route_id not in (None, route_id or found.match.route_id):
                return Declined(DeclineReason.NO_ROUTE, f"the price on {found.tariff.name} is for another route")
            route_id = route_id or found.match.route_id
            one = await self.above(reseller, found, below, at)
            if isinstance(one, Declined):
                return one
            resold.append(one)
            below = Sale(found.rate, found.tariff, reseller.currency)
        return tuple(resold)

    async def above(self, reseller: Reseller, price: Price, below: Sale, at: datetime) -> Resold | Declined:
        """A reseller who pays that price, and is paid by `below`; Declined where that is at a loss."""
        exchange = await self._pricing.exchange(reseller.currency, below.currency, at)
        if exchange is None:
            return Declined(DeclineReason.NO_EXCHANGE_RATE, f"{reseller.currency} in {below.currency} is not known")
        if not _pays(price.rate, exchange, below):
            return Declined(
                DeclineReason.NO_ROUTE, f"costs more on {price.tariff.name} than {below.tariff.name} has it"
            )
        return Resold(reseller, price, exchange)

    async def anew(
        self, subscriber: Subscriber, dialled: Dialled, at: datetime, cap_seconds: int
    ) -> tuple[ResellerPrice, ...]:
        """What all pay for a call that was made, at a loss or not; without a rate where one has none."""
        priced = [await self._priced(reseller, dialled, at, cap_seconds) for reseller in subscriber.resellers]
        return await self.frozen_anew(subscriber, priced, at)

    async def frozen_anew(
        self, subscriber: Subscriber, priced: Sequence[Price | Declined], at: datetime
    ) -> tuple[ResellerPrice, ...]:
        """Prices of the resellers of a call that was made, as its CDR keeps them."""
        prices: list[ResellerPrice] = []
        currency = subscriber.currency
        for reseller, found in zip(subscriber.resellers, priced, strict=True):
            exchange = await self._pricing.exchange(reseller.currency, currency, at)
            if isinstance(found, Declined):
                prices.append(ResellerPrice(reseller.account_id, reseller.tariff_id, 0, "", "", exchange))
            else:
                prices.append(Resold(reseller, found, exchange).frozen)
            currency = reseller.currency
        return tuple(prices)

    async def _priced(self, reseller: Reseller, dialled: Dialled, at: datetime, cap_seconds: int) -> Price | Declined:
        tariff = await self._tariff(reseller.tariff_id, at)
        if tariff is None:
            return Declined(DeclineReason.NO_RATE, "a reseller's tariff is gone")
        found = await self._pricing.price_in(tariff, (tariff,), dialled, reseller.currency, at, cap_seconds)
        if isinstance(found, Declined):
            return Declined(found.reason, f"on the reseller's tariff {tariff.name}: {found.detail or 'no rate'}")
        return found


def sale_of(subscriber: Subscriber, price: Price, covered: Covered, resold: Sequence[Resold]) -> Sale:
    """What we are paid for the call: by the last reseller, and where there is none by its caller."""
    if not resold:
        return Sale(covered.sold, price.tariff, subscriber.currency, price.match.route_id, subscriber.allow_loss)
    last = resold[-1]
    route_id = next(
        (each.match.route_id for each in (price, *(one.price for one in resold)) if each.match.route_id), None
    )
    return Sale(last.price.rate, last.price.tariff, last.reseller.currency, route_id)


def _pays(cost: Rate, exchange: Decimal, sale: Sale) -> bool:
    """Whether a sale covers what it costs, as the margin guard has it; where either price changes while the call lasts,
    the dearest minute that is bought by the cheapest that is sold."""
    changes = bool(cost.changes or sale.sold.changes)
    return covers(
        minute_price(cost) * Fraction(exchange),
        dearest_later(cost) * Fraction(exchange),
        minute_price(sale.sold),
        sale.allow_loss,
        cheapest_later(sale.sold) if changes else None,
    )
