"""Connections are waited for in the order of coming, not for ever, and not at all for a server that is away."""

from __future__ import annotations

import asyncio

import pytest

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.storage.postgres import turnstile
from rating_engine.storage.postgres.turnstile import Turnstile

NEVER = 3_600.0


def full(places: int = 1, seconds: float = NEVER) -> Turnstile:
    gate = Turnstile("calls", places, seconds)
    gate._taken = places
    return gate


async def waiting(gate: Turnstile) -> asyncio.Task[None]:
    """Somebody who waits."""
    task = asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def test_as_many_as_there_are_places_enter_at_once() -> None:
    gate = Turnstile("calls", 2, NEVER)
    await gate.enter()
    await gate.enter()
    third = await waiting(gate)
    gate.leave()
    await third

    assert gate.taken == 2


async def test_who_came_first_goes_first() -> None:
    gate, order = full(), []

    async def enter(name: str) -> None:
        await gate.enter()
        order.append(name)
        gate.leave()

    tasks = [asyncio.create_task(enter(name)) for name in "abc"]
    await asyncio.sleep(0)
    gate.leave()
    await asyncio.gather(*tasks)

    assert order == ["a", "b", "c"]
    assert gate.taken == 0


async def test_who_waits_past_the_deadline_is_told_that_all_are_busy() -> None:
    with pytest.raises(Overloaded, match=r"all 3 calls connections have been busy for 0\.01 s"):
        await full(3, 0.01).enter()


async def test_who_comes_when_too_many_wait_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "WAITING_MAX", 1)
    gate = full()
    first = await waiting(gate)
    with pytest.raises(Overloaded, match="1 requests are waiting"):
        await gate.enter()
    gate.leave()
    await first


async def test_nobody_waits_for_a_server_that_is_found_away() -> None:
    gate = full()
    tasks = [await waiting(gate) for _ in range(3)]
    gate.turn_away("gone")

    assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == ["gone"] * 3
    assert isinstance(tasks[0].exception(), Unavailable)
    gate.leave()
    assert gate.taken == 0


async def test_a_place_given_to_somebody_who_has_just_gone_is_not_lost() -> None:
    gate = full()
    gone, next_one = await waiting(gate), await waiting(gate)
    gate.leave()  # handed to the first, who is cancelled before it runs
    gone.cancel()
    await next_one

    assert gone.cancelled()
    assert gate.taken == 1
    gate.leave()
    assert gate.taken == 0


async def test_who_gives_up_leaves_no_place_taken() -> None:
    gate = full()
    gone = await waiting(gate)
    gone.cancel()
    await asyncio.wait([gone])
    gate.leave()

    assert gate.taken == 0
