"""Waiting for what happens by itself. Never a claim about how long it took: the limit is a guard against hanging."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

HANG_SECONDS = 90.0  # no wait should come near, also where the machine stands still meanwhile; one that hangs ends here
POLL_SECONDS = 0.01

T = TypeVar("T")


async def until(question: Callable[[], Awaitable[T]]) -> T:
    """Ask until the answer is true; returns it. Raises TimeoutError when it never is."""
    async with asyncio.timeout(HANG_SECONDS):
        while True:
            answer = await question()
            if answer:
                return answer
            await asyncio.sleep(POLL_SECONDS)


async def until_holds(condition: Callable[[], bool]) -> None:
    """The same for a state of plain objects, which signal nothing."""

    async def holds() -> bool:
        return condition()

    await until(holds)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """The same for what another process does, without an event loop; `what` is said when it never comes to hold."""
    deadline = time.monotonic() + HANG_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(POLL_SECONDS)
