"""By which routes a call may go where its line, or what is known of the numbers, has a plan for it. The step between
the price of a call and who pays for it.

Law: who has no plan, and is not under the dynamic blacklist, asks nobody here; scores are asked at each call and never
remembered, so one that is changed counts at once.
"""

from __future__ import annotations

from dataclasses import replace

from rating_engine.domain.account import Subscriber
from rating_engine.domain.number_scores import address_of
from rating_engine.domain.route_plan import Blacklisting, BlacklistMode, KnownPlans
from rating_engine.services.calls.number import Caller, Dialled
from rating_engine.services.calls.price import Price
from rating_engine.services.facts.sources import CallSources


class PlannedRoutes:
    """Puts the routes of a call's plan in the place of its tariff's. Errors: Unavailable."""

    def __init__(self, sources: CallSources) -> None:
        self._known = sources.route_plans
        self._sum_of_scores = sources.sum_of_scores

    async def routed(self, caller: Caller, dialled: Dialled, price: Price) -> Price:
        """The price, on a tariff whose list and order of routes are the call's."""
        subscriber = caller.subscriber
        plan_id, is_blacklisted = subscriber.route_plan_id, False
        if subscriber.dynamic_blacklist is not BlacklistMode.OFF:
            blacklisting = blacklisting_of(subscriber, await self._known.get())
            if blacklisting is not None:
                is_blacklisted = await self._score(caller, dialled) > blacklisting.threshold
                plan_id = blacklisting.plan_id if is_blacklisted else plan_id
        if plan_id is None:
            return price
        plan = await self._known.plan_of(plan_id)
        return replace(price, tariff=plan.of(price.tariff), is_blacklisted=is_blacklisted)

    async def _score(self, caller: Caller, dialled: Dialled) -> int:
        """What the caller, the number called, and the address where the call comes from have together."""
        subjects = (dialled.origin, dialled.destination, address_of(caller.origin.source_address))
        return await self._sum_of_scores([subject for subject in subjects if subject])


def blacklisting_of(subscriber: Subscriber, known: KnownPlans) -> Blacklisting | None:
    """From which score on the calls of a line go by which plan; None: they never do."""
    if subscriber.dynamic_blacklist is BlacklistMode.GLOBAL:
        return known.blacklisting
    threshold, plan_id = subscriber.score_threshold, subscriber.blacklist_plan_id
    if subscriber.dynamic_blacklist is BlacklistMode.OFF or threshold is None or plan_id is None:
        return None
    return Blacklisting(threshold, plan_id)
