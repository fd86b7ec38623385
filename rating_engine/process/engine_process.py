"""`rating-engine serve` as a process of its own, for the demo and for whoever measures or tests a whole engine.

Law: the process never outlives the program that started it, however that ends (see `rating_engine.embedded.guard`).
It reads the settings it is given and no others: neither this program's environment nor a file that lies about.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from rating_engine.domain.errors import RatingEngineError
from rating_engine.embedded.process import GuardedProcess, Identity, ServerCommand

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 90.0  # an engine starts in a second or two; a busy machine is given time
POLL_SECONDS: Final = 0.02
PROGRAM: Final = (sys.executable, "-m", "rating_engine.cli")
STARTED: Final = b'"engine_started"'
# SIGTERM drains for at most shutdown_seconds, 10 by default
STOP_STEPS: Final = ((int(signal.SIGTERM), 20.0), (int(signal.SIGKILL), 5.0))


class EngineNotStartedError(RatingEngineError):
    """The engine ended or kept silent instead of serving; the message has the end of its log and says where it is."""

    code = "engine_not_started"


class EngineProcess:
    """One engine on loopback ports. Settings not given: free ports, and the defaults for the rest.

    `async with` starts it, and ends it however it is: frozen, killed, or well.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        settings: Mapping[str, str | int | float | list[str]],
        *,
        flags: Sequence[str] = (),
        program: Sequence[str] = PROGRAM,
    ) -> None:
        """`directory` is where `name`.toml (the settings, for the owner's eyes), `name`.log and `name`.spool go.

        `flags` are those of `serve`; `program` is whose command that is: this version's, or another one's.
        """
        self.log = directory / f"{name}.log"
        self.fastagi_port = int(str(settings.get("fastagi_port", 0)))  # 0: known once it has started
        self.http_port = int(str(settings.get("http_port", 0)))
        spool = str(directory / f"{name}.spool")
        self._settings = {"fastagi_port": 0, "http_port": 0, "spool_dir": spool, **settings}
        self._flags = tuple(flags)
        self._program = tuple(program)
        self._file = directory / f"{name}.toml"
        self._process: GuardedProcess | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """The process id; raises EngineNotStartedError before the start."""
        if self._process is None:
            raise EngineNotStartedError("the engine has not been started")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.running

    async def start(self) -> None:
        """Start, unless it runs, and wait until it takes calls; then `fastagi_port` and `http_port` say where.

        Raises EngineNotStartedError.
        """
        if self.running:
            return
        self._file.unlink(missing_ok=True)
        self._file.touch(mode=0o600)  # before the passwords are in it
        self._file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in self._settings.items()))
        command = (*self._program, "serve", "--config", str(self._file), *self._flags)
        server = ServerCommand(command, self._file.parent, self.log, Identity(), STOP_STEPS)
        self._log_start = self.log.stat().st_size if self.log.exists() else 0
        self._process = GuardedProcess(server)
        deadline = time.monotonic() + START_SECONDS
        while (started := self._started()) is None:
            if not self.running or time.monotonic() > deadline:
                what = "did not start" if self.running else "ended at once"
                said = self._process.log_since_start() or "(its log is empty)"
                await self.stop()
                raise EngineNotStartedError(f"the engine {what}; the end of {self.log}:\n{said}")
            await asyncio.sleep(POLL_SECONDS)
        self.fastagi_port, self.http_port = started["fastagi_port"], started["http_port"]

    async def stop(self) -> None:
        """Drain and end it; harmless when it has ended."""
        if self._process is not None:
            await asyncio.to_thread(self._process.stop)

    def kill(self) -> None:
        """End it with SIGKILL, its workers too, as a crash would; harmless when it has ended."""
        if self._process is not None:
            self._process.kill()

    def freeze(self) -> None:
        """SIGSTOP: connections are still accepted by the kernel, nobody answers them."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.running:
            self.thaw()
        await self.stop()

    def _started(self) -> dict[str, int] | None:
        """What the engine said when it began to serve, or None as long as it has not."""
        if not self.log.exists():
            return None
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().split(b"\n")[:-1]
        return next((json.loads(line) for line in lines if STARTED in line), None)
