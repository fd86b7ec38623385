"""How long a call may last and what it holds, for any settings and any account."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.services.calls.hold import ChargingPolicy, Hold, hold_of

SECONDS = st.integers(1, 86_400)
POLICIES = st.builds(
    ChargingPolicy,
    max_call_seconds=SECONDS,
    max_reserve_seconds=SECONDS,
    quota=st.booleans(),
    quota_seconds=st.integers(10, 3_600),
    reservation_share=st.integers(1, 100).map(lambda percent: Decimal(percent) / 100),
    reservation_floor_seconds=SECONDS,
)
ACCOUNTS = st.fixed_dictionaries(
    {
        "quota": st.one_of(st.none(), st.booleans()),
        "own": st.one_of(st.none(), SECONDS),
        "prepaid": st.booleans(),
    }
)


def held(policy: ChargingPolicy, account: dict[str, object], watched: bool) -> Hold:
    return hold_of(policy, **account, watched=watched)  # type: ignore[arg-type]


@given(policy=POLICIES, account=ACCOUNTS, watched=st.booleans())
def test_a_call_that_nobody_can_lengthen_holds_all_it_may_last_and_no_call_holds_more(policy, account, watched):
    hold = held(policy, account, watched)

    assert 1 <= hold.ahead <= hold.longest
    assert hold.steered is watched
    assert watched or hold.ahead == hold.longest
    assert max(hold.floor, hold.covered) <= hold.longest


@given(policy=POLICIES, account=ACCOUNTS, watched=st.booleans())
def test_an_own_limit_is_the_longest_call_whatever_the_settings_say(policy, account, watched):
    hold = held(policy, account, watched)

    if account["own"] is not None:
        assert hold.longest == account["own"]
    elif watched or not account["prepaid"]:
        assert hold.longest == policy.max_call_seconds
    else:
        assert hold.longest == min(policy.max_call_seconds, policy.max_reserve_seconds)


@given(policy=POLICIES, account=ACCOUNTS, watched=st.booleans())
def test_slices_and_shares_are_for_whom_they_are_wanted_and_never_both(policy, account, watched):
    hold = held(policy, account, watched)
    wanted = policy.quota if account["quota"] is None else account["quota"]

    assert hold.slices is (wanted and watched)
    assert (hold.share is not None) is (wanted and not watched)


@given(policy=POLICIES, account=ACCOUNTS)
def test_whoever_is_watched_may_talk_as_long_as_whoever_is_not(policy, account):
    assert held(policy, account, True).longest >= held(policy, account, False).longest


@given(policy=POLICIES, account=ACCOUNTS, watched=st.booleans())
def test_what_an_account_says_itself_goes_over_the_settings(policy, account, watched):
    if account["quota"] is not None:
        other = replace(policy, quota=not policy.quota)
        assert held(policy, account, watched) == held(other, account, watched)
