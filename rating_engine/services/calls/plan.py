"""The plan of a call before anything is held for it: who calls whom, at what price, covered by which packages, by which
route at what cost, and how much money that takes.

Law: a plan goes by one instant and by named versions of a subscriber and of tariffs; reserve() holds what it asks for
only while those versions are true. So a plan may be made from memory.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import CallKey, Declined, DeclineReason, PrepareCall
from rating_engine.domain.reservation import CallDetails, PackageUse, ReserveRequest
from rating_engine.domain.tariff import Package, PackageKind, Route, Tariff
from rating_engine.rating import lcr
from rating_engine.rating.charge import charge, max_charge, max_duration, min_charge, price_per_minute
from rating_engine.rating.lcr import Offer, refusal
from rating_engine.rating.number import InvalidNumber, normalise_callerid
from rating_engine.rating.numbering import NumberingPlan, destination_of
from rating_engine.rating.rate import Rate
from rating_engine.rating.schedule import period_start
from rating_engine.services.calls.price import (
    Dialled,
    Price,
    Pricing,
    minute_price,
    tariff_versions,
    with_volume,
)
from rating_engine.services.facts.sources import CallSources

CLAIM_BITS: Final = 63  # a bigint; two requests for one call never share a number


@dataclass(frozen=True, slots=True)
class ChargingPolicy:
    """`max_reserve_seconds`: the longest call of a subscriber without a limit of its own. `reservation_grace_seconds`:
    how long past that a reservation waits for its finish before it expires. `quota`: accounts that don't say reserve
    in slices of `quota_seconds`."""

    max_reserve_seconds: int = 3600
    reservation_grace_seconds: int = 300
    international_prefix: str = "00"
    quota: bool = False
    quota_seconds: int = 120


@dataclass(frozen=True, slots=True)
class Plan:
    """All that is known of a call before its money is asked for. `rate`: as it would be frozen."""

    subscriber: Subscriber
    tariff: Tariff
    rate: Rate
    route: Route
    request: ReserveRequest


@dataclass(frozen=True, slots=True)
class RouteOffer:
    """A route that a call may take, with what it costs us: the carrier's rate, in its currency.

    `exchange`: one of that currency in the account's; None: not known.
    """

    route: Route
    minute_cost: Fraction | None
    cost_tariff: Tariff | None = None
    rate: Rate | None = None
    exchange: Decimal | None = None

    @property
    def offer(self) -> Offer[Route]:
        """As the order of routes sees it."""
        return Offer(self.route, self.minute_cost)


class Planning:
    """Plans calls. Everything it asks may raise Unavailable."""

    def __init__(
        self,
        sources: CallSources,
        policy: ChargingPolicy,
        *,
        wants_quota: Callable[[Subscriber, str], bool] = lambda subscriber, exchange: False,
    ) -> None:
        """`wants_quota`: whether a call of this subscriber, on this exchange, reserves in slices."""
        self._subscriber = sources.subscriber
        self._pricing = Pricing(sources)
        self._routes = sources.routes
        self._numbering = sources.numbering
        self._package_states = sources.packages
        self._policy = policy
        self._wants_quota = wants_quota

    async def plan(
        self, call: PrepareCall, at: datetime, *, tried: Sequence[str] = (), full: Sequence[int] = ()
    ) -> Plan | Declined:
        """The plan of a call that starts at `at`, or why it may not start.

        `tried`: names of the routes of earlier attempts; `full`: ids of routes that had no room just now.
        """
        subscriber = await self._subscriber(call.login)
        if subscriber is None:
            return Declined(DeclineReason.UNKNOWN_LOGIN)
        dialled = await self.dialled(subscriber, call.destination, call.callerid, call.routing_number)
        if isinstance(dialled, Declined):
            return dialled
        cap = self._longest(subscriber)
        price = await self._pricing.price(subscriber, dialled, at, cap)
        if isinstance(price, Declined):
            return price
        chosen = await self._choose_route(call, subscriber, dialled, price, at, tried, full)
        if isinstance(chosen, Declined):
            return chosen
        rate, packages = await self.with_packages(subscriber, price, at, cap)
        return self._planned(call, subscriber, dialled, price, chosen, rate, packages, at, cap)

    async def dialled(
        self, subscriber: Subscriber, destination: str, callerid: str | None, routing_number: str | None = None
    ) -> Dialled | Declined:
        """The numbers of a call in digits, by the numbering plan of the subscriber's account."""
        plan = await self._numbering.plan_of(subscriber.numbering_plan)
        try:
            digits = destination_of(destination, plan, await self._numbering.aliases_of(subscriber.aliases))
            routed = destination_of(routing_number, plan) if routing_number else ""
        except InvalidNumber as error:
            return Declined(DeclineReason.INVALID_DESTINATION, str(error))
        return Dialled(digits, "" if routed == digits else routed, origin_of(callerid or subscriber.callerid, plan))

    async def with_packages(
        self, subscriber: Subscriber, price: Price, at: datetime, cap_seconds: int
    ) -> tuple[Rate, tuple[PackageUse, ...]]:
        """The rate as packages change it, and what is to be held of them for a call of at most `cap_seconds`.

        Free seconds are used up in the order of packages, options' first; a volume lowers the price of a call by what
        was used before it.
        """
        packages = _packages_for(price)
        if not packages:
            return price.rate, ()
        zones = {tariff.tariff_id: tariff.schedule.zone for tariff in price.tariffs}
        wanted = [(each.package_id, period_start(at, zones[each.tariff_id], each.period.value)) for each in packages]
        states = await self._package_states(subscriber.bucket, subscriber.subscriber_id, wanted)
        rate, held = price.rate, 0
        uses: list[PackageUse] = []
        needed = charge(rate, cap_seconds).billed_seconds
        for package, state in zip(packages, states, strict=True):
            seconds = 0
            if package.kind is PackageKind.VOLUME:
                rate = with_volume(rate, _step(package, state.used))
            else:
                seconds = max(0, min(state.seconds_left or 0, needed - held))
            held += seconds
            uses.append(PackageUse(package.package_id, state.period_start, seconds))
        free = [package for package in packages if package.kind is PackageKind.FREE]
        waives_fees = bool(free) and all(package.waives_fees for package in free)
        return replace(rate, covered_seconds=held, waived_fees=waives_fees), tuple(uses)

    async def offers(
        self, subscriber: Subscriber, dialled: Dialled, callerid: str, price: Price, at: datetime, seed: str
    ) -> list[RouteOffer]:
        """Every route that may carry the call, with its cost. One whose cost deck lacks the number may not.

        `callerid`: as it will be sent, see `sent_callerid`.
        """
        number = dialled.routing_number or dialled.destination
        offers: list[RouteOffer] = []
        for route in await self._routes():
            reason = refusal(
                route, destination=number, callerid=callerid, at=at, call_seed=seed, listed=price.tariff.routes
            )
            if reason is not None:
                continue
            offer = await self.offer(route, subscriber, dialled, at)
            if offer is not None:
                offers.append(offer)
        return offers

    async def offer(self, route: Route, subscriber: Subscriber, dialled: Dialled, at: datetime) -> RouteOffer | None:
        """The route with what it costs for a call; None where its cost deck lacks the number."""
        if route.cost_tariff_id is None:
            return RouteOffer(route, None)
        found = await self._pricing.cost(route.cost_tariff_id, dialled, at)
        if found is None:
            return None
        tariff, rate = found
        exchange = await self._pricing.exchange(tariff.currency, subscriber.currency, at)
        minute = None if exchange is None else minute_price(rate) * Fraction(exchange)
        return RouteOffer(route, minute, tariff, rate, exchange)

    async def _choose_route(
        self,
        call: PrepareCall,
        subscriber: Subscriber,
        dialled: Dialled,
        price: Price,
        at: datetime,
        tried: Sequence[str],
        full: Sequence[int],
    ) -> RouteOffer | Declined:
        """The first route in the tariff's order that was not tried and has room.

        Earlier attempts that nobody knows of, as after a restart of everything, count by their number.
        """
        seed = f"{call.call_key.exchange}/{call.call_key.uniqueid}"
        callerid = sent_callerid(call.callerid, subscriber)
        offers = await self.offers(subscriber, dialled, callerid, price, at, seed)
        order = lcr.tried(
            [each.offer for each in offers],
            price.tariff.route_order.value,
            seed,
            price.tariff.routes,
            sell_minute=minute_price(price.rate),
            allow_loss=price.tariff.allow_loss,
        )
        untried = [each for each in order if each.route.name not in tried]
        unknown = max(0, call.call_key.attempt - 1 - sum(1 for name in tried if name))
        left = [each for each in untried[unknown:] if each.route.route_id not in full]
        if left:
            return next(each for each in offers if each.route is left[0].route)
        if full:
            return Declined(DeclineReason.NO_CAPACITY)
        if len(order) < len(offers):
            return Declined(DeclineReason.NO_ROUTE, "the others cost more than the call is sold for")
        return Declined(DeclineReason.NO_ROUTE)

    def _longest(self, subscriber: Subscriber) -> int:
        cap = subscriber.max_seconds or self._policy.max_reserve_seconds
        return min(cap, subscriber.max_call_seconds or cap)

    def _planned(
        self,
        call: PrepareCall,
        subscriber: Subscriber,
        dialled: Dialled,
        price: Price,
        chosen: RouteOffer,
        rate: Rate,
        packages: tuple[PackageUse, ...],
        at: datetime,
        cap: int,
    ) -> Plan:
        quota = self._wants_quota(subscriber, call.call_key.exchange)
        slice_seconds = min(cap, self._policy.quota_seconds) if quota else cap
        minimum = min_charge(rate)
        maximum = max(minimum, max_charge(rate, slice_seconds))
        # A slice may pay for more than it says: what packages cover, and increments, go on beyond it.
        lasts = max(slice_seconds, max_duration(rate, maximum, cap)) if quota else cap
        asked = (*price.tariffs, *(() if chosen.cost_tariff is None else (chosen.cost_tariff,)))
        request = ReserveRequest(
            call_key=call.call_key,
            bucket=subscriber.bucket,
            account_id=subscriber.account_id,
            subscriber_version=subscriber.version,
            minimum=minimum,
            maximum=maximum,
            price_per_minute=price_per_minute(rate),
            quota=quota,
            cap_seconds=cap,
            lifetime_seconds=lasts + self._policy.reservation_grace_seconds,
            route_prefix=chosen.route.dial_prefix,
            details=_details(call.call_key, subscriber, call.callerid, dialled, price, chosen, rate, packages),
            tariffs=tariff_versions(asked),
            prepared_at=at,
            limited_route=chosen.route.route_id if chosen.route.is_limited else None,
            claim=random.getrandbits(CLAIM_BITS),
        )
        return Plan(subscriber, price.tariff, rate, chosen.route, request)

    async def rate_anew(
        self,
        call_key: CallKey,
        subscriber: Subscriber,
        destination: str,
        callerid: str | None,
        *,
        seconds: int,
        started_at: datetime,
        now: datetime,
    ) -> CallDetails:
        """Details of a call whose prepare never reached us; without a rate where there is none.

        It goes by the prices of its start, and where there were none then, by those of `now`.
        """
        dialled = await self.dialled(subscriber, destination, callerid)
        if isinstance(dialled, Declined):
            unusable = Dialled(normalise_callerid(destination), "", "")
            return _details(call_key, subscriber, callerid, unusable, None, None, None, ())
        for at in (started_at, now):
            price = await self._pricing.price(subscriber, dialled, at, max(seconds, 1))
            if not isinstance(price, Declined):
                rate, packages = await self.with_packages(subscriber, price, at, 0)
                return _details(call_key, subscriber, callerid, dialled, price, None, rate, packages)
        return _details(call_key, subscriber, callerid, dialled, None, None, None, ())


