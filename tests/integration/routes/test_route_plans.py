"""Calls go by the plan of their card group, user or tariff; and suspected ones by that of the blacklist."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.card import CardSale, GroupTerms, NewCards
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound, Refused
from rating_engine.domain.outcomes import (
    Allowed,
    CallKey,
    CardAdmitted,
    CardQuestion,
    DeclineReason,
    Origin,
    PrepareCall,
)
from rating_engine.domain.page import Cursor
from rating_engine.domain.party import PartyChanges
from rating_engine.domain.route_plan import BlacklistMode, GlobalBlacklist, NewRoutePlan, RoutePlanChanges
from rating_engine.domain.tariff import RouteChanges, RouteOrder
from rating_engine.domain.tariff_card import TariffChanges
from tests.support.mor import Mor, mor_on
from tests.support.waiting import until


class Dialling:
    """Asks where calls go."""

    _keys = map(str, itertools.count())

    def __init__(self, mor: Mor) -> None:
        self._charging = mor.engine.charging

    async def route(self, login: str = "10001", number: str = "4912345", attempt: int = 1, **more: str) -> object:
        """By which route a call goes, or why by none."""
        key = CallKey("pbx1", next(self._keys), attempt)
        call = PrepareCall(
            key, login, number, more.get("caller"), origin=Origin(source_address=more.get("address", ""))
        )
        outcome = await self._charging.prepare_call(call)
        if isinstance(outcome, Allowed):
            assert await self._charging.abandon_call(outcome.call_key, login, outcome.claim)
            return outcome.route_name
        return outcome.reason

    async def goes_by(self, wanted: object, login: str = "10001", **more: str) -> None:
        """Wait until calls go there: what is remembered of plans is dropped when their change is announced."""

        async def does() -> bool:
            return await self.route(login, **more) == wanted

        await until(does)


async def test_plans_and_the_blacklist_say_where_the_next_call_goes(database_url):
    """`firm` owns anna (line 10001), `other` owns otto (20001); retail lists no routes."""
    async with mor_on(database_url) as mor:
        for place, name in enumerate(("r1", "r2", "r3")):
            await mor.operator.routes.add(name, RouteChanges(position=place))
        await mor.operator.route_plans.add(NewRoutePlan("second", ("r2", "r1")))
        await mor.operator.route_plans.add(NewRoutePlan("third", ("r3",)))
        await suspected_calls_go_by_the_plan_of_the_blacklist(mor)
        await administrators_alone_give_plans_by_mor_and_to_cards(mor)
        await a_plan_takes_the_place_of_the_tariffs_routes(mor)


async def a_plan_takes_the_place_of_the_tariffs_routes(mor: Mor):
    use, dial = mor.operator, Dialling(mor)
    plans = use.route_plans
    assert await dial.route() == "r1"
    await use.tariffs.change("retail", TariffChanges(route_plan="second"))
    assert [await dial.route(attempt=attempt) for attempt in (1, 2, 3)] == ["r2", "r1", DeclineReason.NO_ROUTE]
    await use.parties.change("firm", PartyChanges(route_plan="third"))  # and so of anna, who is below it
    assert [await dial.route(login) for login in ("10001", "20001")] == ["r3", "r2"]
    await use.accounts.create(NewAccount("10002", "retail", balance=Decimal(10), owner="anna"))
    assert await dial.route("10002") == "r3"
    await use.parties.change("anna", PartyChanges(route_plan="second"))
    await plans.change("second", RoutePlanChanges(order=RouteOrder.PRIORITY, name="1st"))
    for login in ("10001", "10002", "20001"):
        await dial.goes_by("r1", login)
    await plans.change("1st", RoutePlanChanges(routes=("r3", "r2")))
    await dial.goes_by("r2")
    assert (await use.line_quotes.quote("10001", "4912345")).reason == ""
    trial = await use.route_trials.try_call("4912345", tariff="retail", at=datetime.now(UTC), plan="third")
    assert [each.route.name for each in trial.verdicts if each.place] == ["r3"]
    await use.parties.change("anna", PartyChanges(route_plan=None))
    await use.parties.change("firm", PartyChanges(route_plan=None))
    await use.tariffs.change("retail", TariffChanges(route_plan=None))
    assert await dial.route() == "r1"
    await use.parties.change("anna", PartyChanges(route_plan="third"))
    with pytest.raises(InvalidRequest):
        await use.routes.remove("r3")
    await mor.database.fetch("DELETE FROM routes WHERE name = 'r3'")  # by whatever hand: no route is not every route
    await dial.goes_by(DeclineReason.NO_ROUTE)
    for wrong, error in (
        (plans.remove("third"), Refused),
        (plans.remove("none"), NotFound),
        (plans.add(NewRoutePlan("third", ("r1",))), AlreadyExists),
        (plans.add(NewRoutePlan("new", ("r1", "none"))), NotFound),
        (use.parties.change("anna", PartyChanges(route_plan="none")), NotFound),
        (use.parties.change("otto", PartyChanges(dynamic_blacklist=BlacklistMode.ON)), InvalidRequest),
    ):
        with pytest.raises(error):
            await wrong
    assert [(plan.name, plan.users) for plan in (await plans.page(Cursor())).items] == [("1st", 2), ("third", 1)]
    await plans.set_blacklist(GlobalBlacklist(False))
    await use.parties.change("anna", PartyChanges(blacklist_plan=None))
    await plans.remove("1st")


async def suspected_calls_go_by_the_plan_of_the_blacklist(mor: Mor):
    use, dial = mor.operator, Dialling(mor)
    asked = {"caller": "4930111", "address": "192.0.2.7"}
    await use.number_scores.put(["+4912345", "4930111"], 20)
    await use.number_scores.put(["::ffff:192.0.2.7"], 11)
    assert await dial.route(**asked) == "r1"
    blacklist = PartyChanges(dynamic_blacklist=BlacklistMode.ON, score_threshold=50, blacklist_plan="third")
    await use.parties.change("anna", blacklist)
    assert await dial.route(**asked) == "r3"  # 51
    assert await dial.route(**{**asked, "address": ""}) == "r1"  # 40: it has to be more than the threshold
    await use.number_scores.put(["192.0.2.7"], 10)
    assert await dial.route(**asked) == "r1"
    assert await dial.route("20001", **asked) == "r1"
    everybody = use.route_plans
    await everybody.set_blacklist(GlobalBlacklist(True, 49, "second"))
    await dial.goes_by("r2", "20001", **asked)
    assert await dial.route(**asked) == "r1"
    await use.parties.change("otto", PartyChanges(dynamic_blacklist=BlacklistMode.OFF))
    assert await dial.route("20001", **asked) == "r1"
    assert await use.number_scores.take(["4930111", "4930112"]) == 1
    await use.parties.change("anna", PartyChanges(dynamic_blacklist=BlacklistMode.GLOBAL))
    assert await dial.route(**asked) == "r1"
    for text in ("", "abc", "1.2.3", "1" * 33, "79*"):
        with pytest.raises(InvalidRequest):
            await use.number_scores.put([text], 1)
    with pytest.raises(InvalidRequest):
        GlobalBlacklist(True, None, "third")
    listed = (await use.number_scores.page(Cursor())).items
    assert [(each.subject, each.score) for each in listed] == [("192.0.2.7", 10), ("4912345", 20)]
    await everybody.set_blacklist(replace(await everybody.blacklist(), enabled=False))


async def administrators_alone_give_plans_by_mor_and_to_cards(mor: Mor):
    use, dial = mor.operator, Dialling(mor)
    number = {plan.name: plan.plan_id for plan in (await use.route_plans.page(Cursor())).items}
    anna = (await use.parties.show("anna")).party_id
    given = {"u1": number["third"], "blacklist_enabled": 1, "blacklist_lcr": number["second"], "routing_threshold": 5}
    assert await mor.error("user_details_update", u="firm", user_id=anna, **given) == "Access Denied"
    assert await mor.error("user_details_update", u="anna", user_id=anna, u1=number["third"]) == "Access Denied"
    assert await mor.error("user_details_update", user_id=anna, u1=99) == "Access Denied"
    assert await mor.done("user_details_update", user_id=anna, **given)
    await use.number_scores.put(["4912345"], 6)
    assert [await dial.route(number=called) for called in ("4912345", "4912346")] == ["r2", "r3"]
    assert await mor.done("user_details_update", user_id=anna, u1=1, blacklist_enabled="no")
    assert await mor.done("user_details_update", u="firm", user_id=anna, u1=1, u17="Same")
    assert await dial.route() == "r1"

    assert await mor.error("cc_group_create", u="firm", name="g", lcr_id=number["third"]) == "LCR was not found"
    assert await mor.error("cc_group_create", name="g", lcr_id=99) == "LCR was not found"
    assert await mor.done("cc_group_create", name="g", price_with_vat=5, lcr_id=number["third"])
    (group,) = (await use.card_groups.page(Cursor())).items
    assert await mor.text("cc_groups_get", "cc_groups/cc_group/group_lcr", cc_group_id=group.group_id) == "third"
    await use.cards.create(NewCards(group.group_id, "1000000000", "1000000000"))
    (card,) = (await use.card_sales.sell(CardSale(group.group_id))).cards
    admitted = await mor.engine.charging.authorize_card(CardQuestion("pbx1", card.number, card.pin or ""))
    assert isinstance(admitted, CardAdmitted)
    assert await dial.route(admitted.login) == "r3"
    await use.card_groups.change(group.group_id, GroupTerms(route_plan="second"))
    assert await dial.route(admitted.login) == "r2"
    await use.parties.change("firm", PartyChanges(route_plan="third"))
    assert await mor.done("cc_group_update", cc_Group_id=group.group_id, lcr_id=1)
    assert await dial.route(admitted.login) == "r1"  # the system's: no plan of firm's
    await use.parties.change("firm", PartyChanges(route_plan=None))
