from __future__ import annotations

import asyncio
import time

from rating_engine.telemetry.loop_lag import EventLoopLag

INTERVAL_SECONDS = 0.01
BLOCKED_SECONDS = 0.05


async def test_a_blocked_event_loop_shows_as_lag() -> None:
    lags: asyncio.Queue[float] = asyncio.Queue()
    task = asyncio.create_task(EventLoopLag(lags.put_nowait, interval_seconds=INTERVAL_SECONDS).run())
    await lags.get()

    time.sleep(BLOCKED_SECONDS)  # noqa: ASYNC251 - to block is the point
    lag = await lags.get()
    task.cancel()

    assert lag >= BLOCKED_SECONDS - INTERVAL_SECONDS
