"""The plan of a call before anything is held for it, in one pass: who, number, price, packages, route, and then how
much money that takes. Each step is a small value made of the ones before: Caller, Dialled, Price, Covered, RouteOffer,
Plan.

Law: a plan goes by one instant and by named versions of a subscriber and of tariffs; reserve() holds what it asks for
only while those versions are true. So a plan may be made from memory.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import INBOUND, CallKey, Declined, DeclineReason, FinishCall, Inbound, PrepareCall
from rating_engine.domain.party import AllowedCalls
from rating_engine.domain.reservation import CallDetails, PackageUse, ResellerHold, ReserveRequest
from rating_engine.domain.tariff import Route, Tariff
from rating_engine.rating.charge import max_duration
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.number import normalise_callerid
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.cover import Cover, Covered
from rating_engine.services.calls.hold import ChargingPolicy, Hold, hold_of, money_of, own_limit
from rating_engine.services.calls.inbound_price import InboundPricing, came_in_by, inbound_of
from rating_engine.services.calls.number import Caller, Dialled, Numbers, sent_callerid
from rating_engine.services.calls.planned_routes import PlannedRoutes
from rating_engine.services.calls.ports import ExchangeWatch
from rating_engine.services.calls.price import Price, Pricing, tariff_versions
from rating_engine.services.calls.resale import Resale, Resold, sale_of
from rating_engine.services.calls.route import Attempts, RouteOffer, Routing
from rating_engine.services.calls.unwatched import UnwatchedCalls
from rating_engine.services.facts.sources import CallSources

CLAIM_BITS: Final = 63  # a bigint; two requests for one call never share a number
FIRST_ATTEMPT: Final = Attempts()


@fast_frozen
class Plan:
    """All that is known of a call before its money is asked for. `rate`: as it would be frozen. `is_told`: the exchange
    has chosen the route."""

    subscriber: Subscriber
    tariff: Tariff
    rate: Rate
    route: Route
    request: ReserveRequest
    is_told: bool = False


class Planning:
    """Plans calls. Everything it asks may raise Unavailable."""

    def __init__(
        self, sources: CallSources, policy: ChargingPolicy, *, is_watched: ExchangeWatch | None = None
    ) -> None:
        """`is_watched`: whether calls of an exchange can be lengthened; None: no call can, as where nobody asks."""
        self._subscriber = sources.subscriber
        self._is_line_of = sources.is_line_of
        self._list_refusal = sources.list_refusal
        self._called_number = sources.called_number
        self._inbound = InboundPricing(sources)
        self._numbers = Numbers(sources.numbering)
        self._pricing = Pricing(sources)
        self._cover = Cover(sources.packages)
        self._resale = Resale(sources, self._pricing)
        self._planned_routes = PlannedRoutes(sources)
        self._routing = Routing(sources, self._pricing)
        self._policy = policy
        self._is_watched = is_watched
        self._unwatched = UnwatchedCalls()

    async def plan(self, call: PrepareCall, at: datetime, attempts: Attempts = FIRST_ATTEMPT) -> Plan | Declined:
        """The plan of a call that starts at `at`, or why it may not start."""
        subscriber = await self._subscriber(call.login)
        if subscriber is None:
            return Declined(DeclineReason.UNKNOWN_LOGIN)
        if subscriber.calls is AllowedCalls.NONE:
            return Declined(DeclineReason.USER_BLOCKED)
        if call.inbound is not None:
            return await self._plan_inbound(call, call.inbound, subscriber, at, attempts)
        hold = hold_of(
            self._policy,
            quota=subscriber.quota,
            own=own_limit(subscriber),
            prepaid=subscriber.prepaid or any(reseller.prepaid for reseller in subscriber.resellers),
            watched=self._watched(call.call_key, subscriber),
        )
        callerid = sent_callerid(call.callerid, subscriber)
        caller = Caller(call.call_key, subscriber, callerid, call.channel, at, hold.longest, call.origin)
        dialled = await self._numbers.dialled(
            subscriber, call.destination, call.callerid, call.routing_number, attempt=call.call_key.attempt
        )
        if isinstance(dialled, Declined):
            return dialled
        if _has_lists(subscriber) and (refused := await self._refusal(subscriber, dialled)) is not None:
            return Declined(refused)
        price = await self._pricing.price(subscriber, dialled, at, caller.longest)
        if isinstance(price, Declined):
            return price
        price = await self._planned_routes.routed(caller, dialled, price)
        covered = await self._cover.cover(caller, price, hold.covered)
        resold: tuple[Resold, ...] | Declined = ()
        if subscriber.resellers:
            resold = await self._resale.resold(caller, dialled, price, covered)
        if isinstance(resold, Declined):
            return resold
        sale = sale_of(subscriber, price, covered, resold)
        route = await (
            self._routing.take(call.route, caller, dialled, price, sale, attempts)
            if call.route
            else self._routing.choose(caller, dialled, price, sale, attempts)
        )
        if isinstance(route, Declined):
            return route
        request = self._to_hold(caller, hold, dialled, price, covered, route, resold)
        return Plan(subscriber, price.tariff, covered.rate, route.route, request, is_told=bool(call.route))

    async def _plan_inbound(
        self, call: PrepareCall, inbound: Inbound, subscriber: Subscriber, at: datetime, attempts: Attempts
    ) -> Plan | Declined:
        """The plan of a call that comes in, for who owns the number. It takes no route, and nobody lengthens it."""
        if attempts.full:
            return Declined(DeclineReason.TOO_MANY_CALLS, f"{inbound.number} takes no more at a time")
        hold = hold_of(
            self._policy,
            quota=subscriber.quota,
            own=own_limit(subscriber),
            prepaid=subscriber.prepaid or any(reseller.prepaid for reseller in subscriber.resellers),
            watched=False,
        )
        callerid = sent_callerid(call.callerid, subscriber)
        caller = Caller(call.call_key, subscriber, callerid, call.channel, at, hold.longest, call.origin)
        price = await self._inbound.price(inbound, subscriber, caller, at)
        if isinstance(price, Declined):
            return price
        resold = await self._inbound.resold(inbound, caller, price, at)
        if isinstance(resold, Declined):
            return resold
        covered = Covered(price.rate, price.rate)
        route = Route(INBOUND, "", "", 1, route_id=-inbound.did_id)
        dialled = Dialled(inbound.number, "", "")
        request = self._to_hold(caller, hold, dialled, price, covered, RouteOffer(route), resold)
        request = replace(request, limited_route=route.route_id if inbound.limited else None)
        return Plan(subscriber, price.tariff, covered.rate, route, request)

    async def rate_anew(
        self, call: FinishCall, subscriber: Subscriber, started_at: datetime, now: datetime
    ) -> CallDetails:
        """Details of a call whose prepare never reached us; without a rate where there is none.

        It goes by the prices of its start, and where there were none then, by those of `now`; one that says that it
        came in by a number of the subscriber's owner, by those of calls that come in, and by no others.
        """
        callerid, longest = sent_callerid(call.callerid, subscriber), max(call.seconds, 1)
        caller = Caller(call.call_key, subscriber, callerid, call.channel, started_at, longest, is_did=call.is_did)
        if (by := came_in_by(call)) is not None:
            called = await self._called_number(by)
            if called is not None and called.login == subscriber.login:
                return await self._inbound_anew(caller, inbound_of(called), (started_at, now))
            if call.is_did != "true":  # not its owner's any more: what it cost then, nobody knows
                return replace(_details(caller, Dialled(by, "", "")), route_name=INBOUND)
        attempt = call.call_key.attempt
        dialled = await self._numbers.dialled(subscriber, call.destination, call.callerid, attempt=attempt)
        if isinstance(dialled, Declined):
            return _details(caller, Dialled(normalise_callerid(call.destination), "", ""))
        for at in (started_at, now):
            price = await self._pricing.price(subscriber, dialled, at, caller.longest)
            if not isinstance(price, Declined):
                covered = await self._cover.cover(replace(caller, at=at), price, 0)
                resellers = await self._resale.anew(subscriber, dialled, at, caller.longest)
                return replace(_details(caller, dialled, (price, covered)), resellers=resellers)
        return _details(caller, dialled)

    async def _inbound_anew(self, caller: Caller, inbound: Inbound, moments: tuple[datetime, ...]) -> CallDetails:
        """The same of a call that came in by a number."""
        dialled = Dialled(inbound.number, "", "")
        for at in moments:
            price = await self._inbound.price(inbound, caller.subscriber, caller, at)
            if not isinstance(price, Declined):
                details = _details(caller, dialled, (price, Covered(price.rate, price.rate)))
                resellers = await self._inbound.resold_anew(inbound, caller, at)
                return replace(details, route_name=INBOUND, resellers=resellers)
        return replace(_details(caller, dialled), route_name=INBOUND)

    async def _refusal(self, subscriber: Subscriber, dialled: Dialled) -> DeclineReason | None:
        """Why the caller's party may not call there: by its state, or by its own list of destinations."""
        party_id, number = subscriber.party_id, dialled.destination
        if subscriber.calls is not AllowedCalls.ALL and not await self._is_line_of(party_id, number):
            return DeclineReason.EXTERNAL_BLOCKED
        return await self._list_refusal(party_id, number) if subscriber.has_destination_list else None

    def _watched(self, call_key: CallKey, subscriber: Subscriber) -> bool:
        """Whether somebody watches the call's exchange, and so can lengthen it."""
        if self._is_watched is not None and self._is_watched(call_key.exchange):
            return True
        if self._is_watched is not None and (subscriber.quota or self._policy.watches_exchanges):
            self._unwatched.count(call_key.exchange, subscriber.login)
        return False

    def _to_hold(
        self,
        caller: Caller,
        hold: Hold,
        dialled: Dialled,
        price: Price,
        covered: Covered,
        route: RouteOffer,
        resold: tuple[Resold, ...],
    ) -> ReserveRequest:
        subscriber, rate, lasts, taken = caller.subscriber, covered.rate, hold.longest, route.route
        floor = None if hold.share is None else hold.floor
        money = money_of(rate, hold.ahead, floor)
        if hold.steered:
            # A slice may pay for more than it says: what packages cover, and increments, go on beyond it.
            lasts = max(hold.ahead, max_duration(rate, money.maximum, hold.longest))
        details = _details(caller, dialled, (price, covered), route)
        asked = price.tariffs
        held: tuple[ResellerHold, ...] = ()
        if resold:
            details = replace(details, resellers=tuple([one.frozen for one in resold]))
            asked += tuple([one.price.tariff for one in resold])
            held = tuple([one.hold(hold.ahead, floor) for one in resold])
        if route.cost_tariff is not None:
            asked += (route.cost_tariff,)
        return ReserveRequest(  # by place, as CallDetails
            caller.call_key,
            subscriber.bucket,
            subscriber.account_id,
            subscriber.version,
            money.minimum,
            money.maximum,
            money.price_per_minute,
            hold.slices,
            hold.longest,
            lasts + self._policy.reservation_grace_seconds,
            taken.dial_prefix,
            details,
            tariff_versions(asked),
            caller.at,
            taken.route_id if taken.is_limited else None,
            random.getrandbits(CLAIM_BITS),
            hold.steered,
            hold.share,
            money.share_least,
            held,
        )


