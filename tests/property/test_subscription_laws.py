"""Periods of subscriptions: one behind the other, whole where they are whole, and their shares add up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.subscription import Charge, Period, Service, ServiceKind, next_charge

MOMENTS = st.integers(0, 3_650 * 86_400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])
PERIODS = st.sampled_from(Period)


def service(period: Period, kind: ServiceKind = ServiceKind.PERIODIC) -> Service:
    free = Decimal(0)
    return Service(1, "system", 1, "s", kind, period, Decimal(3), free, free, 1, "EUR", None, None, None, None, False)


def charges(period: Period, start: datetime, ends: datetime | None, *, calendar: bool, zone: str, most: int = 30):
    """The first periods of a subscription."""
    found: list[Charge] = []
    paid_to: datetime | None = start
    while paid_to is not None and (ends is None or paid_to < ends) and len(found) < most:
        due = next_charge(service(period), paid_to, start, ends, is_calendar=calendar, zone=zone)
        found.append(due)
        paid_to = due.ends
    return found


@given(period=PERIODS, start=MOMENTS, calendar=st.booleans(), zone=ZONES)
def test_periods_follow_each_other_and_are_whole_but_for_the_first_of_a_calendar(period, start, calendar, zone):
    found = charges(period, start, None, calendar=calendar, zone=zone)
    assert [each.begins for each in found[1:]] == [each.ends for each in found[:-1]]
    assert all(each.ends > each.begins for each in found)
    assert all(each.share == 1 for each in found[1:])
    assert 0 < found[0].share <= 1
    assert calendar or found[0].share == 1


@given(period=PERIODS, start=MOMENTS, days=st.integers(1, 400), calendar=st.booleans(), zone=ZONES)
def test_what_ends_early_costs_its_share_and_never_more_than_whole(period, start, days, calendar, zone):
    ends = start + timedelta(days=days)
    found = charges(period, start, ends, calendar=calendar, zone=zone, most=500)
    assert found[-1].ends == ends
    assert all(0 < each.share <= 1 for each in found)
    assert sum((each.ends - each.begins for each in found), timedelta()) == ends - start


@given(start=MOMENTS, zone=ZONES)
def test_a_month_from_the_31st_is_the_31st_again_where_there_is_one(start, zone):
    begun = start.replace(month=1, day=31, hour=12)
    days = [each.ends.day for each in charges(Period.MONTH, begun, None, calendar=False, zone="UTC", most=12)]
    assert days[1::2][:3] == [31, 31, 31] or days[1] == 31
    assert max(days) == 31


@given(start=MOMENTS, cost=st.decimals("0", "1000000", places=6), rate=st.decimals("0.0001", "1000", places=10))
def test_a_fee_is_rounded_once(start, cost, rate):
    third = Charge(start, None, Fraction(1, 3))
    exact = Fraction(cost) * Fraction(rate) / 3
    assert abs(Fraction(third.fee(cost, rate)) - exact) <= Fraction(1, 2_000_000)


def test_what_is_paid_once_is_paid_for_good():
    start = datetime(2026, 1, 1, tzinfo=UTC)
    due = next_charge(
        service(Period.MONTH, ServiceKind.ONE_TIME), start, start, None, is_calendar=True, zone="Europe/Berlin"
    )
    assert (due.ends, due.share) == (None, 1)


def test_the_first_month_of_a_calendar_costs_the_days_that_are_left():
    start = datetime(2026, 4, 16, tzinfo=UTC)
    due = next_charge(service(Period.MONTH), start, start, None, is_calendar=True, zone="UTC")
    assert due.fee(Decimal(3)) == Decimal("1.5")
    assert due.ends == datetime(2026, 5, 1, tzinfo=UTC)
