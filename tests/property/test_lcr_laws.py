"""The order of routes is total and stable, shares follow weights and percentages, and no minute is sold at a loss."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rating_engine.domain.tariff import Route, RouteOrder, RouteQuality
from rating_engine.rating.lcr import JUDGED_FROM, Offer, admits, in_percentage, ordered
from rating_engine.rating.shares import DRAW_BITS, LOG_BITS, _minus_log2

CALLS = 4_000  # a share of them is off by 4 per cent once in millions

costs = st.none() | st.fractions(min_value=0, max_value=2, max_denominator=20)


@st.composite
def qualities(draw: st.DrawFn) -> RouteQuality:
    attempts = draw(st.integers(0, 3 * JUDGED_FROM))
    answered = draw(st.integers(0, attempts))
    return RouteQuality(attempts, answered, answered * draw(st.integers(1, 300)))


@st.composite
def many_offers(draw: st.DrawFn) -> list[Offer[Route]]:
    """Offers of few positions, costs and qualities, so that many are equal."""
    some_qualities = draw(st.lists(qualities(), min_size=1, max_size=3))
    return [
        Offer(
            Route(
                f"route{route_id}",
                "",
                "",
                position=draw(st.integers(1, 3)),
                route_id=route_id,
                weight=draw(st.integers(1, 5)),
                quality=draw(st.none() | st.sampled_from(some_qualities)),
            ),
            draw(costs),
        )
        for route_id in range(1, draw(st.integers(1, 8)) + 1)
    ]


orders = st.sampled_from(RouteOrder)
seeds = st.text(max_size=20)


def ids(offers: list[Offer[Route]]) -> list[int]:
    return [offer.route.route_id for offer in offers]


@settings(max_examples=200)
@given(many_offers(), orders, seeds, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_how_the_routes_are_listed(offers, order, seed, random):
    shuffled = offers.copy()
    random.shuffle(shuffled)
    assert ordered(shuffled, order, seed) == ordered(offers, order, seed)


@given(many_offers(), orders, seeds)
def test_every_route_has_one_place(offers, order, seed):
    assert sorted(ids(ordered(offers, order, seed))) == ids(offers)


@given(many_offers(), st.sampled_from([RouteOrder.PRIORITY, RouteOrder.COST]), seeds, st.data())
def test_a_route_that_is_taken_away_leaves_the_order_of_the_others(offers, order, seed, data):
    gone = data.draw(st.sampled_from(offers))
    rest = [offer for offer in offers if offer is not gone]
    assert ordered(rest, order, seed) == [offer for offer in ordered(offers, order, seed) if offer is not gone]


@given(many_offers(), seeds)
def test_by_priority_no_route_goes_before_one_of_a_lower_position(offers, seed):
    positions = [offer.route.position for offer in ordered(offers, RouteOrder.PRIORITY, seed)]
    assert positions == sorted(positions)


@given(many_offers(), seeds)
def test_by_cost_no_route_goes_before_a_cheaper_one_and_none_of_unknown_cost_before_a_known(offers, seed):
    found = [offer.minute_cost for offer in ordered(offers, RouteOrder.COST, seed)]
    known = [cost for cost in found if cost is not None]
    assert found == sorted(known) + [None] * (len(found) - len(known))


@given(many_offers(), seeds)
def test_by_quality_no_judged_route_goes_before_one_with_more_calls_answered_or_as_many_and_longer_ones(offers, seed):
    figures = [
        (100 * quality.answered // quality.attempts, quality.seconds // quality.answered if quality.answered else 0)
        for offer in ordered(offers, RouteOrder.QUALITY, seed)
        if (quality := offer.route.quality) and quality.attempts >= JUDGED_FROM
    ]
    assert figures == sorted(figures, reverse=True)


@given(many_offers(), seeds, st.data())
def test_by_hand_the_listed_routes_alone_are_tried_as_listed(offers, seed, data):
    listed = data.draw(st.lists(st.sampled_from(ids(offers)), unique=True, min_size=1))
    places = {route_id: place for place, route_id in enumerate(listed)}
    assert ids(ordered(offers, RouteOrder.MANUAL, seed, places)) == listed


@given(many_offers(), orders, seeds, st.data())
def test_in_any_order_a_tariffs_list_says_which_routes_there_are(offers, order, seed, data):
    listed = data.draw(st.lists(st.sampled_from(ids(offers)), unique=True, min_size=1))
    places = dict.fromkeys(listed, 0)
    assert sorted(ids(ordered(offers, order, seed, places))) == sorted(listed)


@given(many_offers(), st.fractions(min_value=0, max_value=2, max_denominator=20))
def test_the_margin_guard_lets_nothing_through_that_costs_more_than_it_is_sold_for(offers, sell_minute):
    for offer in offers:
        loses = offer.minute_cost is not None and offer.minute_cost > sell_minute
        assert admits(offer, sell_minute, allow_loss=False) is not loses
        assert admits(offer, sell_minute, allow_loss=True)


@pytest.mark.parametrize("weights", [(1, 1), (1, 3), (1, 2, 7), (100, 100, 50), (1, 1_000_000)])
def test_the_share_of_first_attempts_follows_the_weights(weights):
    offers = [Offer(Route(f"r{n}", "", "", 1, route_id=n, weight=weight)) for n, weight in enumerate(weights)]
    first = [ids(ordered(offers, RouteOrder.PRIORITY, f"pbx/{call}.7"))[0] for call in range(CALLS)]
    for route_id, weight in enumerate(weights):
        assert first.count(route_id) / CALLS == pytest.approx(weight / sum(weights), abs=0.04)


def test_the_second_attempts_of_one_routes_calls_are_shared_by_the_weights_of_the_others():
    offers = [Offer(Route(f"r{n}", "", "", 1, route_id=n, weight=weight)) for n, weight in enumerate((2, 1, 3))]
    places = [ids(ordered(offers, RouteOrder.PRIORITY, str(call))) for call in range(3 * CALLS)]
    second = [place[1] for place in places if place[0] == 0]
    assert second.count(2) / len(second) == pytest.approx(3 / 4, abs=0.04)


@pytest.mark.parametrize("percentage", [1, 10, 50, 99])
def test_a_percentage_is_the_share_of_calls_a_route_may_serve(percentage):
    route = Route("r", "", "", 1, route_id=7, percentage=percentage)
    served = sum(in_percentage(route, f"pbx/{call}.7") for call in range(CALLS))
    assert served / CALLS == pytest.approx(percentage / 100, abs=0.04)


@given(seeds)
def test_a_route_without_a_percentage_or_with_all_of_it_serves_every_call(seed):
    for percentage in (None, 100):
        assert in_percentage(Route("r", "", "", 1, route_id=7, percentage=percentage), seed)


def test_two_routes_of_half_the_calls_each_do_not_get_the_same_half():
    one, two = [Route("r", "", "", 1, route_id=route_id, percentage=50) for route_id in (1, 2)]
    both = sum(in_percentage(one, str(call)) and in_percentage(two, str(call)) for call in range(CALLS))
    assert both / CALLS == pytest.approx(0.25, abs=0.04)


@given(st.integers(0, 2**DRAW_BITS - 1), st.integers(0, 2**DRAW_BITS - 1))
def test_the_logarithm_is_true_and_never_more_for_a_greater_draw(one, two):
    less, more = sorted((one, two))
    assert _minus_log2(less) >= _minus_log2(more) >= 0
    # In steps of 1/256, and by powers of integers: no floating point that would have to be right as well.
    steps = _minus_log2(one) >> (LOG_BITS - 8)
    assert 2 ** (256 * DRAW_BITS - steps - 1) <= (one + 1) ** 256 <= 2 ** (256 * DRAW_BITS - steps + 1)