def _has_lists(subscriber: Subscriber) -> bool:
    """Whether not every number may be called."""
    return subscriber.has_destination_list or subscriber.calls is not AllowedCalls.ALL


def _details(
    caller: Caller,
    dialled: Dialled,
    priced: tuple[Price, Covered] | None = None,
    route: RouteOffer | None = None,
) -> CallDetails:
    """What the CDR will say of a call, with the rates that are frozen for it ('' where there is none)."""
    subscriber, origin = caller.subscriber, caller.origin
    tariff_id, deck_id, direction, prefix, rate = subscriber.tariff_id, 0, "", "", ""
    packages: tuple[PackageUse, ...] = ()
    if priced is not None:
        price, covered = priced
        match = price.match
        tariff_id, deck_id = price.tariff.tariff_id, match.deck_id
        direction, prefix, rate, packages = match.direction.name, match.prefix, covered.rate.to_json(), covered.packages
    carrier_rate = carrier_currency = ""
    if route is not None and route.rate is not None:
        carrier_rate = route.rate.to_json()
    if route is not None and route.cost_tariff is not None:
        carrier_currency = route.cost_tariff.currency
    return CallDetails(  # by place, in the order of its fields: by name it would take 2 us instead of 0.5
        subscriber.subscriber_id,
        caller.call_key.exchange,
        caller.call_key.attempt,
        caller.callerid,
        dialled.destination,
        direction,
        prefix,
        tariff_id,
        deck_id,
        rate,
        "" if route is None else route.route.name,
        dialled.routing_number,
        carrier_rate,
        carrier_currency,
        None if route is None else route.exchange,
        packages,
        caller.channel,
        origin.from_originate,
        origin.source_address,
        origin.originated_by,
        caller.is_did,
    )
