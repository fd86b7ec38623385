"""The engine as an operator runs it, to be killed and frozen by a test."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Final

import httpx

from rating_engine.process.engine_process import EngineProcess
from tests.support.servers import free_port

READY_SECONDS: Final = 15.0  # a database that is back is noticed within a second
EXPIRY_INTERVAL_SECONDS: Final = 0.2  # tests let reservations expire and wait for it


class Engine:
    """`async with Engine(database_url, redis_url, directory)`; its ports stay the same over restarts."""

    def __init__(
        self, database_url: str, redis_url: str, directory: Path, *, port: int | None = None, **settings: object
    ) -> None:
        """`port`: where FastAGI listens; `settings` go over those of every test."""
        self.port = port or free_port()
        self._http_port = free_port()
        values: dict[str, object] = {
            "database_url": database_url,
            "redis_url": redis_url,
            "fastagi_port": self.port,
            "http_port": self._http_port,
            "expiry_interval_seconds": EXPIRY_INTERVAL_SECONDS,
            **settings,
        }
        self._process = EngineProcess("engine", directory, values)

    async def __aenter__(self) -> Engine:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process.running:
            self.thaw()
        await self._process.stop()

    async def start(self) -> None:
        """Start it, unless it runs, and wait until it says it is ready; raises TimeoutError."""
        if not self._process.running:
            await self._process.start()
        async with asyncio.timeout(READY_SECONDS), httpx.AsyncClient() as client:
            while True:
                answer = await client.get(f"http://127.0.0.1:{self._http_port}/readyz")
                if answer.status_code == httpx.codes.OK:
                    return
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL: nothing is told to anybody."""
        os.kill(self._process.pid, signal.SIGKILL)
        await self._process.stop()  # waits for its guard, which ends with it

    def freeze(self) -> None:
        """SIGSTOP: connections are still accepted by the kernel, nobody answers them."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self._process.pid, signal.SIGCONT)
