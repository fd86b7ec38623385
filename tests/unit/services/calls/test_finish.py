"""callFinish over facts and a ledger in memory: charged once, by the frozen rate, whoever says it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import DeclineReason, FinishCall, NotSaved, Saved
from rating_engine.domain.tariff import PackageKind
from tests.support.calls import finish, key_of, prepare
from tests.support.facts import NOON, RETAIL, Facts, minute, package, tariff
from tests.unit.services.calls.test_prepare import World


@pytest.fixture
def world() -> World:
    return World()


async def ended(world: World, call: FinishCall) -> Saved:
    outcome = await world.charging.finish_call(call)
    assert isinstance(outcome, Saved), outcome
    return outcome


@pytest.mark.parametrize(
    ("rate", "seconds", "billed", "cost"),
    [
        (minute("0.60"), 0, 0, "0.00000"),
        (minute("0.60"), 1, 1, "0.01000"),
        (minute("0.60", interval_1=60, interval_n=60), 61, 120, "1.20000"),
        (minute("0.60", connect_fee="0.10"), 30, 30, "0.40000"),
        (minute("0.60", free_seconds=10), 30, 20, "0.20000"),
        (minute("0.60", grace_period=5), 5, 0, "0.00000"),
    ],
)
async def test_a_call_costs_what_its_rate_says(world, rate, seconds, billed, cost):
    world.facts.rates = {(RETAIL, ""): {"49": rate}}
    await world.prepare()

    saved = await ended(world, finish("1", seconds))

    assert (saved.billed_seconds, saved.cost, saved.currency) == (billed, Decimal(cost), "EUR")
    assert world.book.finds == 0  # this process allowed it, and knows its rate


async def test_the_rate_is_that_of_the_beginning_whatever_is_published_meanwhile(world):
    await world.prepare()
    world.facts.rates = {(RETAIL, ""): {"49": minute("6")}}

    assert (await ended(world, finish("1", 60))).cost == Decimal("0.6")


@pytest.mark.parametrize(("seconds", "again"), [(60, 60), (60, 61), (60, 0), (0, 5)])
async def test_an_end_that_is_said_again_is_charged_once_and_said_otherwise_it_is_a_conflict(world, seconds, again):
    await world.prepare()
    first = await ended(world, finish("1", seconds))

    second = await world.charging.finish_call(finish("1", again))

    if seconds == again:
        assert second == replace(first, repeated=True)
    else:
        assert isinstance(second, NotSaved)
        assert second.reason is DeclineReason.CONFLICT
    assert world.book.ended[key_of("1")].seconds == seconds


@pytest.mark.parametrize(("first", "second", "taken"), [(60, 61, True), (61, 60, True), (60, 62, False), (1, 0, False)])
async def test_an_end_that_two_measure_is_told_as_it_was_at_first(world, first, second, taken):
    await world.prepare()
    saved = await ended(world, replace(finish("1", first), leeway_seconds=1))

    again = await world.charging.finish_call(replace(finish("1", second), leeway_seconds=1))

    assert again == (replace(saved, repeated=True) if taken else NotSaved(DeclineReason.CONFLICT, again.detail))
    assert world.book.ended[key_of("1")].seconds == first


async def test_who_measures_an_end_a_moment_behind_the_cut_charges_what_was_paid_and_no_more(world):
    allowed = await world.prepare()

    saved = await ended(world, replace(finish("1", allowed.max_seconds + 1), leeway_seconds=1))

    assert (saved.seconds, saved.overrun) == (allowed.max_seconds, 0)


async def test_an_end_at_another_process_is_looked_up_once(world):
    await world.prepare()
    elsewhere = World()
    elsewhere.finishing._ledger = world.book

    assert (await ended(elsewhere, finish("1", 60))).cost == Decimal("0.6")
    assert world.book.finds == 1


async def test_an_end_without_a_beginning_is_charged_by_the_price_of_its_start(world):
    saved = await ended(world, replace(finish("1", 60), ended_at=NOON - timedelta(hours=1)))

    assert saved.cost == Decimal("0.6")
    assert world.book.settled[-1].details is not None


async def test_an_end_of_nobodys_call_is_not_taken(world):
    outcome = await world.charging.finish_call(finish("1", 60, login="nobody"))
    assert outcome == NotSaved(DeclineReason.UNKNOWN_LOGIN)


@pytest.mark.parametrize(
    ("left", "seconds", "cost", "used"), [(600, 60, "0", 60), (600, 700, "1.00", 600), (0, 60, "0.60", 0)]
)
async def test_packages_pay_first_by_what_the_call_held(world, left, seconds, cost, used):
    facts = Facts(tariffs={RETAIL: tariff(packages=(package(5, PackageKind.FREE),))}, packages={5: (0, left)})
    world.facts.tariffs, world.facts.packages = facts.tariffs, facts.packages
    await world.prepare()
    world.facts.packages = {5: (0, 0)}  # all that was left is held by the call

    saved = await ended(world, finish("1", seconds))

    assert saved.cost == Decimal(cost)
    assert world.book.settled[-1].covered_seconds == used


# -- two exchanges that look like one --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "is_another"),
    [
        ({}, False),
        ({"channel": ""}, False),  # not known
        ({"channel": "PJSIP/bob-1", "seconds": 0}, True),  # it would end a call that runs
        ({"channel": "PJSIP/bob-1", "callerid": "555"}, True),
        ({"channel": "PJSIP/bob-1"}, False),  # renamed by a transfer
        ({"channel": "PJSIP/bob-1", "callerid": None}, False),
        ({"callerid": "555"}, False),
    ],
)
async def test_an_end_that_another_channel_says_does_not_end_the_call(world, change, is_another):
    await world.prepare(replace(prepare("1", callerid="444"), channel="PJSIP/alice-1"))
    told = replace(finish("1", 60), **{"channel": "PJSIP/alice-1", "callerid": "444", **change})

    outcome = await world.charging.finish_call(told)

    if not is_another:
        assert isinstance(outcome, Saved)
        return
    assert isinstance(outcome, NotSaved)
    assert outcome.reason is DeclineReason.CONFLICT
    own = replace(finish("1", 60), channel="PJSIP/alice-1", callerid="444")
    assert (await ended(world, own)).cost == Decimal("0.6")
