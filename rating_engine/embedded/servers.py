"""Both servers in one data directory: who may use it, with which password, and how both start and stop."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from rating_engine.embedded.errors import EmbeddedError
from rating_engine.embedded.postgres import DATABASE, EmbeddedPostgres
from rating_engine.embedded.programs import (
    can_enter,
    choose_identity,
    installed_programs,
    reachable_programs,
)
from rating_engine.embedded.valkey import EmbeddedValkey

PASSWORD_BYTES: Final = 24
LOCK_SECONDS: Final = 45.0  # how long the guards of a killed engine may take to stop its servers
LOCK_POLL_SECONDS: Final = 0.05


def default_data_dir() -> Path:
    """Where `serve --embedded` keeps its data: root's in /var/lib, a user's below the user's data home."""
    if os.geteuid() == 0:
        # not root's home: the servers run as an unprivileged user, who cannot enter it
        return Path("/var/lib/rating-engine")
    data_home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(data_home) if data_home.startswith("/") else Path.home() / ".local" / "share") / "rating-engine"


class EmbeddedServers:
    """A PostgreSQL and a Valkey on free loopback ports, in a given directory (kept) or a temporary one.

    Use as a context manager, or `start()` and `stop()`. Both block for up to some seconds: from async code,
    call them through `asyncio.to_thread`. When this process ends without `stop()`, however it ends, the
    servers are stopped by their guards and a temporary directory is removed.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        temporary_in: Path | None = None,
        postgres_settings: Mapping[str, str] | None = None,
        valkey_settings: Mapping[str, str] | None = None,
    ) -> None:
        """Start nothing yet. The settings go over the safe defaults (fsync and synchronous_commit on).

        `temporary_in`: where a temporary directory is made, if not where the system has such.
        """
        self._wanted_dir = data_dir
        self._temporary_in = temporary_in
        self._postgres_settings = postgres_settings
        self._valkey_settings = valkey_settings
        self._programs = installed_programs()
        self._lock: int | None = None
        self._data_dir: Path | None = None
        self._postgres: EmbeddedPostgres | None = None
        self._valkey: EmbeddedValkey | None = None

    @property
    def data_dir(self) -> Path:
        """The directory in use; raises EmbeddedError before the start."""
        if self._data_dir is None:
            raise EmbeddedError("the embedded servers have not been started")
        return self._data_dir

    @property
    def postgres(self) -> EmbeddedPostgres:
        """The PostgreSQL server, to stop, kill and restart it; raises EmbeddedError before the start."""
        if self._postgres is None:
            raise EmbeddedError("the embedded servers have not been started")
        return self._postgres

    @property
    def valkey(self) -> EmbeddedValkey:
        """The Valkey server, to stop, kill and restart it; raises EmbeddedError before the start."""
        if self._valkey is None:
            raise EmbeddedError("the embedded servers have not been started")
        return self._valkey

    @property
    def database_url(self) -> str:
        """`postgresql://…/rating_engine`, password included: not for logs."""
        return self.postgres.url()

    @property
    def redis_url(self) -> str:
        """`redis://…/0`, password included: not for logs."""
        return self.valkey.url()

    @property
    def postgres_bin(self) -> Path:
        """The directory of psql, pgbench, pg_dump and the rest."""
        return self._programs.postgres_bin

    def start(self) -> None:
        """Start both servers and wait until both answer.

        Raises EmbeddedError: wheel missing, directory in use or out of reach, or a server's own complaint.
        """
        if self._data_dir is not None:
            return
        directory = self._prepare_directory()
        try:
            self._data_dir = directory
            self._start_servers(directory)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop both servers, free the directory, remove it if it is temporary. Harmless when stopped."""
        if self._data_dir is None:
            return
        with contextlib.ExitStack() as steps:  # in reverse order, each whatever the others do
            if self._wanted_dir is None:
                steps.callback(shutil.rmtree, self._data_dir, ignore_errors=True)
            if self._lock is not None:
                steps.callback(os.close, self._lock)
            if self._postgres is not None:
                steps.callback(self._postgres.stop)
            if self._valkey is not None:
                steps.callback(self._valkey.stop)
            self._data_dir = self._lock = self._postgres = self._valkey = None

    def psql(self, sql: str, database: str = DATABASE) -> str:
        """Run SQL with psql and return its bare output; raises EmbeddedError with PostgreSQL's message."""
        return self.postgres.psql(sql, database)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare_directory(self) -> Path:
        """Create and lock the data directory."""
        if self._wanted_dir is None:
            directory = Path(tempfile.mkdtemp(prefix="rating-engine-", dir=self._temporary_in))
            directory.chmod(0o711)  # the servers' user has to pass through; what is secret has modes of its own
        else:
            directory = self._wanted_dir.expanduser().resolve()
            if not directory.exists():
                try:
                    directory.mkdir(parents=True, mode=0o711)
                except OSError as error:
                    raise EmbeddedError(f"cannot create the data directory {directory}: {error.strerror}") from error
        self._lock = lock_directory(directory)
        return directory

    def _start_servers(self, directory: Path) -> None:
        identity = choose_identity(directory)
        if not can_enter(directory, identity):
            raise EmbeddedError(
                f"PostgreSQL refuses to run as root, so it runs as user {identity.name}, which cannot enter"
                f" {directory}: choose a data directory such as {default_data_dir()}"
            )
        programs = reachable_programs(self._programs, identity, directory)
        password = self._password(directory)
        remove = directory if self._wanted_dir is None else None
        self._postgres = EmbeddedPostgres(
            directory / "postgresql",
            programs.postgres_bin,
            password=password,
            identity=identity,
            settings=self._postgres_settings,
            remove=remove,
            lock=self._lock,
        )
        self._valkey = EmbeddedValkey(
            directory / "valkey",
            programs.valkey_server,
            password=password,
            identity=identity,
            settings=self._valkey_settings,
            remove=remove,
            lock=self._lock,
        )
        self._postgres.start()
        self._valkey.start()

    @staticmethod
    def _password(directory: Path) -> str:
        """The password of both servers; made at the first start, in a file that only its owner reads."""
        file = directory / "password"
        if not file.exists():
            unfinished = directory / "password.part"
            unfinished.unlink(missing_ok=True)
            unfinished.touch(mode=0o600)
            unfinished.write_text(secrets.token_hex(PASSWORD_BYTES) + "\n")
            unfinished.rename(file)
        return file.read_text().strip()


def lock_directory(directory: Path) -> int:
    """Lock `directory` for one engine; returns the open lock file. Raises EmbeddedError naming who has it.

    The guards inherit the lock, so it outlives a killed engine until its servers have stopped: this waits.
    """
    try:
        lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedError(f"cannot use the data directory {directory}: {error.strerror}") from error
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(lock, 20, 0).decode(errors="replace").strip()
            if process_exists(owner) or time.monotonic() > deadline:
                os.close(lock)
                raise EmbeddedError(f"the data directory {directory} is in use by process {owner}") from None
            time.sleep(LOCK_POLL_SECONDS)
        else:
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
            return lock


def process_exists(pid: str) -> bool:
    """Whether a process with this id runs; an unreadable id counts as one that does."""
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (ValueError, PermissionError):
        return True
    return True
