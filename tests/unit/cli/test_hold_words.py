"""What whoever creates an account is told of its calls."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.cli.parties.hold_words import hold_words
from rating_engine.domain.account import AccountKind, AccountState, PartyStatus
from rating_engine.services.calls.hold import ChargingPolicy

POLICY = ChargingPolicy(quota=True)


def account(**more: object) -> AccountState:
    values = dict.fromkeys(AccountState.__dataclass_fields__)
    given = {"overdraft": Decimal(0), "kind": AccountKind.PREPAID, "status": PartyStatus.ACTIVE}
    return AccountState(**{**values, **given, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "watched", "alone"),
    [
        ({}, "2 min at a time", "50 % of what is available, but the money of 5 min"),
        ({"max_calls": 1}, "2 min at a time", "all it needs"),
        ({"quota": False}, "1 h at a time", "all it needs"),
        ({"max_call_seconds": 90}, "90 s at a time", "50 %"),
    ],
)
def test_what_a_call_holds_is_said_for_exchanges_that_are_watched_and_for_others(more, watched, alone):
    words = hold_words(POLICY, account(**more))

    assert watched in words
    assert alone in words


def test_when_a_call_ends_at_the_latest_is_said():
    words = hold_words(POLICY, account())

    assert "4 h at most" in words
    assert "lasts 1 h at most" in words


def test_credit_without_a_limit_holds_nothing():
    state = replace(account(), overdraft=None, kind=AccountKind.POSTPAID)

    assert hold_words(POLICY, state) == "Its calls hold nothing, and end after 4 h at the latest."
