"""Workers find the calls that others allowed in memory they share, and never anything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import CallDetails, OpenCall, PackageUse
from rating_engine.storage.calls.shared_calls import PLACE_BYTES, SharedCalls, _place
from tests.support.world import CENT_A_SECOND

KEY = CallKey("10.0.0.1", "1763779024.17", 2)
DETAILS = CallDetails(
    subscriber_id=7,
    exchange="10.0.0.1",
    attempt=2,
    callerid="100",
    destination="4912345",
    direction="Germany",
    prefix="49",
    tariff_id=1,
    deck_id=10,
    rate=CENT_A_SECOND.to_json(),
    route_name="carrier1",
    routing_number="4999",
    carrier_rate=CENT_A_SECOND.to_json(),
    carrier_currency="USD",
    carrier_exchange=Decimal("0.9100000000"),
    packages=(PackageUse(5, date(2026, 11, 1), 60),),
    channel="PJSIP/alice-1",
)
CALL = OpenCall(70, Decimal("3.000000"), True, 3_600, "99", DETAILS, "EUR")


@pytest.fixture
def workers() -> Iterator[tuple[SharedCalls, SharedCalls]]:
    descriptor = os.memfd_create("test")
    yield SharedCalls(descriptor), SharedCalls(descriptor)
    os.close(descriptor)


def test_a_call_that_one_worker_allowed_is_known_to_the_other(workers):
    one, other = workers
    assert other.get(KEY) is None
    one.put(KEY, CALL)
    assert other.get(KEY) == CALL
    assert other.get(KEY._replace(attempt=1)) is None

    bare = replace(CALL, details=replace(DETAILS, carrier_exchange=None, packages=()))
    other.put(KEY, bare)
    assert one.get(KEY) == bare


@given(
    key=st.text(max_size=60),
    amount=st.decimals(0, 10**12, places=6),
    text=st.text(max_size=80),
    whole=st.integers(0, 2**31 - 1),
)
def test_what_is_read_is_what_was_written(key, amount, text, whole):
    descriptor = os.memfd_create("test")
    try:
        calls = SharedCalls(descriptor)
        call_key = CallKey("pbx", key)
        call = replace(CALL, granted=amount, cap_seconds=whole, details=replace(DETAILS, callerid=text))
        calls.put(call_key, call)
        assert calls.get(call_key) == call
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("byte", [0, 4, 8, 40, 200])
def test_what_is_not_whole_is_not_there(workers, byte):
    """As when two workers write to one place at the same moment."""
    one, other = workers
    one.put(KEY, CALL)
    one._memory[_place(str(KEY)) + byte] ^= 0xFF

    assert other.get(KEY) is None


def test_two_calls_of_one_place_are_never_taken_for_each_other(workers):
    one, other = workers
    place = _place(str(KEY))
    rival = next(key for n in range(10**6) if _place(str(key := CallKey("pbx", str(n)))) == place)
    one.put(KEY, CALL)
    one.put(rival, replace(CALL, granted=Decimal(1)))

    assert other.get(KEY) is None
    assert other.get(rival) == replace(CALL, granted=Decimal(1))


def test_a_call_that_is_too_large_is_left_to_the_ledger(workers):
    one, other = workers
    one.put(KEY, replace(CALL, details=replace(DETAILS, rate="x" * PLACE_BYTES)))
    assert other.get(KEY) is None


def test_without_a_supervisor_nothing_is_shared():
    assert SharedCalls.inherited({}, "RATING_SHARED_CALLS") is None
