"""An embedded Valkey, which speaks the Redis protocol. A cache: it keeps nothing on disk."""

from __future__ import annotations

import signal
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, Unpack
from urllib.parse import quote

from rating_engine.embedded.server import HOST, EmbeddedServer, Given

PING_SECONDS: Final = 1.0


class EmbeddedValkey(EmbeddedServer):
    """One Valkey server. What it held is forgotten when it stops."""

    NAME = "Valkey"
    START_SECONDS = 60.0  # it takes a moment; a busy machine is given time
    STOP_STEPS = ((int(signal.SIGTERM), 10.0), (int(signal.SIGKILL), 5.0))
    SETTINGS: ClassVar[Mapping[str, str]] = {
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

    def __init__(self, directory: Path, program: Path, **given: Unpack[Given]) -> None:
        super().__init__(directory, **given)
        self.program = program

    def url(self, database: int = 0) -> str:
        """The `redis://` URL of a numbered database (0 to 15) on this server, password included."""
        return f"redis://:{quote(self._password)}@{HOST}:{self.port}/{database}"

    def _prepare(self) -> None:
        if not self.directory.exists():
            self.directory.mkdir(mode=0o700)
            self._identity.own(self.directory)

    def _command(self) -> tuple[str, ...]:
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
        return (str(self.program), str(configuration))

    def _is_ready(self) -> bool:
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
