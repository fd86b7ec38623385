"""What an account may be set to, whoever asks: typed values are checked where they are made."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountChanges, AccountKind, NewAccount, NewSubscriber, check_prefix_rules
from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.checks import MAX_INTEGER
from rating_engine.domain.errors import InvalidRequest


def test_what_is_not_given_is_left_and_none_is_a_value():
    changes = AccountChanges(max_calls=None, daily_limit=Decimal(5))

    assert given(changes) == {"max_calls": None, "daily_limit": Decimal(5)}
    assert given(AccountChanges()) == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_calls", -1),
        ("max_calls", MAX_INTEGER + 1),
        ("max_call_seconds", 0),
        ("max_price", Decimal("NaN")),
        ("daily_limit", Decimal("-0.01")),
        ("daily_limit", Decimal("1e20")),
        ("monthly_limit", Decimal("0.0000001")),
        ("overdraft", Decimal("Infinity")),
        ("time_zone", "Mars/Olympus"),
        ("numbering_plan", "a\0b"),
    ],
)
def test_a_change_that_cannot_be_is_refused_by_its_field(field, value):
    with pytest.raises(InvalidRequest) as refused:
        AccountChanges(**{field: value})

    assert refused.value.field == field


@pytest.mark.parametrize(
    ("kind", "overdraft", "credit"),
    [
        (AccountKind.PREPAID, LEAVE, Decimal(0)),
        (AccountKind.POSTPAID, LEAVE, None),
        (AccountKind.POSTPAID, None, None),
        (AccountKind.POSTPAID, Decimal(50), Decimal(50)),
        (AccountKind.PREPAID, Decimal(2), Decimal(2)),
    ],
)
def test_credit_is_what_is_given_or_as_the_kind_has_it(kind, overdraft, credit):
    assert NewAccount("1001", "retail", kind=kind, overdraft=overdraft).credit == credit


def test_a_prepaid_account_has_no_unlimited_credit():
    with pytest.raises(InvalidRequest, match=r"^overdraft: "):
        NewAccount("1001", "retail", overdraft=None)


@pytest.mark.parametrize("login", ["", "a b", "a,b", "ü", "x" * 65, "a\x1b"])
def test_a_login_travels_in_arguments_of_agi(login):
    with pytest.raises(InvalidRequest, match=r"^login: "):
        NewSubscriber(login, "1001")


def test_a_rule_is_of_digits():
    check_prefix_rules({"49": True, "881": None})
    with pytest.raises(InvalidRequest, match=r"^prefix: "):
        check_prefix_rules({"+49": True})
