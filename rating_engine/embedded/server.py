"""What both embedded servers have in common: started, awaited, stopped, killed and started again on one port."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final, NotRequired, TypedDict, Unpack

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.process import GuardedProcess, Identity, ServerCommand, free_port

HOST: Final = "127.0.0.1"
POLL_SECONDS: Final = 0.02
# Another program may take a free port between the choice and the bind, and what a crash left may take seconds to go.
START_ATTEMPTS: Final = 10
PAUSE_SECONDS: Final = 0.2  # before the second attempt, twice as long before the third


class Given(TypedDict):
    """What every server is given. `remove`: a directory that goes with it; `lock`: open for as long as it runs."""

    password: str
    identity: Identity
    settings: NotRequired[Mapping[str, str] | None]
    remove: NotRequired[Path | None]
    lock: NotRequired[int | None]


class EmbeddedServer(ABC):
    """One server. Its port stays the same from the first start on, so restarts can be tested."""

    NAME: ClassVar[str]
    START_SECONDS: ClassVar[float]
    STOP_STEPS: ClassVar[tuple[tuple[int, float], ...]]  # see ServerCommand
    SETTINGS: ClassVar[Mapping[str, str]]
    # What a server complains of that the next attempt may find gone, although the port is known to be ours.
    PASSING: ClassVar[tuple[str, ...]] = ()

    def __init__(self, directory: Path, **given: Unpack[Given]) -> None:
        self.directory = directory
        self.port = 0
        self._password = given["password"]
        self._identity = given["identity"]
        self._settings = {**self.SETTINGS, **(given.get("settings") or {})}
        self._remove = given.get("remove")
        self._lock = given.get("lock")
        self._process: GuardedProcess | None = None

    @property
    def pid(self) -> int:
        """The server's process id; raises EmbeddedError when it was never started."""
        return self._started().pid

    @property
    def guard_pid(self) -> int:
        """The process that ends this server when this program is gone."""
        return self._started().guard_pid

    @property
    def running(self) -> bool:
        """Whether the server's process runs."""
        return self._process is not None and self._process.running

    @property
    def log_path(self) -> Path:
        """The server's log; grows over starts up to a limit, then it is set aside."""
        return self.directory.with_name(f"{self.NAME.lower()}.log")

    def start(self) -> None:
        """Make the data directory if needed, start the server and wait until it answers.

        Raises EmbeddedError with the end of the server's log. Harmless when the server already runs.
        """
        if self.running:
            return
        self._prepare()
        port_is_ours = self.port != 0
        for attempt in range(1, START_ATTEMPTS + 1):
            if not port_is_ours:
                self.port = free_port(HOST)
            complaint = self._try_start()
            if complaint is None:
                return
            passing = ("already in use" in complaint and not port_is_ours) or any(p in complaint for p in self.PASSING)
            if not passing or attempt == START_ATTEMPTS:
                raise EmbeddedError(f"the embedded {self.NAME} did not start:\n{complaint}")
            time.sleep(PAUSE_SECONDS * attempt)

    def stop(self) -> None:
        """Stop the server: connections are closed, what it keeps on disk is kept. Harmless when stopped."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server and its children with SIGKILL, as a crash would."""
        self._started().kill()

    def restart(self) -> None:
        """Stop (unless it was killed) and start on the same port."""
        self.stop()
        self.start()

    def _started(self) -> GuardedProcess:
        if self._process is None:
            raise EmbeddedError(f"the embedded {self.NAME} has not been started")
        return self._process

    def _try_start(self) -> str | None:
        """Start and wait; None when the server is ready, else what it complained of."""
        command = tuple(self._command())
        server = ServerCommand(command, self.directory, self.log_path, self._identity, self.STOP_STEPS, self._remove)
        self._process = GuardedProcess(server, lock=self._lock)
        deadline = time.monotonic() + self.START_SECONDS
        while time.monotonic() < deadline:
            if self._is_ready():
                return None
            if not self._process.running:
                self._process.stop()  # lets go of what this side still holds of it
                return self._process.log_since_start() or "it ended without a word"
            time.sleep(POLL_SECONDS)
        self._process.stop()
        return f"not ready after {self.START_SECONDS:.0f} s\n{self._process.log_since_start()}"

    @abstractmethod
    def _prepare(self) -> None:
        """See to it that the data directory is there."""

    @abstractmethod
    def _command(self) -> Sequence[str]:
        """The command line, for the port as it is; writes what the server reads at its start."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it is our server that answers, and it is ready."""