def sent_callerid(callerid: str | None, subscriber: Subscriber) -> str:
    """The caller id that the carrier sees: the call's own, or else the subscriber's."""
    return normalise_callerid(callerid or "") or subscriber.callerid


def _details(
    call_key: CallKey,
    subscriber: Subscriber,
    callerid: str | None,
    dialled: Dialled,
    price: Price | None,
    chosen: RouteOffer | None,
    rate: Rate | None,
    packages: tuple[PackageUse, ...],
) -> CallDetails:
    """What the CDR will say of a call, with the rates that are frozen for it ('' where there is none)."""
    return CallDetails(
        subscriber_id=subscriber.subscriber_id,
        exchange=call_key.exchange,
        attempt=call_key.attempt,
        callerid=sent_callerid(callerid, subscriber),
        destination=dialled.destination,
        direction="" if price is None else price.match.direction.name,
        prefix="" if price is None else price.match.prefix,
        tariff_id=subscriber.tariff_id if price is None else price.tariff.tariff_id,
        deck_id=0 if price is None else price.match.deck_id,
        rate="" if rate is None else rate.to_json(),
        route_name="" if chosen is None else chosen.route.name,
        routing_number=dialled.routing_number,
        carrier_rate="" if chosen is None or chosen.rate is None else chosen.rate.to_json(),
        carrier_currency="" if chosen is None or chosen.cost_tariff is None else chosen.cost_tariff.currency,
        carrier_exchange=None if chosen is None else chosen.exchange,
        packages=packages,
    )


def _packages_for(price: Price) -> list[Package]:
    """The packages that cover the direction of a call, in the order in which they are used up."""
    direction = price.match.direction.code
    return [
        package
        for tariff in price.tariffs
        for package in tariff.packages
        if package.directions is None or direction in package.directions
    ]


def _step(package: Package, used: int) -> Decimal:
    """The factor of a call's price after so many seconds of a volume."""
    return next((multiplier for after, multiplier in reversed(package.steps) if used >= after), Decimal(1))


def origin_of(callerid: str, plan: NumberingPlan) -> str:
    """The caller's number in digits, '' where it is none."""
    try:
        return destination_of(callerid, plan) if callerid else ""
    except InvalidNumber:
        return ""
