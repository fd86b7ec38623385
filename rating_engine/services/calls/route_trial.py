"""Why a call would go where it goes: every route with its place, or the reason why it is not tried.

Law: it is found by what plans calls (services/calls/route, rating/lcr), so that it cannot say otherwise than calls do.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.outcomes import CallKey, Declined, DeclineReason
from rating_engine.domain.tariff import ListedRoute, Route, Tariff
from rating_engine.rating import lcr
from rating_engine.rating.charge import cheapest_change
from rating_engine.rating.lcr import Offer, Refusal, admits, refusal, tried
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.cover import Cover
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.number import Caller, Dialled, Numbers
from rating_engine.services.calls.price import Price, Pricing, minute_price
from rating_engine.services.calls.route import Routing, is_closed
from rating_engine.services.facts.memory import CallMemory
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.route_plans import load_plan
from rating_engine.storage.routes.routes import every_route
from rating_engine.storage.tariffs.tariff_settings import unknown_tariff
from rating_engine.storage.tariffs.tariffs import load_named_tariff

DISABLED: Final = "disabled"
NOT_IN_COST_DECK: Final = "not_in_cost_deck"  # its cost deck has no rate for the number, or blocks it


@dataclass(frozen=True, slots=True)
class Considered:
    """A route as it stands to a call before order and margin. `reason`: why it is not for the call; '': it is.

    `minute_cost`, `later_cost`: in the account's currency, as rating/lcr has them; None: not known.
    """

    route: Route
    minute_cost: Fraction | None = None
    later_cost: Fraction | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`place`: the attempt that takes the route, from 1; None: none does, for `reason`.

    `minute_cost` and `margin` (of a minute) are in the account's currency; None: not known.
    """

    route: Route
    place: int | None
    reason: str
    minute_cost: Fraction | None
    margin: Fraction | None


@dataclass(frozen=True, slots=True)
class Trial:
    """Where a call would go. `sell_minute`: what a minute of it is sold for, in `currency`.

    `verdicts` are empty where there is no route at all: every call takes the default route then.
    """

    destination: str
    tariff: Tariff
    prefix: str
    currency: str
    sell_minute: Fraction
    verdicts: tuple[Verdict, ...]


async def try_call(
    database: Database,
    number: str,
    *,
    tariff: str,
    at: datetime,
    callerid: str = "",
    call_seed: str | None = None,
    attempt: int = 1,
    plan: str | None = None,
    international_prefix: str = "00",
) -> Trial:
    """Where a call to `number` on a tariff would go that starts at `at`, of an account in the tariff's currency.

    `call_seed` (EXCHANGE/UNIQUEID): that very call; None: no call in particular, so that no route is left out by its
    percentage, and equals stand in one of the orders that their weights draw. What routes carry right now is not asked.
    `attempt`: the how manieth of the call, where prices depend on it. `plan`: the call goes by this route plan.
    Errors: InvalidRequest (the number), NotFound (the tariff, a rate of it, the plan), Unavailable.
    """
    found = await load_named_tariff(database, tariff, at)
    if found is None:
        raise unknown_tariff(tariff)
    memory = CallMemory(database, international_prefix=international_prefix)
    pricing = Pricing(memory.sources)
    longest = ChargingPolicy().max_call_seconds
    caller = Caller(CallKey("", ""), _anybody(found, callerid), callerid, "", at, longest)
    dialled = await Numbers(memory.numbering).dialled(caller.subscriber, number, None)
    if isinstance(dialled, Declined):
        raise InvalidRequest("number", dialled.detail)
    dialled = replace(dialled, attempt=attempt)
    price = await pricing.price(caller.subscriber, dialled, at, longest)
    if isinstance(price, Declined):
        if price.reason is DeclineReason.INVALID_DESTINATION:
            raise InvalidRequest("number", price.detail)
        if price.reason is DeclineReason.NO_ROUTE:
            raise NotFound(f"the tariff {tariff} has no attempt {attempt} for {dialled.destination}")
        raise NotFound(f"no rate of the tariff {tariff} serves {dialled.destination}")
    if plan is not None:
        by = await load_plan(database, plan)
        found, price = by.of(found), replace(price, tariff=by.of(price.tariff))
    sold = (await Cover(memory.sources.packages).cover(caller, price, longest)).sold
    routing = Routing(memory.sources, pricing)
    considered = [
        await _consider(routing, listed, caller, dialled, price, call_seed) for listed in await every_route(database)
    ]
    listed = found if price.match.route_id is None else replace(found, routes=lcr.NO_LIST)
    verdicts = explain(considered, sold, listed, call_seed or "")
    currency = caller.subscriber.currency
    return Trial(dialled.destination, found, price.match.prefix, currency, minute_price(sold), tuple(verdicts))


