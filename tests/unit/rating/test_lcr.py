"""Which routes serve a call, and the order they are tried in, by worked examples."""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from types import MappingProxyType

import pytest

from rating_engine.domain.tariff import Route, RouteOrder, RouteQuality
from rating_engine.rating.lcr import JUDGED_FROM, Offer, Refusal, ordered, refusal, serves
from rating_engine.rating.schedule import Schedule, Window

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)


def route(name: str = "a", position: int = 1, route_id: int = 1, **terms) -> Route:
    return Route(name, "", terms.pop("number_prefix", ""), position, route_id=route_id, **terms)


def names(offers: list[Offer[Route]]) -> str:
    return "".join(offer.route.name for offer in offers)


def why_not(route: Route, destination: str = "4930", callerid: str = "", at: datetime = MONDAY, **given):
    reason = refusal(route, destination=destination, callerid=callerid, at=at, call_seed="", **given)
    assert reason is not None or serves(route, destination=destination, callerid=callerid, at=at)
    return reason


@pytest.mark.parametrize(
    ("number", "allowed"),
    [("7901", True), ("7495", False), ("74959", True), ("749590", True), ("749591", False), ("49", True)],
)
def test_the_longest_prefix_of_a_routes_lists_decides(number, allowed):
    listed = route(prefixes=MappingProxyType({"7495": False, "74959": True, "749591": False}))
    assert (why_not(listed, number) is None) is allowed


def test_a_route_that_allows_by_list_alone_serves_nothing_else():
    listed = route(prefixes=MappingProxyType({"49": True}), default_allowed=False)
    assert why_not(listed, "4930") is None
    assert why_not(listed, "4") is Refusal.BLOCKED


def test_the_first_digits_a_route_is_for_are_not_widened_by_its_list():
    listed = route(number_prefix="49", prefixes=MappingProxyType({"7": True}))
    assert why_not(listed, "7901") is Refusal.NUMBER


def test_a_tariffs_list_leaves_out_the_others():
    assert why_not(route(route_id=2), listed={1: 1}) is Refusal.NOT_LISTED
    assert why_not(route(route_id=1), listed={1: 1}) is None


@pytest.mark.parametrize(
    ("policy", "callerid", "taken"),
    [
        (1, "+74951234567", True),
        (1, "74951234567", True),
        (1, "4930123456", False),
        (1, "101", False),
        (1, "", False),
        (2, "4930123456", True),
        (2, "+74951234567", True),
        (2, "101", False),
        (2, "anonymous", False),
        (2, "", False),
        (99, "anonymous", True),
        (99, "", True),
    ],
)
def test_a_route_takes_calls_of_the_caller_ids_its_policy_allows(policy, callerid, taken):
    reason = why_not(route(callerid_policy=policy, country_code="7"), callerid=callerid)
    assert reason is (None if taken else Refusal.CALLERID)


@pytest.mark.parametrize(
    ("utc", "used"),
    [("05:59:59", False), ("06:00:00", True), ("15:59:59", True), ("16:00:00", False)],
)
def test_a_route_with_windows_is_used_from_their_start_to_just_before_their_end_in_its_time_zone(utc, used):
    office = Schedule((Window("open", frozenset({1, 2, 3, 4, 5}), 8 * 60, 18 * 60),), zone="Europe/Berlin")
    at = datetime.fromisoformat(f"2026-06-01T{utc}+00:00")
    assert why_not(route(windows=office), at=at) is (None if used else Refusal.CLOSED)


def test_a_route_without_windows_is_used_always_whatever_its_time_zone():
    assert why_not(route(windows=Schedule(zone="Asia/Kathmandu"))) is None


def test_the_reason_given_is_of_the_call_rather_than_of_the_routes_share():
    small = route(percentage=1, number_prefix="7")
    reasons = {refusal(small, destination="49", callerid="", at=MONDAY, call_seed=str(call)) for call in range(200)}
    assert reasons == {Refusal.NUMBER}


def test_routes_of_equal_cost_are_tried_by_position():
    offers = [
        Offer(route("d", 1, 4)),
        Offer(route("c", 3, 3), Fraction(1, 3)),
        Offer(route("b", 2, 2), Fraction(1, 3)),
        Offer(route("a", 9, 1), Fraction(1, 4)),
    ]
    assert names(ordered(offers, RouteOrder.COST, "")) == "abcd"


def test_by_priority_cost_and_quality_do_not_matter():
    offers = [
        Offer(route("b", 2, 1, quality=RouteQuality(100, 100, 9_999)), Fraction(0)),
        Offer(route("a", 1, 2, quality=RouteQuality(100, 0, 0)), Fraction(5)),
    ]
    assert names(ordered(offers, RouteOrder.PRIORITY, "")) == "ab"


def test_by_quality_a_route_of_too_few_attempts_stands_between_the_good_and_the_bad():
    offers = [
        Offer(route("c", 1, 1, quality=RouteQuality(100, 10, 600))),
        Offer(route("a", 2, 2, quality=RouteQuality(100, 90, 5_400))),
        Offer(route("b", 3, 3, quality=RouteQuality(JUDGED_FROM - 1, 0, 0))),
    ]
    assert names(ordered(offers, RouteOrder.QUALITY, "")) == "abc"


def test_by_quality_of_routes_that_answer_alike_the_one_whose_calls_last_goes_first():
    offers = [
        Offer(route("b", 1, 1, quality=RouteQuality(1_000, 500, 500 * 60))),
        Offer(route("a", 2, 2, quality=RouteQuality(1_000, 503, 503 * 90))),
    ]
    assert names(ordered(offers, RouteOrder.QUALITY, "")) == "ab"


def test_by_quality_routes_of_which_nothing_is_known_are_tried_by_position():
    offers = [Offer(route("b", 2, 1)), Offer(route("a", 1, 2)), Offer(route("c", 3, 3))]
    assert names(ordered(offers, RouteOrder.QUALITY, "")) == "abc"


def test_the_draws_of_a_call_are_what_they_were_in_every_version():
    """Engines of two versions side by side have to agree, as an upgrade lets them run."""
    offers = [Offer(route(name, 1, route_id)) for route_id, name in enumerate("abcde", start=1)]
    found = [names(ordered(offers, RouteOrder.PRIORITY, f"pbx/1700000000.{n}")) for n in range(3)]
    assert found == ["debca", "aedcb", "cbaed"]
