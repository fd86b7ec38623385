"""One server process under its guard: start, stop, kill, and the log to quote when it fails."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rating_engine.embedded import guard
from rating_engine.embedded.errors import EmbeddedError

LOG_BYTES_MAX: Final = 10_000_000  # a log longer than this is set aside at the next start; one old log is kept
LOG_TAIL_BYTES: Final = 2_000  # of the log, quoted when a server does not start
GUARD_EXIT_SECONDS: Final = 60.0  # more than all stop steps together: a guard always ends by itself before


@dataclass(frozen=True)
class Identity:
    """The user a server runs as; None = the user of this process."""

    uid: int | None = None
    gid: int | None = None
    name: str = ""

    def own(self, path: Path) -> None:
        """Make `path` this user's; no effect when servers run as the user of this process."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(self, command: Sequence[str | Path], *, stdin: str = "", seconds: float = 60.0) -> str:
        """Run a program of the server's as this user to its end; returns its output.

        Raises EmbeddedError with the program's own words when it fails or takes longer than `seconds`.
        """
        try:
            done = subprocess.run(
                [str(part) for part in command],
                input=stdin,
                text=True,
                timeout=seconds,
                check=False,
                cwd="/",
                env=server_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                user=self.uid,
                group=self.gid,
                extra_groups=None if self.uid is None else (),
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EmbeddedError(f"{Path(command[0]).name}: {error}") from error
        if done.returncode != 0:
            raise EmbeddedError(f"{Path(command[0]).name} failed ({done.returncode}):\n{done.stdout[-LOG_TAIL_BYTES:]}")
        return done.stdout


@dataclass(frozen=True)
class ServerCommand:
    """How one server is run and how it is asked to end.

    `stop` is a series of (signal, seconds to wait for the end), gentle first, SIGKILL last. `remove` is a
    temporary directory to take away when the engine is gone without having stopped its servers.
    """

    command: tuple[str, ...]
    directory: Path
    log: Path
    identity: Identity
    stop: tuple[tuple[int, float], ...]
    remove: Path | None = None

    def to_spec(self, lock: int | None) -> str:
        """As JSON for the guard's command line. Holds no secret: those are in files."""
        return json.dumps(
            {
                "command": self.command,
                "cwd": str(self.directory),
                "log": str(self.log),
                "uid": self.identity.uid,
                "gid": self.identity.gid,
                "stop": self.stop,
                "lock": lock,
                "remove": None if self.remove is None else str(self.remove),
                "env": server_environment(),
            }
        )


class GuardedProcess:
    """A running server and its guard. Not thread-safe; start and stop from one thread."""

    def __init__(self, server: ServerCommand, *, lock: int | None = None) -> None:
        """Start the server. `lock` is a file descriptor that its guard keeps open while the server runs."""
        self._server = server
        set_aside(server.log)
        self._log_start = server.log.stat().st_size if server.log.exists() else 0
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, server.to_spec(lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the engine, which still needs its servers
            pass_fds=() if lock is None else (lock,),
            cwd="/",
        )
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        self._guard.stdout.close()
        if not line:
            raise EmbeddedError(f"the guard of {Path(server.command[0]).name} ended at once")
        self.pid = int(line)

    @property
    def guard_pid(self) -> int:
        """The process that ends the server when this process is gone."""
        return self._guard.pid

    @property
    def running(self) -> bool:
        """Whether the server still runs."""
        return self._guard.poll() is None

    def log_since_start(self) -> str:
        """The end of what the server has logged since it was started, for an error message."""
        try:
            text = self._server.log.read_bytes()[self._log_start :]
        except OSError:
            return ""
        return text[-LOG_TAIL_BYTES:].decode(errors="replace").strip()

    def stop(self) -> None:
        """Stop the server gently, then less so; returns when it has ended. Harmless when it has already."""
        assert self._guard.stdin is not None
        if not self._guard.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # the server ended, and its guard with it
                os.write(self._guard.stdin.fileno(), guard.STOP)
            self._guard.stdin.close()
        try:
            self._guard.wait(GUARD_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()

    def kill(self) -> None:
        """Kill the server and its children with SIGKILL, as a crash would; returns when it has ended."""
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGSTOP)  # so that it has no child that is not killed with it
            for pid in (*child_pids(self.pid), self.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.stop()


def server_environment() -> dict[str, str]:
    """A small fixed environment: a server must not behave by what the user happens to have exported."""
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


def child_pids(pid: int) -> list[int]:
    """Direct children of `pid`; empty where there is no /proc."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # the second field is the command in brackets and may itself hold brackets and spaces
            if int(stat.read_text().rsplit(")", 1)[1].split()[1]) == pid:
                children.append(int(stat.parent.name))
    return children


def set_aside(log: Path) -> None:
    """Rename a log that has grown too long to `.1`, replacing the one before."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat().st_size > LOG_BYTES_MAX:
            log.replace(log.with_name(log.name + ".1"))


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that was free a moment ago; the caller must be ready to lose the race for it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
