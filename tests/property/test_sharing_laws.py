"""Calls that share the last of a balance: never more than there is, never less than it pays for."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.rating.rate import Rate
from rating_engine.rating.sharing import Talking, shared_seconds

prices = st.decimals(min_value="0", max_value="2", places=4)
rates = st.builds(
    Rate,
    price_1=prices,
    price_n=prices,
    interval_1=st.sampled_from([1, 6, 30, 60]),
    interval_n=st.sampled_from([1, 6, 60]),
    connect_fee=st.decimals(min_value="0", max_value="1", places=2),
    free_seconds=st.sampled_from([0, 10]),
    grace_period=st.sampled_from([0, 3]),
)
calls = st.lists(
    st.builds(
        Talking,
        rate=rates,
        talked_seconds=st.integers(min_value=0, max_value=2_000),
        cap_seconds=st.integers(min_value=1, max_value=3_600),
    ),
    min_size=1,
    max_size=6,
)
funds = st.decimals(min_value="0", max_value="500", places=4)


def cost(talking: list[Talking], seconds: int) -> Decimal:
    return sum((call.cost_in(seconds) for call in talking), Decimal(0))


@given(calls, funds)
def test_what_is_shared_out_is_paid_for(talking: list[Talking], held: Decimal) -> None:
    seconds = shared_seconds(talking, held)
    assert seconds == 0 or cost(talking, seconds) <= held


@given(calls, funds)
def test_not_one_second_more_could_be_paid_for_all(talking: list[Talking], held: Decimal) -> None:
    seconds = shared_seconds(talking, held)
    longest = max(call.cap_seconds - call.talked_seconds for call in talking)
    assert seconds >= longest or cost(talking, seconds + 1) > held


@given(calls, funds, st.decimals(min_value="0", max_value="100", places=2))
def test_more_money_never_means_less_time(talking: list[Talking], held: Decimal, more: Decimal) -> None:
    assert shared_seconds(talking, held + more) >= shared_seconds(talking, held)


@pytest.mark.parametrize(
    ("talked", "held", "seconds"),
    [
        ([0, 0], "0.24", 12),
        ([4, 0], "0.20", 8),
        ([10, 10], "0.20", 0),
        ([10, 10], "0.15", 0),
        ([0], "0.07", 7),
        ([], "1", 0),
    ],
)
def test_worked_examples_at_a_cent_a_second(talked: list[int], held: str, seconds: int) -> None:
    cent = Rate(price_1="0.60", price_unit="minute", interval_1=1, interval_n=1)
    assert shared_seconds([Talking(cent, each, 3_600) for each in talked], Decimal(held)) == seconds
