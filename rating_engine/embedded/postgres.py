"""An embedded PostgreSQL: created once in its directory, then started, stopped, killed and started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.process import (
    GuardedProcess,
    Identity,
    ServerCommand,
    free_port,
    server_environment,
)

HOST: Final = "127.0.0.1"
USER: Final = "rating_engine"
DATABASE: Final = "rating_engine"
START_SECONDS: Final = 60.0  # crash recovery replays at most max_wal_size, which takes seconds
PSQL_SECONDS: Final = 60.0
POLL_SECONDS: Final = 0.02
START_ATTEMPTS: Final = 5  # another program may take a free port between the choice and the bind
# SIGINT = fast shutdown, SIGQUIT = immediate (recovery at the next start); PostgreSQL manual, 18.5
STOP_STEPS: Final = ((int(signal.SIGINT), 30.0), (int(signal.SIGQUIT), 5.0), (int(signal.SIGKILL), 5.0))

SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",  # a socket path may be at most 107 bytes, a data directory's need not be
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",  # 16 workers with their default pool, and room for psql and pgbench
    "log_checkpoints": "off",  # the log is for what is wrong
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class EmbeddedPostgres:
    """One PostgreSQL server. Its port stays the same from the first start on, so restarts can be tested."""

    def __init__(
        self,
        directory: Path,
        programs: Path,
        *,
        password: str,
        identity: Identity,
        settings: Mapping[str, str] | None = None,
        remove: Path | None = None,
        lock: int | None = None,
    ) -> None:
        self.directory = directory
        self.programs = programs
        self.port = 0
        self._password = password
        self._identity = identity
        self._settings = {**SETTINGS, **(settings or {})}
        self._remove = remove
        self._lock = lock
        self._process: GuardedProcess | None = None

    def url(self, database: str = DATABASE) -> str:
        """The `postgresql://` URL of a database on this server, password included."""
        return f"postgresql://{USER}:{quote(self._password)}@{HOST}:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The postmaster's process id; raises EmbeddedError when the server was never started."""
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
        return self.directory.with_name("postgresql.log")

    def start(self) -> None:
        """Create the data directory if needed, start the server and wait until it takes connections.

        Raises EmbeddedError with the end of the server's log. Harmless when the server already runs.
        """
        if self.running:
            return
        if not (self.directory / "PG_VERSION").exists():
            self._create()
        port_is_ours = self.port != 0
        for attempt in range(1, START_ATTEMPTS + 1):
            if not port_is_ours:
                self.port = free_port(HOST)
            complaint = self._try_start()
            if complaint is None:
                return
            # after a crash the old server's children may hold its shared memory a moment longer
            transient = "shared memory" in complaint or ("already in use" in complaint and not port_is_ours)
            if not transient or attempt == START_ATTEMPTS:
                raise EmbeddedError(f"the embedded PostgreSQL did not start:\n{complaint}")
            time.sleep(0.2 * attempt)

    def stop(self) -> None:
        """Stop the server: connections are closed, what was committed is kept. Harmless when stopped."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """End the server and its children with SIGKILL, as a crash would."""
        self._started().kill()

    def restart(self) -> None:
        """Stop (unless it was killed) and start on the same port."""
        self.stop()
        self.start()

    def psql(self, sql: str, database: str = DATABASE) -> str:
        """Run SQL with psql and return its bare output; raises EmbeddedError with PostgreSQL's message."""
        command = [str(self.programs / "psql"), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-Atq", "-c", sql]
        address = ["-h", HOST, "-p", str(self.port), "-U", USER, "-d", database]
        # in the environment, because a command line can be read by everybody
        environment = {**server_environment(), "PGPASSWORD": self._password}
        done = subprocess.run(
            [*command, *address],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PSQL_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise EmbeddedError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def _started(self) -> GuardedProcess:
        if self._process is None:
            raise EmbeddedError("the embedded PostgreSQL has not been started")
        return self._process

    def _create(self) -> None:
        """Create the data directory with its user and database, whole or not at all."""
        unfinished = self.directory.with_name(self.directory.name + ".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        self._identity.own(unfinished)
        password_file = self.directory.with_name("initdb-password")
        try:
            password_file.touch(mode=0o600)
            password_file.write_text(self._password + "\n")
            self._identity.own(password_file)
            self._identity.run(self._initdb_command(unfinished, password_file))
        finally:
            password_file.unlink(missing_ok=True)
        single: list[str | Path] = [self.programs / "postgres", "--single", "-D", unfinished, "postgres"]
        self._identity.run(single, stdin=f"CREATE DATABASE {DATABASE}\n")
        unfinished.rename(self.directory)

    def _initdb_command(self, directory: Path, password_file: Path) -> list[str | Path]:
        command: list[str | Path] = [
            self.programs / "initdb",
            "-D",
            directory,
            "-U",
            USER,
            f"--pwfile={password_file}",
        ]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        # the same order of text on every machine, whatever locales it has
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        # the password is 192 random bits: stretching it would only make each connection dearer
        command += ["-c", "scram_iterations=1"]
        if self._remove is not None:
            command.append("--no-sync")  # temporary data need not outlive a power cut during initdb
        return command

    def _try_start(self) -> str | None:
        """Start and wait; None when the server is ready, else what it complained of."""
        (self.directory / "postmaster.opts").unlink(missing_ok=True)
        arguments = [str(self.programs / "postgres"), "-D", str(self.directory), "-p", str(self.port)]
        for name, value in self._settings.items():
            arguments += ["-c", f"{name}={value}"]
        server = ServerCommand(
            tuple(arguments), self.directory, self.log_path, self._identity, STOP_STEPS, self._remove
        )
        self._process = GuardedProcess(server, lock=self._lock)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._is_ready():
                return None
            if not self._process.running:
                self._process.stop()  # lets go of what this side still holds of it
                return self._process.log_since_start() or "it ended without a word"
            time.sleep(POLL_SECONDS)
        self._process.stop()
        return f"not ready after {START_SECONDS:.0f} s\n{self._process.log_since_start()}"

    def _is_ready(self) -> bool:
        """Whether postmaster.pid is this server's and says ready (what pg_ctl -w waits for)."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"