def explain(considered: Iterable[Considered], sold: Rate, tariff: Tariff, call_seed: str) -> list[Verdict]:
    """Every route: first those that are tried, in their order, then the others by position. `sold`: the price."""
    sell_minute, sell_changed = minute_price(sold), cheapest_change(sold)
    fit: list[Offer[Route]] = []
    out: list[Considered] = []
    for each in considered:
        offer = Offer(each.route, each.minute_cost, each.later_cost)
        if each.reason:
            out.append(each)
        elif admits(offer, sell_minute, tariff.allow_loss, sell_changed):
            fit.append(offer)
        else:
            out.append(Considered(each.route, each.minute_cost, each.later_cost, Refusal.LOSS.value))
    in_order = tried(
        fit,
        tariff.route_order.value,
        call_seed,
        tariff.routes,
        sell_minute=sell_minute,
        allow_loss=tariff.allow_loss,
        sell_changed=sell_changed,
    )
    out.sort(key=lambda each: (each.route.position, each.route.route_id))
    return [
        *(
            Verdict(offer.route, place, "", offer.minute_cost, _margin(sell_minute, offer.minute_cost))
            for place, offer in enumerate(in_order, start=1)
        ),
        *(
            Verdict(each.route, None, each.reason, each.minute_cost, _margin(sell_minute, each.minute_cost))
            for each in out
        ),
    ]


async def _consider(
    routing: Routing, listed: ListedRoute, caller: Caller, dialled: Dialled, price: Price, call_seed: str | None
) -> Considered:
    route, priced = listed.route, price.match.route_id
    if not listed.enabled:
        return Considered(route, reason=DISABLED)
    if priced not in (None, route.route_id) or is_closed(route, price):
        return Considered(route, reason=Refusal.NOT_LISTED.value)
    reason = refusal(
        route,
        destination=dialled.routed,
        callerid=caller.callerid,
        at=caller.at,
        call_seed=call_seed or "",
        listed=price.tariff.routes if priced is None else lcr.NO_LIST,
    )
    if reason is not None and not (reason is Refusal.PERCENTAGE and call_seed is None):
        return Considered(route, reason=reason.value)
    offer = await routing.offer(route, caller.subscriber.currency, dialled, caller.at)
    if offer is None:
        return Considered(route, reason=NOT_IN_COST_DECK)
    return Considered(route, offer.minute_cost, offer.later_cost)


def _anybody(tariff: Tariff, callerid: str) -> Subscriber:
    """A subscriber who has nothing but this tariff."""
    return Subscriber(
        subscriber_id=0,
        version=0,
        login="",
        bucket=0,
        account_id=0,
        tariff_id=tariff.tariff_id,
        currency=tariff.currency,
        callerid=callerid,
        max_seconds=None,
        max_call_seconds=None,
        quota=None,
    )


def _margin(sell_minute: Fraction, minute_cost: Fraction | None) -> Fraction | None:
    return None if minute_cost is None else sell_minute - minute_cost


class RouteTrials:
    """Where calls would go."""

    def __init__(self, database: Database, *, international_prefix: str) -> None:
        self._database = database
        self._international_prefix = international_prefix

    async def try_call(
        self,
        number: str,
        *,
        tariff: str,
        at: datetime,
        callerid: str = "",
        call_seed: str | None = None,
        attempt: int = 1,
        plan: str | None = None,
    ) -> Trial:
        """Where a call would go. Errors: as `try_call`."""
        return await try_call(
            self._database, number, tariff=tariff, at=at, callerid=callerid, call_seed=call_seed, attempt=attempt,
            plan=plan, international_prefix=self._international_prefix,
        )  # fmt: skip
