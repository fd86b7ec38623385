"""agi.fastagi.deadlines: who is due when, with one timer for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from agi.fastagi.deadlines import Deadlines


@dataclass
class Timer:
    at: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Loop:
    """What Deadlines asks of an event loop, with a clock that a test moves."""

    now: float = 0.0
    timers: list[Timer] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, callback: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at, callback))
        return self.timers[-1]

    def move_to(self, now: float) -> None:
        """Run what is due until then, each at its time."""
        while due := sorted((t for t in self.timers if not t.cancelled and t.at <= now), key=lambda t: t.at):
            self.timers.remove(due[0])
            self.now = due[0].at
            due[0].callback()
        self.now = now

    @property
    def pending(self) -> list[float]:
        return [timer.at for timer in self.timers if not timer.cancelled]


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def due() -> list[str]:
    return []


@pytest.fixture
def deadlines(loop: Loop, due: list[str]) -> Deadlines[str, str]:
    spans = {"quick": 1.0, "slow": 10.0}
    return Deadlines(loop, spans, due.append)  # type: ignore[arg-type]


def test_each_is_due_when_the_time_of_its_queue_is_up(
    deadlines: Deadlines[str, str], loop: Loop, due: list[str]
) -> None:
    deadlines.move("a", "none", "slow")
    deadlines.move("b", "none", "quick")
    loop.move_to(0.5)
    deadlines.move("c", "none", "quick")
    loop.move_to(0.999)
    assert due == []
    loop.move_to(1.0)
    assert due == ["b"]
    loop.move_to(1.5)
    assert due == ["b", "c"]
    loop.move_to(10.0)
    assert due == ["b", "c", "a"]
    assert loop.pending == []


def test_who_leaves_in_time_is_never_due(deadlines: Deadlines[str, str], loop: Loop, due: list[str]) -> None:
    deadlines.move("a", "none", "quick")
    deadlines.move("b", "none", "quick")
    deadlines.move("a", "quick", "none")
    loop.move_to(20.0)
    assert due == ["b"]


def test_time_begins_anew_in_another_queue(deadlines: Deadlines[str, str], loop: Loop, due: list[str]) -> None:
    deadlines.move("a", "none", "quick")
    loop.move_to(0.9)
    deadlines.move("a", "quick", "slow")
    loop.move_to(10.8)
    assert due == []
    loop.move_to(10.9)
    assert due == ["a"]


def test_the_longest_is_the_one_that_came_first_and_is_still_there(deadlines: Deadlines[str, str]) -> None:
    assert deadlines.longest("quick") is None
    for name in "abc":
        deadlines.move(name, "none", "quick")
    deadlines.move("a", "quick", "slow")
    assert deadlines.longest("quick") == "b"
    assert deadlines.longest("slow") == "a"


def test_a_thousand_that_come_and_go_cost_one_timer(deadlines: Deadlines[str, str], loop: Loop) -> None:
    for number in range(1000):
        deadlines.move(f"c{number}", "none", "quick")
        deadlines.move(f"c{number}", "quick", "slow")
        deadlines.move(f"c{number}", "slow", "none")
    assert len(loop.timers) == 1


def test_who_is_due_may_enter_another_queue_at_once(loop: Loop) -> None:
    seen: list[tuple[str, float]] = []

    def on_due(name: str) -> None:
        seen.append((name, loop.now))
        if len(seen) == 1:
            deadlines.move(name, "none", "quick")

    deadlines: Deadlines[str, str] = Deadlines(loop, {"quick": 1.0}, on_due)  # type: ignore[arg-type]
    deadlines.move("a", "none", "quick")
    loop.move_to(5.0)
    assert seen == [("a", 1.0), ("a", 2.0)]


def test_once_closed_nobody_is_due(deadlines: Deadlines[str, str], loop: Loop, due: list[str]) -> None:
    deadlines.move("a", "none", "quick")
    deadlines.close()
    loop.move_to(5.0)
    assert due == []
