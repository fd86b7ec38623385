"""How much of a call is held, and for how long: by its limits, its account, and whether its exchange is watched."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.tariff import PackageKind
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.plan import Plan, Planning
from tests.support.calls import prepare
from tests.support.facts import NOON, RETAIL, Facts, minute, package, tariff
from tests.unit.services.calls.test_plan import plan_of


@pytest.mark.parametrize(
    ("own", "accounts", "prepaid", "cap"),
    [
        (None, None, True, 3_600),  # what it holds at a time is all it has: nobody can lengthen it
        (None, None, False, 14_400),
        (60, None, True, 60),
        (None, 90, True, 90),
        (60, 90, True, 60),
        (90, 60, False, 60),
        (None, 7_200, True, 7_200),  # a limit of its own may be longer than what others hold
        (20_000, None, False, 20_000),
    ],
)
async def test_the_longest_call_is_the_least_of_what_limits_it_or_else_what_the_settings_say(
    own, accounts, prepaid, cap
):
    facts = Facts()
    facts.subscriber = replace(facts.subscriber, max_seconds=own, max_call_seconds=accounts, prepaid=prepaid)

    request = (await plan_of(facts)).request

    assert (request.cap_seconds, request.lifetime_seconds) == (cap, cap + 300)
    assert request.maximum == Decimal(cap) / 100


@pytest.mark.parametrize(
    ("policy", "own", "watched", "in_slices", "shares"),
    [
        (True, None, True, True, False),
        (True, False, True, False, False),
        (False, True, True, True, False),
        (True, None, False, False, True),  # nobody could lengthen it: it leaves something to others instead
        (False, True, False, False, True),
        (True, False, False, False, False),
        (False, None, True, False, False),
    ],
)
async def test_a_call_reserves_in_slices_where_it_is_wanted_and_somebody_watches_else_a_share(
    policy, own, watched, in_slices, shares
):
    facts = Facts()
    facts.subscriber = replace(facts.subscriber, quota=own)
    planning = Planning(facts.sources(), ChargingPolicy(quota=policy), is_watched=lambda exchange: watched)

    plan = await planning.plan(prepare("1"), NOON)

    assert isinstance(plan, Plan)
    request = plan.request
    assert (request.quota, request.steered) == (in_slices, watched)
    assert request.maximum == (Decimal("1.2") if in_slices else Decimal(36))
    assert (request.share, request.share_least) == ((Decimal("0.5"), Decimal(3)) if shares else (None, 0))


@pytest.mark.parametrize(
    ("quota", "own", "ahead", "longest"),
    [
        (True, None, 120, 14_400),
        (False, None, 3_600, 14_400),  # an hour at first, and then slice by slice
        (False, 7_200, 3_600, 7_200),
        (True, 60, 60, 60),
    ],
)
async def test_a_call_that_can_be_lengthened_holds_a_first_part_and_goes_on_up_to_its_own_limit(
    quota, own, ahead, longest
):
    facts = Facts()
    facts.subscriber = replace(facts.subscriber, quota=quota, max_call_seconds=own)
    planning = Planning(facts.sources(), ChargingPolicy(), is_watched=lambda exchange: True)

    plan = await planning.plan(prepare("1"), NOON)

    assert isinstance(plan, Plan)
    assert plan.request.maximum == Decimal(ahead) / 100
    assert (plan.request.cap_seconds, plan.request.lifetime_seconds) == (longest, ahead + 300)


async def test_a_share_is_never_less_than_the_shortest_charged_call():
    facts = Facts(rates={(RETAIL, ""): {"49": minute("0.60", interval_1=600, grace_period=400)}})

    request = (await plan_of(facts, quota=True)).request

    assert request.share_least == request.minimum == Decimal(6)


async def test_free_seconds_are_held_for_what_a_call_holds_at_a_time_not_for_all_it_may_last():
    facts = Facts(tariffs={RETAIL: tariff(packages=(package(5, PackageKind.FREE),))}, packages={5: (0, 9_000)})
    planning = Planning(facts.sources(), ChargingPolicy(quota=True), is_watched=lambda exchange: True)

    plan = await planning.plan(prepare("1"), NOON)

    assert isinstance(plan, Plan)
    assert [use.seconds for use in plan.request.details.packages] == [3_600]


async def test_a_slice_lasts_as_long_as_what_packages_pay_of_it():
    facts = Facts(tariffs={RETAIL: tariff(packages=(package(5, PackageKind.FREE),))}, packages={5: (0, 600)})
    planning = Planning(facts.sources(), ChargingPolicy(quota=True), is_watched=lambda exchange: True)

    plan = await planning.plan(prepare("1"), NOON)

    assert isinstance(plan, Plan)
    assert (plan.request.maximum, plan.request.lifetime_seconds) == (0, 600 + 300)
