"""The engine beside an exchange, as an operator runs it, to be killed and frozen by a test."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import httpx

from rating_engine.process.engine_process import EngineProcess
from tests.support.servers import free_port

READY_SECONDS: Final = 15.0  # a database that is back is noticed within a second
EXPIRY_INTERVAL_SECONDS: Final = 0.2  # tests let reservations expire and wait for it


def engine_for(
    database_url: str,
    redis_url: str,
    directory: Path,
    *,
    port: int | None = None,
    name: str = "engine",
    flags: tuple[str, ...] = (),
    **settings: Any,
) -> EngineProcess:
    """An engine whose ports stay the same over restarts. `port`: where FastAGI listens; `flags` are those of serve."""
    return EngineProcess(
        name,
        directory,
        {
            "database_url": database_url,
            "redis_url": redis_url,
            "fastagi_port": port or free_port(),
            "http_port": free_port(),
            "expiry_interval_seconds": EXPIRY_INTERVAL_SECONDS,
            **settings,
        },
        flags=flags,
    )


async def started(engine: EngineProcess) -> None:
    """Start it, unless it runs, and wait until it says it is ready; raises TimeoutError."""
    await engine.start()
    async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient() as client:
        while True:
            answer = await client.get(f"http://127.0.0.1:{engine.http_port}/readyz")
            if answer.status_code == httpx.codes.OK:
                return
            await asyncio.sleep(0.05)
