"""An embedded Valkey, which speaks the Redis protocol. A cache: it keeps nothing on disk."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.process import GuardedProcess, Identity, ServerCommand, free_port

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 20.0
POLL_SECONDS: Final = 0.02
PING_SECONDS: Final = 1.0
START_ATTEMPTS: Final = 5  # another program may take a free port between the choice and the bind
STOP_STEPS: Final = ((int(signal.SIGTERM), 10.0), (int(signal.SIGKILL), 5.0))

SETTINGS: Final[Mapping[str, str]] = {
    "bind": HOST,
    "protected-mode": "yes",
    "daemonize": "no",
    "save": '""',  # whatever is lost is read again from PostgreSQL
    "appendonly": "no",
    "maxmemory": "256mb",  # a bound for a trial machine; some million prefixes
    "maxmemory-policy": "allkeys-lru",
    "loglevel": "warning",
    "logfile": '""',
}


class EmbeddedValkey:
    """One Valkey server. Its port stays the same from the first start on, so restarts can be tested."""

    def __init__(
        self,
        directory: Path,
        program: Path,
        *,
        password: str,
        identity: Identity,
        settings: Mapping[str, str] | None = None,
        remove: Path | None = None,
        lock: int | None = None,
    ) -> None:
        self.directory = directory
        self.program = program
        self.port = 0
        self._password = password
        self._identity = identity
        self._settings = {**SETTINGS, **(settings or {})}
        self._remove = remove
        self._lock = lock
        self._process: GuardedProcess | None = None

    def url(self, database: int = 0) -> str:
        """The `redis://` URL of a numbered database (0 to 15) on this server, password included."""
        return f"redis://:{quote(self._password)}@{HOST}:{self.port}/{database}"

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
        """The server's log."""
        return self.directory.with_name("valkey.log")

    def start(self) -> None:
        """Start the server and wait until it answers; raises EmbeddedError with the end of its log."""
        if self.running:
            return
        if not self.directory.exists():
            self.directory.mkdir(mode=0o700)
            self._identity.own(self.directory)
        port_is_ours = self.port != 0
        for attempt in range(1, START_ATTEMPTS + 1):
            if not port_is_ours:
                self.port = free_port(HOST)
            complaint = self._try_start()
            if complaint is None:
                return
            if "already in use" not in complaint or port_is_ours or attempt == START_ATTEMPTS:
                raise EmbeddedError(f"the embedded Valkey did not start:\n{complaint}")

    def stop(self) -> None:
        """Stop the server; what it held is forgotten. Harmless when it is stopped."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server with SIGKILL, as a crash would."""
        self._started().kill()

    def restart(self) -> None:
        """Stop (unless it was killed) and start empty on the same port."""
        self.stop()
        self.start()

    def _started(self) -> GuardedProcess:
        if self._process is None:
            raise EmbeddedError("the embedded Valkey has not been started")
        return self._process

    def _try_start(self) -> str | None:
        """Start and wait; None when the server answers, else what it complained of."""
        configuration = self.directory.with_name("valkey.conf")
        lines = {
            **self._settings,
            "port": str(self.port),
            "dir": f'"{self.directory}"',
            "requirepass": self._password,
        }
        configuration.unlink(missing_ok=True)
        configuration.touch(mode=0o600)  # before the password is in it
        configuration.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        self._identity.own(configuration)
        command = (str(self.program), str(configuration))
        server = ServerCommand(command, self.directory, self.log_path, self._identity, STOP_STEPS, self._remove)
        self._process = GuardedProcess(server, lock=self._lock)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._answers():
                return None
            if not self._process.running:
                self._process.stop()  # lets go of what this side still holds of it
                return self._process.log_since_start() or "it ended without a word"
            time.sleep(POLL_SECONDS)
        self._process.stop()
        return f"no answer after {START_SECONDS:.0f} s\n{self._process.log_since_start()}"

    def _answers(self) -> bool:
        """Whether the server takes our password and answers PING: then it is ours and it is ready."""
        try:
            with socket.create_connection((HOST, self.port), timeout=PING_SECONDS) as connection:
                connection.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    chunk = connection.recv(256)
                    if not chunk:
                        return False
                    answer += chunk
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"
