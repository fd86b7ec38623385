"""The queue in front of a statement: who shares one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rating_engine.storage.postgres.batching import Batcher


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


def batcher(statements: Statements) -> Batcher[int, int]:
    return Batcher("test", statements, lambda item: item)


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
