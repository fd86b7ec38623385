"""An embedded PostgreSQL: created once in its directory, then started, stopped, killed and started again."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final, Unpack
from urllib.parse import quote

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.process import server_environment
from rating_engine.embedded.server import HOST, EmbeddedServer, Given

USER: Final = "rating_engine"
DATABASE: Final = "rating_engine"
PSQL_SECONDS: Final = 60.0


class EmbeddedPostgres(EmbeddedServer):
    """One PostgreSQL server; `pid` is its postmaster's."""

    NAME = "PostgreSQL"
    START_SECONDS = 60.0  # crash recovery replays at most max_wal_size, which takes seconds
    # SIGINT = fast shutdown, SIGQUIT = immediate (recovery at the next start); PostgreSQL manual, 18.5
    STOP_STEPS = ((int(signal.SIGINT), 30.0), (int(signal.SIGQUIT), 5.0), (int(signal.SIGKILL), 5.0))
    # After a crash the old server's children may hold its shared memory a moment longer.
    PASSING = ("shared memory",)
    SETTINGS: ClassVar[Mapping[str, str]] = {
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

    def __init__(self, directory: Path, programs: Path, **given: Unpack[Given]) -> None:
        super().__init__(directory, **given)
        self.programs = programs

    def url(self, database: str = DATABASE) -> str:
        """The `postgresql://` URL of a database on this server, password included."""
        return f"postgresql://{USER}:{quote(self._password)}@{HOST}:{self.port}/{database}"

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

    def _prepare(self) -> None:
        if not (self.directory / "PG_VERSION").exists():
            self._create()

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

    def _command(self) -> list[str]:
        (self.directory / "postmaster.opts").unlink(missing_ok=True)
        arguments = [str(self.programs / "postgres"), "-D", str(self.directory), "-p", str(self.port)]
        for name, value in self._settings.items():
            arguments += ["-c", f"{name}={value}"]
        return arguments

    def _is_ready(self) -> bool:
        """Whether postmaster.pid is this server's and says ready (what pg_ctl -w waits for)."""
        try:
            lines = (self.directory / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0].strip() == str(self.pid) and lines[7].strip() == "ready"
