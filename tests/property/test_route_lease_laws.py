"""Laws of sharing a limit out: for every limit and use."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.storage.routes.route_leases import shares

uses = st.dictionaries(st.integers(0, 9), st.integers(0, 50), min_size=1)


@given(st.integers(0, 200), uses, st.integers(0, 100))
def test_the_whole_limit_is_shared_out_and_no_more_and_nobody_loses_what_is_in_use(limit, used, turn):
    given_ = shares(limit, used, turn)

    assert sum(given_.values()) == max(limit, sum(used.values()))
    assert all(given_[who] >= used[who] for who in used)


@given(st.integers(0, 20), uses)
def test_what_is_left_over_goes_round(limit, used):
    turns = [shares(limit, dict.fromkeys(used, 0), turn) for turn in range(len(used))]

    assert len({sum(one[who] for one in turns) for who in used}) == 1
