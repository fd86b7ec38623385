"""The time that prices calls is the database's, however wrong this machine's own clock is."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from rating_engine.domain.errors import Unavailable
from rating_engine.services.clock import SAMPLES_KEPT, SKEW_SECONDS_MAX, Clock, ClockKeeper

TRUE = 1_790_000_000.0  # what the database's clock says when the monotonic one is at 0


class World:
    """The database's clock, a machine's own that is `off` by some seconds, and the time an answer takes."""

    def __init__(self, off: float = 0.0) -> None:
        self.monotonic = 1_000.0
        self.off = off
        self.database_off = 0.0
        self.there_seconds = self.back_seconds = 0.001
        self.clock = Clock(own=lambda: self.true + self.off, monotonic=lambda: self.monotonic)

    @property
    def true(self) -> float:
        return TRUE + self.monotonic

    async def read(self) -> datetime:
        self.monotonic += self.there_seconds
        told = datetime.fromtimestamp(self.true + self.database_off, UTC)
        self.monotonic += self.back_seconds
        return told

    async def ask(self, there: float = 0.001, back: float = 0.001) -> None:
        self.there_seconds, self.back_seconds = there, back
        await self.clock.ask(self.read)

    def error(self) -> float:
        """How far the engine's instant is from the database's."""
        return abs(self.clock.now().timestamp() - self.true - self.database_off)


async def test_until_the_database_has_told_the_time_it_is_the_machines_own() -> None:
    world = World(off=3_600)

    assert world.clock.now().timestamp() == pytest.approx(world.true + 3_600)
    assert world.clock.problem is None
    assert not world.clock.is_set


@pytest.mark.parametrize("off", [-3_600.0, -0.3, 0.0, 3_600.0])
async def test_then_it_is_the_databases_whatever_the_own_clock_says(off: float) -> None:
    world = World(off)
    await world.ask()
    world.monotonic += 500

    assert world.error() < 0.01
    assert world.clock.skew_seconds == pytest.approx(off, abs=0.01)


async def test_an_own_clock_that_jumps_moves_nothing() -> None:
    world = World()
    await world.ask()
    world.off = 86_400

    assert world.error() < 0.01


@pytest.mark.parametrize(
    ("off", "said"),
    [
        (0.0, None),
        (SKEW_SECONDS_MAX - 0.5, None),
        (3_600.0, "this machine's clock is 3600 s ahead of the database's"),
        (-5.0, "this machine's clock is 5 s behind the database's"),
    ],
)
async def test_a_clock_that_is_seconds_off_is_said(off: float, said: str | None) -> None:
    world = World(off)
    await world.ask()

    assert world.clock.problem == said


async def test_an_own_clock_that_is_right_as_far_as_can_be_told_is_not_moved_by_a_slow_answer() -> None:
    world = World()
    await world.ask(there=0.3, back=0.001)

    assert world.error() < 1e-6


async def test_the_quickest_of_the_last_answers_decides() -> None:
    world = World()
    await world.ask(there=0.001, back=0.001)
    for _ in range(SAMPLES_KEPT - 1):
        await world.ask(there=0.0, back=0.9)

    assert world.error() < 0.01


async def test_a_sample_that_got_old_no_longer_decides() -> None:
    world = World()
    await world.ask()
    for _ in range(SAMPLES_KEPT):
        world.database_off += 0.02  # it drifts, too little to contradict
        await world.ask(there=0.01, back=0.01)

    assert world.error() < 0.1


async def test_an_answer_that_took_too_long_says_nothing() -> None:
    world = World()
    await world.ask(there=0.0, back=60.0)

    assert not world.clock.is_set


async def test_another_server_with_another_clock_is_followed_at_once() -> None:
    world = World()
    for _ in range(SAMPLES_KEPT):
        await world.ask(there=0.0001, back=0.0001)
    world.database_off = -7.0
    await world.ask(there=0.1, back=0.1)

    assert world.error() < 0.2


async def test_a_clock_off_is_logged_when_it_begins_and_when_it_ends_and_counted_each_time() -> None:
    world, skews = World(off=-3_600), []
    keeper = ClockKeeper(world.clock, world.read, on_skew=skews.append)
    with capture_logs() as logs:
        await keeper.turn()
        await keeper.turn()
        world.off = 0
        await keeper.turn()
        await keeper.turn()

    assert [line["event"] for line in logs] == ["clock_off", "clock_right"]
    assert skews == pytest.approx([-3_600, -3_600, 0, 0], abs=0.01)


async def test_a_database_that_is_away_changes_nothing() -> None:
    world = World(off=3_600)
    await world.ask()

    async def away() -> datetime:
        raise Unavailable("away")

    with pytest.raises(Unavailable):
        await world.clock.ask(away)
    assert world.error() < 0.01
