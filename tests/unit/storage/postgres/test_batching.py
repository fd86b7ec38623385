"""The queue in front of a statement: who shares one, and how long it waits for more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from rating_engine.storage.postgres import batching
from rating_engine.storage.postgres.batching import LINGER_BELOW, LINGER_FROM, LINGER_SECONDS, Batcher


class Statements:
    """Answers each item with itself, `gate` permitting; notes the batches."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(items))
        self.asked.set()
        await self.gate.wait()
        return items


def batcher(statements: Statements, workers: int = 1) -> Batcher[int, int]:
    return Batcher("test", statements, lambda item: item, workers=workers)


async def test_what_comes_while_a_statement_runs_shares_the_next():
    statements = Statements()
    queue = batcher(statements)
    first = asyncio.create_task(queue.submit(1))
    await statements.asked.wait()
    others = [asyncio.create_task(queue.submit(number)) for number in (2, 3)]
    statements.gate.set()
    assert await asyncio.gather(first, *others) == [1, 2, 3]
    assert statements.batches == [[1], [2, 3]]


async def test_who_comes_in_the_moment_after_a_statement_shares_the_next():
    statements = Statements()
    queue = batcher(statements)
    waiting = [asyncio.create_task(queue.submit(number)) for number in (1, 2)]

    async def come_when_the_first_is_answered() -> int:
        await waiting[0]
        return await queue.submit(3)

    late = asyncio.create_task(come_when_the_first_is_answered())
    await statements.asked.wait()
    waiting.append(asyncio.create_task(queue.submit(4)))
    await asyncio.sleep(0)
    statements.gate.set()
    await asyncio.gather(*waiting, late)
    assert [sorted(batch) for batch in statements.batches] == [[1, 2], [3, 4]]


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("count", [LINGER_FROM - 1, LINGER_FROM, LINGER_BELOW - 1, LINGER_BELOW])
async def test_a_worker_waits_for_more_as_many_times_as_long_as_there_are_workers(monkeypatch, workers, count):
    waits: list[float] = []
    sleep = asyncio.sleep

    async def noted(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    statements = Statements()
    queue = batcher(statements, workers)
    first = asyncio.create_task(queue.submit(0))
    await statements.asked.wait()
    others = [asyncio.create_task(queue.submit(number)) for number in range(1, count + 1)]
    await sleep(0)
    monkeypatch.setattr(batching.asyncio, "sleep", noted)
    statements.gate.set()
    await asyncio.gather(first, *others)
    lingers = LINGER_FROM <= count < LINGER_BELOW
    assert [wait for wait in waits if wait] == ([workers * LINGER_SECONDS] if lingers else [])
