"""An exchange's clock against ours."""

from __future__ import annotations

import pytest

from agi.ami.clock import STALE_SECONDS, ExchangeClock


def test_before_a_ping_no_time_is_a_moment() -> None:
    assert ExchangeClock().moment(1_700_000_000, now=5) is None


@pytest.mark.parametrize("skew", [-3_600.0, -0.5, 0.0, 0.5, 86_400.0])
def test_however_wrong_its_clock_is_a_time_becomes_the_moment_it_was(skew: float) -> None:
    clock = ExchangeClock()
    clock.learn(10.0, 10.2, theirs=1_700_000_000 + 10.1 + skew)
    assert clock.moment(1_700_000_000 + 15 + skew, now=20) == pytest.approx(15)


def test_the_tightest_ping_counts() -> None:
    clock = ExchangeClock()
    clock.learn(10.0, 10.002, theirs=110.001)
    clock.learn(20.0, 22.0, theirs=120.0)  # the answer was held up: its middle says little
    assert clock.moment(125.0, now=30) == pytest.approx(25)


def test_a_measure_grows_old() -> None:
    clock = ExchangeClock()
    clock.learn(10.0, 10.0, theirs=110.0)
    later = 10 + STALE_SECONDS + 1
    clock.learn(later, later + 0.1, theirs=later + 0.05 + 200)  # the clock was set meanwhile
    assert clock.moment(later + 200, now=later + 1) == pytest.approx(later)


def test_a_time_slightly_ahead_is_now() -> None:
    clock = ExchangeClock()
    clock.learn(10.0, 10.0, theirs=110.0)
    assert clock.moment(120.5, now=20) == 20


@pytest.mark.parametrize("theirs", [0.001, 110.0 + 10_000, 110.0 - 100_000])
def test_a_time_out_of_all_bounds_is_no_moment(theirs: float) -> None:
    clock = ExchangeClock()
    clock.learn(100_000.0, 100_000.0, theirs=100_110.0)
    assert clock.moment(theirs, now=100_000) is None
