"""Which route a call takes, and what it costs there. The last step before its money is held.

Law: the margin guard of rating/lcr is asked with the price that we are paid (`Sale.sold`), so a call is never sent
where it costs more than it is sold for, volumes and changes of price included, unless its tariff allows loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from rating_engine.domain.outcomes import CallKey, Declined, DeclineReason
from rating_engine.domain.tariff import Route, Tariff
from rating_engine.rating import lcr
from rating_engine.rating.charge import cheapest_change, later_minute
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.lcr import NO_LIST, Offer, Refusal, refusal
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.number import Caller, Dialled
from rating_engine.services.calls.price import Price, Pricing, minute_price
from rating_engine.services.calls.resale import Sale
from rating_engine.services.facts.sources import CallSources


@dataclass(frozen=True, slots=True)
class Attempts:
    """What is known of a call's other routes: names those that earlier attempts took (`tried`, '' where one took
    none that is known), ids of those that had no room just now (`full`)."""

    tried: Sequence[str] = ()
    full: Sequence[int] = ()


@fast_frozen
class RouteOffer(Offer[Route]):
    """A route that a call may take, with what it costs us: the carrier's rate, in its currency.

    `exchange`: one of that currency in that of the sale; None: not known. `minute_cost`, `later_cost`: in the sale's
    currency, as rating/lcr has them.
    """

    cost_tariff: Tariff | None = None
    rate: Rate | None = None
    exchange: Decimal | None = None


class Routing:
    """Chooses routes from what is remembered of them and of their cost decks. Errors: Unavailable."""

    def __init__(self, sources: CallSources, pricing: Pricing) -> None:
        self._routes = sources.routes
        self._pricing = pricing

    async def choose(
        self, caller: Caller, dialled: Dialled, price: Price, sale: Sale, attempts: Attempts
    ) -> RouteOffer | Declined:
        """The first route in the tariff's order that was not tried and has room.

        Earlier attempts that nobody knows of, as after a restart of everything, count by their number. A price that is
        for one route alone is for no other.
        """
        if sale.route_id is not None:
            return await self._priced(sale.route_id, caller, dialled, price, sale, attempts)
        seed = call_seed(caller.call_key)
        offers = await self._offers(caller, dialled, price, sale.currency, seed)
        order = offers if _is_the_only(offers) else _in_order(offers, price.tariff, sale, seed)
        is_first = caller.call_key.attempt == 1 and not (attempts.tried or attempts.full)
        left = order if is_first else _left(order, caller, attempts)
        if left:
            return left[0]
        if attempts.full:
            return Declined(DeclineReason.NO_CAPACITY)
        if len(order) < len(offers):
            return Declined(DeclineReason.NO_ROUTE, "the others cost more than the call is sold for")
        return Declined(DeclineReason.NO_ROUTE)

    async def take(
        self, name: str, caller: Caller, dialled: Dialled, price: Price, sale: Sale, attempts: Attempts
    ) -> RouteOffer | Declined:
        """The route that the exchange has chosen, or why the call may not go there.

        All that says which calls a route is for holds as ever, the margin guard too; what chooses among routes (order,
        weight, percentage, earlier attempts) does not. A name that is no route is refused; where no route is configured
        at all, it is one of unknown cost.
        """
        routes = await self._routes()
        route = next((each for each in routes if each.name == name), None)
        if route is None and (not routes or any(each.route_id and each.shared for each in routes)):
            return Declined(DeclineReason.NO_ROUTE, f"{name} is no route, or a disabled one")
        if route is None:
            return RouteOffer(Route(name, "", "", 1))
        if sale.route_id not in (None, route.route_id) or is_closed(route, price, sale):
            return Declined(DeclineReason.NO_ROUTE, f"{name} is not for this tariff")
        return await self._take(route, caller, dialled, price, sale, attempts)

    async def _priced(
        self, route_id: int, caller: Caller, dialled: Dialled, price: Price, sale: Sale, attempts: Attempts
    ) -> RouteOffer | Declined:
        """The one route that the price is for."""
        route = next((each for each in await self._routes() if each.route_id == route_id), None)
        if route is None:
            return Declined(DeclineReason.NO_ROUTE, "the route of the price is disabled")
        return await self._take(route, caller, dialled, price, sale, attempts)

    async def _take(
        self, route: Route, caller: Caller, dialled: Dialled, price: Price, sale: Sale, attempts: Attempts
    ) -> RouteOffer | Declined:
        """This route and no other, or why not."""
        name = route.name
        reason = refusal(
            route,
            destination=dialled.routed,
            callerid=caller.callerid,
            at=caller.at,
            call_seed=call_seed(caller.call_key),
            listed=NO_LIST if sale.route_id is not None and not price.is_blacklisted else price.tariff.routes,
        )
        if reason is not None and reason is not Refusal.PERCENTAGE:
            return Declined(DeclineReason.NO_ROUTE, f"{name} is not for this call: {reason.value}")
        offer = await self.offer(route, sale.currency, dialled, caller.at)
        if offer is None:
            return Declined(DeclineReason.NO_ROUTE, f"the cost deck of {name} does not serve the number")
        sold = sale.sold
        if not lcr.admits(offer, minute_price(sold), sale.allow_loss, cheapest_change(sold)):
            return Declined(DeclineReason.NO_ROUTE, f"{name} costs more than the call is sold for")
        return Declined(DeclineReason.NO_CAPACITY) if route.route_id in attempts.full else offer

    async def _offers(
        self, caller: Caller, dialled: Dialled, price: Price, currency: str, seed: str
    ) -> list[RouteOffer]:
        """Every route that may carry the call, with its cost. One whose cost deck lacks the number may not."""
        destination, listed = dialled.routed, price.tariff.routes
        offers: list[RouteOffer] = []
        for route in await self._routes():
            if not route.shared and is_closed(route, price):
                continue
            reason = refusal(
                route, destination=destination, callerid=caller.callerid, at=caller.at, call_seed=seed, listed=listed
            )
            if reason is not None:
                continue
            if route.cost_tariff_id is None:
                offers.append(RouteOffer(route))
            elif (offer := await self.offer(route, currency, dialled, caller.at)) is not None:
                offers.append(offer)
        return offers

    async def offer(self, route: Route, currency: str, dialled: Dialled, at: datetime) -> RouteOffer | None:
        """The route with what it costs for a call, in a currency; None where its cost deck lacks the number."""
        if route.cost_tariff_id is None:
            return RouteOffer(route)
        found = await self._pricing.cost(route.cost_tariff_id, dialled, at)
        if found is None:
            return None
        tariff, rate = found
        exchange = await self._pricing.exchange(tariff.currency, currency, at)
        if exchange is None:
            return RouteOffer(route, cost_tariff=tariff, rate=rate)
        factor = Fraction(exchange)
        return RouteOffer(route, minute_price(rate) * factor, later_minute(rate) * factor, tariff, rate, exchange)


def _is_the_only(offers: Sequence[RouteOffer]) -> bool:
    """Whether there is no choice and nothing to guard: one route, of unknown cost."""
    return len(offers) == 1 and offers[0].minute_cost is None


def _in_order(offers: Sequence[RouteOffer], tariff: Tariff, sale: Sale, seed: str) -> list[RouteOffer]:
    """The routes as they are tried, without those that cost more than the call is sold for."""
    return lcr.tried(
        offers,
        tariff.route_order.value,
        seed,
        tariff.routes,
        sell_minute=minute_price(sale.sold),
        sell_changed=cheapest_change(sale.sold),
        allow_loss=sale.allow_loss,
    )


def _left(order: Sequence[RouteOffer], caller: Caller, attempts: Attempts) -> list[RouteOffer]:
    """Those that no earlier attempt took, and that have room."""
    untried = [each for each in order if each.route.name not in attempts.tried]
    unknown = max(0, caller.call_key.attempt - 1 - sum(1 for name in attempts.tried if name))
    return [each for each in untried[unknown:] if each.route.route_id not in attempts.full]


def is_closed(route: Route, price: Price, sale: Sale | None = None) -> bool:
    """Whether a route is for other tariffs: it belongs to who made it, and this one neither lists it nor prices it."""
    priced = price.match.route_id if sale is None else sale.route_id
    return not route.shared and route.route_id not in price.tariff.routes and route.route_id != priced


def call_seed(call_key: CallKey) -> str:
    """What names a call, and is the same for all its attempts."""
    return f"{call_key.exchange}/{call_key.uniqueid}"
