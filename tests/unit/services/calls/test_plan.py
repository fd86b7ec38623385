"""A call is planned from facts in memory: who calls, at what price, covered by what, by which route, for how much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import pytest

from rating_engine.domain.account import SubscriberOption
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import Declined, DeclineReason, FinishCall, PrepareCall
from rating_engine.domain.reservation import PackageUse
from rating_engine.domain.tariff import BandMode, Direction, PackageKind, RouteOrder
from rating_engine.rating.charge import charge
from rating_engine.rating.rate import Rate
from rating_engine.rating.schedule import Schedule, Window
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.plan import Plan, Planning
from rating_engine.services.calls.route import Attempts
from tests.support.calls import NUMBER, key_of, prepare
from tests.support.facts import NOON, RETAIL, Facts, minute, package, route, tariff

EVERY_DAY = frozenset(range(1, 9))
NIGHT = Window("night", EVERY_DAY, 12 * 60 + 30, 7 * 60)  # from half an hour after NOON
OPTION, CARRIER, CARRIER_2 = 2, 8, 9


async def plan_of(
    facts: Facts,
    call: PrepareCall | None = None,
    *,
    at: datetime = NOON,
    attempts: Attempts | None = None,
    **policy: object,
) -> Plan:
    plan = await Planning(facts.sources(), ChargingPolicy(**policy)).plan(  # type: ignore[arg-type]
        call or prepare("1"), at, attempts or Attempts()
    )
    assert isinstance(plan, Plan), plan
    return plan


async def reason_of(facts: Facts, call: PrepareCall | None = None, attempts: Attempts | None = None) -> DeclineReason:
    plan = await Planning(facts.sources(), ChargingPolicy()).plan(call or prepare("1"), NOON, attempts or Attempts())
    assert isinstance(plan, Declined), plan
    return plan.reason


# -- who, and whom ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (prepare("1", login="nobody"), DeclineReason.UNKNOWN_LOGIN),
        (prepare("1", "call me"), DeclineReason.INVALID_DESTINATION),
        (prepare("1", ""), DeclineReason.INVALID_DESTINATION),
        (prepare("1", "7901"), DeclineReason.NO_RATE),
        (replace(prepare("1"), routing_number="x"), DeclineReason.INVALID_DESTINATION),
    ],
)
async def test_a_call_of_nobody_to_nothing_or_to_where_no_rate_is_may_not_start(call, reason):
    assert await reason_of(Facts(), call) is reason


async def test_a_blocked_prefix_blocks_the_numbers_below_it_though_a_shorter_one_has_a_rate():
    facts = Facts(rates={(RETAIL, ""): {"49": minute("0.60"), "49900": None}})

    assert await reason_of(facts, prepare("1", "4990012345")) is DeclineReason.NO_RATE
    assert (await plan_of(facts, prepare("1", "4930123456"))).request.details.prefix == "49"


@pytest.mark.parametrize(("min_len", "max_len", "fits"), [(7, 7, True), (8, None, False), (None, 6, False)])
async def test_a_number_has_the_length_of_its_direction(min_len, max_len, fits):
    facts = Facts(directions={"49": Direction("de", "Germany", min_len, max_len)})
    assert len(NUMBER) == 7

    if fits:
        assert (await plan_of(facts)).request.details.direction == "Germany"
    else:
        assert await reason_of(facts) is DeclineReason.INVALID_DESTINATION


async def test_what_a_call_is_and_who_makes_it_stands_in_what_is_held_for_it():
    call = replace(prepare("1", "+49 (30) 123", callerid="0049 555"), channel="PJSIP/alice-1", routing_number="4999")

    details = (await plan_of(Facts(), call)).request.details

    assert (details.destination, details.routing_number, details.callerid) == ("4930123", "4999", "0049555")
    assert (details.exchange, details.attempt, details.channel) == ("test", 1, "PJSIP/alice-1")
    assert (details.prefix, details.tariff_id, details.deck_id) == ("49", RETAIL, 10)


async def test_a_database_that_is_needed_and_away_is_said():
    with pytest.raises(Unavailable):
        await plan_of(Facts(is_away=True))


# -- price -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "cost_of_a_minute"),
    [
        ({}, "0.60000"),
        ({"multiplier": Decimal("1.5")}, "0.90000"),
        ({"decimals": 1, "multiplier": Decimal("1.1")}, "0.7"),
        ({"minimum_charge": Decimal(2)}, "2.00000"),
        ({"currency": "USD"}, "0.30000"),
        ({"currency": "USD", "multiplier": Decimal(2)}, "0.60000"),
    ],
)
async def test_a_tariff_adds_its_markup_rounding_minimum_and_currency(settings, cost_of_a_minute):
    facts = Facts(tariffs={RETAIL: tariff(**settings)}, exchange=(("USD", "EUR", NOON, Decimal("0.5")),))

    rate = (await plan_of(facts)).rate

    assert charge(rate, 60).cost == Decimal(cost_of_a_minute)
    assert Rate.from_json((await plan_of(facts)).request.details.rate) == rate


async def test_a_currency_that_nobody_gave_a_rate_for_or_not_yet_prices_nothing():
    later = NOON + timedelta(seconds=1)
    facts = Facts(tariffs={RETAIL: tariff(currency="USD")}, exchange=(("USD", "EUR", later, Decimal(1)),))

    assert await reason_of(facts) is DeclineReason.NO_EXCHANGE_RATE


@pytest.mark.parametrize(
    ("prefixes", "number", "priced_by"),
    [
        ({"49": minute("0.10")}, NUMBER, OPTION),  # of equal prefixes the option's
        ({"4": minute("0.10")}, NUMBER, RETAIL),
        ({"491": minute("0.10")}, NUMBER, RETAIL),  # does not fit
        ({"4912": minute("0.10")}, NUMBER, OPTION),
    ],
)
async def test_an_option_prices_what_it_knows_best_while_it_is_in_force(prefixes, number, priced_by):
    option = SubscriberOption(OPTION, NOON - timedelta(days=1), NOON + timedelta(seconds=1))
    facts = Facts(
        tariffs={RETAIL: tariff(), OPTION: tariff(OPTION, "option")},
        rates={(RETAIL, ""): {"49": minute("0.60")}, (OPTION, ""): prefixes},
    )
    facts.subscriber = replace(facts.subscriber, options=(option,))
    if "491" in prefixes:
        number = "4999999"

    plan = await plan_of(facts, prepare("1", number))

    assert plan.tariff.tariff_id == priced_by
    assert dict(plan.request.tariffs) == {OPTION: 1, RETAIL: 1}
    assert (await plan_of(facts, at=option.effective_to)).tariff.tariff_id == RETAIL


@pytest.mark.parametrize(
    ("mode", "at", "cost_of_two_hours"),
    [
        (BandMode.START, NOON, "72"),
        (BandMode.START, NOON + timedelta(hours=1), "24"),
        (BandMode.SPLIT, NOON, "36"),
        (BandMode.SPLIT, NOON + timedelta(hours=1), "24"),
    ],
)
async def test_a_call_is_priced_by_the_band_of_its_start_or_of_each_second(mode, at, cost_of_two_hours):
    facts = banded(mode)

    plan = await plan_of(facts, at=at, max_reserve_seconds=7_200)

    assert plan.request.maximum == Decimal(cost_of_two_hours)


def banded(mode: BandMode, **settings: object) -> Facts:
    """0.60 by day and 0.20 at night, which begins half an hour after NOON."""
    return Facts(
        tariffs={RETAIL: tariff(schedule=Schedule((NIGHT,)), band_mode=mode, **settings)},
        rates={(RETAIL, ""): {"49": minute("0.60")}, (RETAIL, "night"): {"49": minute("0.20")}},
    )


# -- packages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "covered", "maximum"), [(0, 0, "36"), (600, 600, "30"), (3_600, 3_600, "0"), (9_999, 3_600, "0")]
)
async def test_free_seconds_are_held_as_far_as_the_call_needs_them(left, covered, maximum):
    facts = Facts(tariffs={RETAIL: tariff(packages=(package(5, PackageKind.FREE),))}, packages={5: (100, left)})

    plan = await plan_of(facts)

    assert plan.rate.covered_seconds == covered
    assert plan.request.maximum == Decimal(maximum)
    assert plan.request.details.packages == (PackageUse(5, NOON.date().replace(day=1), covered),)


async def test_packages_are_used_up_in_their_order_and_only_for_their_directions():
    packages = (
        package(5, PackageKind.FREE),
        package(6, PackageKind.FREE, directions=frozenset({"elsewhere"})),
        package(7, PackageKind.FREE),
    )
    facts = Facts(tariffs={RETAIL: tariff(packages=packages)}, packages={5: (0, 600), 6: (0, 600), 7: (0, 9_999)})

    uses = (await plan_of(facts)).request.details.packages

    assert [(use.package_id, use.seconds) for use in uses] == [(5, 600), (7, 3_000)]


@pytest.mark.parametrize(("used", "price"), [(0, "0.60"), (599, "0.60"), (600, "0.30"), (10_000, "0.06")])
async def test_a_volume_lowers_the_price_by_what_was_used_before(used, price):
    assert (await plan_of(volume(used))).request.price_per_minute == Decimal(price)


def volume(used: int, **settings: object) -> Facts:
    """0.60 a minute; half of it after ten minutes a month, a tenth after 10,000 seconds. `used` of it are."""
    steps = ((600, Decimal("0.5")), (10_000, Decimal("0.1")))
    packages = (package(5, PackageKind.VOLUME, steps=steps),)
    return Facts(tariffs={RETAIL: tariff(packages=packages, **settings)}, packages={5: (used, None)})


# -- routes ----------------------------------------------------------------------------------------------------


def sent_by(facts: Facts, *costs: str | None, **more: object) -> Facts:
    """Routes `a`, `b` … in this order, each at its cost a minute; None: not known."""
    routes = []
    for number, cost in enumerate(costs):
        tariff_id = None if cost is None else CARRIER + number
        if tariff_id is not None and cost is not None:
            facts.tariffs[tariff_id] = tariff(tariff_id, f"carrier {number}")
            facts.rates[tariff_id, ""] = {"49": minute(cost)}
        routes.append(route("abc"[number], number, cost_tariff_id=tariff_id, **more))
    facts.routes = tuple(routes)
    return facts


Build = Callable[[], Facts]


@pytest.mark.parametrize(
    ("sold", "costs", "taken"),
    [
        (Facts, ("0.60",), "a"),  # just as much is no loss
        (Facts, ("0.61",), None),
        (Facts, ("0.61", "0.10"), "b"),
        (Facts, (None,), "a"),  # nobody said that it loses money
        (lambda: volume(0), ("0.40",), "a"),
        (lambda: volume(600), ("0.40",), None),  # sold at 0.30: ten minutes would cost 4.00 and bring 3.00
        (lambda: volume(600), ("0.40", "0.30"), "b"),
        (lambda: volume(10_000), ("0.30", "0.06"), "b"),
        (lambda: volume(600, allow_loss=True), ("0.40",), "a"),
        (lambda: banded(BandMode.START), ("0.40",), "a"),  # the whole call is sold at 0.60
        (lambda: banded(BandMode.SPLIT), ("0.40",), None),  # after half an hour it is sold at 0.20
        (lambda: banded(BandMode.SPLIT), ("0.40", "0.20"), "b"),
        (lambda: banded(BandMode.SPLIT, allow_loss=True), ("0.40",), "a"),
    ],
)
async def test_no_route_is_taken_that_costs_more_than_the_call_is_really_sold_for(sold, costs, taken):
    facts = sent_by(sold(), *costs)

    if taken is None:
        assert await reason_of(facts) is DeclineReason.NO_ROUTE
    else:
        plan = await plan_of(facts)
        assert plan.route.name == taken
        if plan.request.details.carrier_rate and not plan.tariff.allow_loss:
            carrier = Rate.from_json(plan.request.details.carrier_rate)
            assert all(charge(carrier, n).cost <= charge(plan.rate, n).cost for n in (60, 600, 3_600))


async def test_a_change_of_price_beyond_the_longest_call_is_none():
    facts = sent_by(banded(BandMode.SPLIT), "0.40")

    assert (await plan_of(facts, max_reserve_seconds=1_800)).route.name == "a"
    planning = Planning(facts.sources(), ChargingPolicy(max_reserve_seconds=1_802))
    assert isinstance(await planning.plan(prepare("1"), NOON), Declined)


@pytest.mark.parametrize(("cost", "taken"), [("0.60", True), ("0.61", False)])
async def test_seconds_that_a_package_has_paid_for_count_at_the_price_they_would_have(cost, taken):
    free = Facts(
        tariffs={RETAIL: tariff(packages=(package(5, PackageKind.FREE, waives_fees=True),))}, packages={5: (0, 9_999)}
    )
    facts = sent_by(free, cost)

    if taken:
        plan = await plan_of(facts)
        assert (plan.rate.covered_seconds, plan.request.maximum) == (3_600, 0)
    else:
        assert await reason_of(facts) is DeclineReason.NO_ROUTE


async def test_a_volume_under_free_seconds_is_still_seen_by_the_guard():
    packages = (package(5, PackageKind.FREE), package(6, PackageKind.VOLUME, steps=((0, Decimal("0.5")),)))
    facts = Facts(tariffs={RETAIL: tariff(packages=packages)}, packages={5: (0, 60), 6: (0, None)})

    assert await reason_of(sent_by(facts, "0.31")) is DeclineReason.NO_ROUTE
    assert (await plan_of(sent_by(facts, "0.30"))).route.name == "a"


async def test_a_cost_in_another_currency_is_compared_in_the_accounts():
    facts = sent_by(Facts(exchange=(("USD", "EUR", NOON, Decimal(2)),)), "0.31", "0.29")
    facts.tariffs |= {
        CARRIER: tariff(CARRIER, "usd", currency="USD"),
        CARRIER_2: tariff(CARRIER_2, "usd 2", currency="USD"),
    }

    plan = await plan_of(facts)

    assert plan.route.name == "b"
    assert (plan.request.details.carrier_currency, plan.request.details.carrier_exchange) == ("USD", Decimal(2))
    assert dict(plan.request.tariffs) == {RETAIL: 1, CARRIER_2: 1}


async def test_a_route_whose_cost_deck_lacks_the_number_is_for_no_call_to_it():
    facts = sent_by(Facts(), "0.10")
    facts.rates[CARRIER, ""] = {"48": minute("0.10")}

    assert await reason_of(facts) is DeclineReason.NO_ROUTE


@pytest.mark.parametrize(
    ("attempt", "attempts", "taken"),
    [
        (1, Attempts(), "a"),
        (2, Attempts(("a",)), "b"),
        (2, Attempts(()), "b"),  # what the first took is not known: it counts by its number
        (3, Attempts(("b", "a")), "c"),
        (1, Attempts(full=(ord("a"),)), "b"),
        (2, Attempts(("a",), (ord("b"),)), "c"),
        (1, Attempts(full=tuple(map(ord, "abc"))), DeclineReason.NO_CAPACITY),
        (4, Attempts(tuple("abc")), DeclineReason.NO_ROUTE),
    ],
)
async def test_each_attempt_takes_the_next_route_that_has_room(attempt, attempts, taken):
    facts = sent_by(Facts(), None, None, None, max_calls=1)
    call = prepare("1", attempt=attempt)

    if isinstance(taken, DeclineReason):
        assert await reason_of(facts, call, attempts) is taken
    else:
        plan = await plan_of(facts, call, attempts=attempts)
        assert plan.route.name == taken
        assert plan.request.limited_route == plan.route.route_id


async def test_the_cheapest_goes_first_where_the_tariff_says_so_and_its_own_routes_alone_are_used():
    facts = sent_by(Facts(), "0.30", "0.20", "0.10")
    listed = MappingProxyType({ord("a"): 1, ord("b"): 2})
    facts.tariffs[RETAIL] = tariff(route_order=RouteOrder.COST, routes=listed)

    assert (await plan_of(facts)).route.name == "b"


# -- a call that was never prepared ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("destination", "started_at", "rated"),
    [
        (NUMBER, NOON, True),
        ("7901", NOON, False),
        ("call me", NOON, False),
        (NUMBER, NOON - timedelta(days=1), True),  # by what is known now, where there was nothing then
    ],
)
async def test_an_end_without_a_beginning_is_rated_by_its_start(destination, started_at, rated):
    facts = Facts(tariffs={RETAIL: tariff(currency="USD")}, exchange=(("USD", "EUR", NOON, Decimal(1)),))
    planning = Planning(facts.sources(), ChargingPolicy())
    call = FinishCall(key_of("1"), "1001", destination, 60, "ANSWER", 16)

    details = await planning.rate_anew(call, facts.subscriber, started_at, NOON)

    assert bool(details.rate) is rated
    assert (details.route_name, details.carrier_rate) == ("", "")


async def test_an_end_of_a_call_that_came_in_by_a_number_that_is_nobodys_now_has_no_rate_and_is_no_outgoing_call():
    facts = Facts()
    planning = Planning(facts.sources(), ChargingPolicy())
    call = FinishCall(key_of("1"), "1001", NUMBER, 60, "ANSWER", 16, is_did=NUMBER)

    details = await planning.rate_anew(call, facts.subscriber, NOON, NOON)

    assert (details.rate, details.route_name, details.destination) == ("", "inbound", NUMBER)


# -- a route that the exchange has chosen -----------------------------------------------------------------------


def by(name: str) -> PrepareCall:
    return replace(prepare("1"), route=name)


def costing(price: str) -> Facts:
    return Facts(
        tariffs={RETAIL: tariff(), CARRIER: tariff(CARRIER, "carrier")},
        rates={(RETAIL, ""): {"49": minute("0.60")}, (CARRIER, ""): {"49": minute(price)}},
        routes=(route("first", 1), route("chosen", 2, cost_tariff_id=CARRIER)),
    )


async def test_a_call_goes_by_the_route_that_the_exchange_has_chosen_and_costs_what_that_one_costs():
    plan = await plan_of(costing("0.40"), by("chosen"))

    details = plan.request.details
    assert (plan.route.name, details.route_name) == ("chosen", "chosen")
    assert Rate.from_json(details.carrier_rate) == minute("0.40")


async def test_what_chooses_among_routes_is_not_asked_of_a_chosen_one():
    facts = Facts(routes=(route("first", 1), route("chosen", 2, percentage=1)))

    for number in range(20):
        call = replace(by("chosen"), call_key=key_of(f"call-{number}", attempt=3))
        assert (await plan_of(facts, call, attempts=Attempts(tried=("chosen", "first")))).route.name == "chosen"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (Facts(routes=(route("first"),)), DeclineReason.NO_ROUTE),  # no such route, or a disabled one
        (Facts(routes=()), DeclineReason.NO_ROUTE),  # all are disabled
        (Facts(routes=(route("chosen", number_prefix="7"),)), DeclineReason.NO_ROUTE),
        (Facts(routes=(route("chosen", prefixes=MappingProxyType({"49": False})),)), DeclineReason.NO_ROUTE),
        (costing("0.61"), DeclineReason.NO_ROUTE),  # costs more than it is sold for
        (
            Facts(
                tariffs={RETAIL: tariff(), CARRIER: tariff(CARRIER, "carrier")},
                routes=(route("chosen", cost_tariff_id=CARRIER),),
            ),
            DeclineReason.NO_ROUTE,  # its cost deck does not serve the number
        ),
    ],
)
async def test_a_chosen_route_that_is_not_for_the_call_is_refused_and_no_other_taken(facts, reason):
    assert await reason_of(facts, by("chosen")) is reason


async def test_a_chosen_route_without_room_is_refused_as_full():
    chosen = route("chosen", max_calls=1)
    facts = Facts(routes=(route("first"), chosen))

    assert await reason_of(facts, by("chosen"), Attempts(full=(chosen.route_id,))) is DeclineReason.NO_CAPACITY


async def test_where_no_route_is_configured_the_chosen_one_is_a_route_of_unknown_cost():
    plan = await plan_of(Facts(), by("trunk7"))

    assert (plan.route.name, plan.request.details.route_name) == ("trunk7", "trunk7")
    assert plan.request.details.carrier_rate == ""
