"""Many changes of prices at once: all or none, none lost, one price an attempt. And attempts in a cached answer."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.price_list import Price, PriceChange, PriceKey, changed, marked_up
from rating_engine.domain.tariff import Direction, PublishedDeck, RateMatch
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, AttemptPrice, CandidateRate
from rating_engine.rating.rate import Rate
from rating_engine.storage.decks.cached_answer import CachedAnswer, parse, render

KEYS = st.builds(PriceKey, st.sampled_from(("a", "b", "c")), st.integers(1, 4))
COSTS = st.decimals(0, 100, places=8)
PRICES = st.dictionaries(KEYS, st.builds(Price, COSTS, st.integers(1, 3)), max_size=12)
CHANGES = st.builds(
    PriceChange, st.just(1), st.just(1), st.none() | COSTS, st.none() | st.integers(1, 3), st.none() | st.integers(1, 4)
)


@given(PRICES, st.lists(st.tuples(KEYS, CHANGES), max_size=6))
def test_as_many_prices_are_left_as_there_were_and_each_is_what_its_change_said(prices, changes):
    try:
        after = changed(prices, changes)
    except (NotFound, AlreadyExists, InvalidRequest):
        return
    assert len(after) == len(prices)
    moved = set()
    for key, change in changes:
        to = PriceKey(key.direction, change.to_attempt or key.attempt)
        old = prices[key]
        assert after[to] == Price(
            old.cost if change.cost is None else change.cost,
            old.route_id if change.route_id is None else change.route_id,
        )
        moved |= {key, to}
    assert {key: price for key, price in after.items() if key not in moved} == {
        key: price for key, price in prices.items() if key not in moved
    }


@given(PRICES, st.decimals("0.000001", 1000, places=6))
def test_a_markup_multiplies_every_price_and_rounds_it_once(prices, factor):
    for key, price in marked_up(prices, factor).items():
        assert abs(price.cost - prices[key].cost * factor) <= Decimal("0.000000005")
        assert price.route_id == prices[key].route_id


def test_two_that_change_places_do_and_one_that_is_in_the_way_stays():
    one, two = PriceKey("a", 1), PriceKey("a", 2)
    prices = {one: Price(Decimal(1), 1), two: Price(Decimal(2), 2)}
    swapped = changed(prices, [(one, PriceChange(1, 1, to_attempt=2)), (two, PriceChange(1, 2, to_attempt=1))])
    assert swapped == {one: prices[two], two: prices[one]}
    with pytest.raises(AlreadyExists):
        changed(prices, [(one, PriceChange(1, 1, to_attempt=2))])


ATTEMPTS = st.lists(
    st.builds(AttemptPrice, st.integers(1, 99), COSTS, st.integers(1, 2**40)),
    max_size=4,
    unique_by=lambda each: each[0],
).map(tuple)


@given(ATTEMPTS)
def test_an_answer_is_read_back_with_its_attempts(attempts):
    deck = PublishedDeck(1, 1, EVER_SINCE, 4, "1.1")
    row = CandidateRate("7927", "", "", EVER_SINCE, FOR_EVER, "mobile", False, Rate(price_1="0.1"), attempts)
    answer = CachedAnswer("7927", (row,))
    assert parse(deck, "7927", render(deck, answer)) == answer


@given(ATTEMPTS, st.integers(1, 99))
def test_an_attempt_has_its_own_price_and_route_or_none(attempts, attempt):
    match = RateMatch(1, 1, "EUR", "7927", Direction("mobile", "Mobile"), Rate(price_1="7"), attempts)
    found = match.of_attempt(attempt)
    said = {each.attempt: each for each in attempts}
    if not attempts:
        assert found is match
    elif attempt not in said:
        assert found is None
    else:
        assert found is not None
        assert (found.rate.price_1, found.rate.price_n, found.route_id) == (
            *[said[attempt].price] * 2,
            said[attempt][2],
        )
