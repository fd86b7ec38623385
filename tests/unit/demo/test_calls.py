"""The demo's calls and what it makes of them: the same for the same seed, and nothing wrong goes unseen."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from rating_engine.demo.calls import ACCOUNTS, NOBODY_SERVES, UNKNOWN_LOGIN, Ending, PlacedCall, plan_calls
from rating_engine.demo.report import percentile, problems

PREFIXES = ["49", "7901", "1212"]


def states(**balances: str) -> dict[str, Any]:
    """Accounts with 10 EUR, or what is said of `a` and their login: as much of an AccountState as is looked at."""
    named = {login.removeprefix("a"): balance for login, balance in balances.items()}
    return {
        account.login: SimpleNamespace(balance=Decimal(named.get(account.login, "10")), reserved=Decimal(0))
        for account in ACCOUNTS
    }


def test_a_seed_gives_its_calls_and_another_seed_others():
    assert plan_calls(50, PREFIXES, 1) == plan_calls(50, PREFIXES, 1)
    assert plan_calls(50, PREFIXES, 1) != plan_calls(50, PREFIXES, 2)


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_call_is_met_however_few_there_are(seed):
    calls = plan_calls(4, PREFIXES, seed)

    assert Counter(call.expected for call in calls) == Counter(["", "no_rate", "unknown_login", "invalid_destination"])
    assert [call.number.startswith(NOBODY_SERVES) for call in calls if call.expected == "no_rate"] == [True]
    assert [call.login for call in calls if call.expected == "unknown_login"] == [UNKNOWN_LOGIN]


def test_only_an_answered_call_is_talked_on_and_each_has_a_name_of_its_own():
    calls = plan_calls(500, PREFIXES, 1)

    assert {call.ending for call in calls} == set(Ending)
    assert all((call.talk_seconds > 0) == (call.ending is Ending.ANSWERED) for call in calls)
    assert len({call.name for call in calls}) == 500


def call_of_1001(cost: str) -> PlacedCall:
    plan = next(call for call in plan_calls(50, PREFIXES, 1) if call.login == "1001")
    return PlacedCall(plan, cost=Decimal(cost))


def test_a_balance_that_lost_what_the_exchange_was_told_is_no_problem():
    assert problems([call_of_1001("0.5")], states(), states(a1001="9.5")) == []


@pytest.mark.parametrize("balance", ["9.499999", "9.6", "10"])
def test_a_balance_that_lost_anything_else_is_a_problem(balance):
    found = problems([call_of_1001("0.5")], states(), states(a1001=balance))

    assert len(found) == 1
    assert found[0].startswith("1001 lost ")


def test_money_that_is_still_held_and_an_answer_that_is_wrong_are_problems():
    call = PlacedCall(plan_calls(1, PREFIXES, 1)[0], wrong="1001 to 49: answered allowed")
    after = states()
    after["1002"].reserved = Decimal(3)

    assert problems([call], states(), after) == [
        "1001 to 49: answered allowed",
        "1002 still has 3 held after its last call",
    ]


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [([1], 99, 1), ([1, 2], 50, 1), ([2, 1, 3], 50, 2), (range(1, 101), 99, 99), (range(1, 102), 99, 100)],
)
def test_a_percentile_is_a_value_that_so_many_do_not_exceed(values, percent, expected):
    assert percentile([float(value) for value in values], percent) == expected
