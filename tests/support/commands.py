"""`rating-engine` as a user runs it: its own process, its own directory, and no settings but those that are given."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.support.waiting import HANG_SECONDS, wait_until
from tests.support.warm import run_warm

COMMAND = [sys.executable, "-m", "rating_engine.cli"]
COMMAND_SECONDS = 120


def steady_port() -> int:
    """A port of this machine for a program that is started later.

    Below the range from which the kernel takes ports for connections: those come and go while the program starts.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def environment(**settings: object) -> dict[str, str]:
    """This process's environment without its RATING_… variables, with `settings` as such."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RATING_")}
    return {**ours, "COLUMNS": "120", "NO_COLOR": "1", **{f"RATING_{k.upper()}": str(v) for k, v in settings.items()}}


class Commands:
    """Runs commands with the same settings and directory."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.directory = directory
        self.settings = settings

    def command(self, *arguments: object) -> list[str]:
        """The command line of a command."""
        return [*COMMAND, *map(str, arguments)]

    def environment(self, **settings: object) -> dict[str, str]:
        """What it finds in its environment."""
        return environment(**{**self.settings, **settings})

    def run(self, *arguments: object, **settings: object) -> subprocess.CompletedProcess[str]:
        """A command to its end. `settings` go over those of all commands."""
        return run_warm(
            [str(argument) for argument in arguments],
            environment(**{**self.settings, **settings}),
            self.directory,
            COMMAND_SECONDS,
        )

    def json(self, *arguments: object, **settings: object) -> Any:
        """What a command that succeeds prints with --json."""
        done = self.run(*arguments, "--json", **settings)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def refused(self, *arguments: object, **settings: object) -> str:
        """What a command that fails says: one line on stderr, exit status 1, nothing on stdout, no traceback."""
        done = self.run(*arguments, **settings)
        assert (done.returncode, done.stdout) == (1, ""), done
        lines = done.stderr.splitlines()
        assert len(lines) == 1, done.stderr
        assert lines[0].startswith("error "), done.stderr
        return lines[0].removeprefix("error ")

    @contextlib.contextmanager
    def serving(
        self,
        *flags: str,
        page: str = "/readyz",
        output: int | None = None,
        launcher: Sequence[str] = (),
        inherited: Sequence[int] = (),
        **settings: object,
    ) -> Iterator[Served]:
        """`serve` with these flags on free ports until it is stopped; it has begun when `page` is answered.

        `output`: a descriptor for what it writes, in place of its log. `launcher`: what starts it, with descriptors
        `inherited`.
        """
        ports = {"fastagi_port": steady_port(), "http_port": steady_port()}
        served = Served(self.directory / "serve.log", [*launcher, *COMMAND, "serve", *flags], inherited)
        ports |= {name: int(str(settings[name])) for name in ports if name in settings}
        served.start(
            environment(**{**self.settings, **settings, **ports}), self.directory, page, output=output, **ports
        )
        try:
            yield served
        finally:
            served.end(signal.SIGTERM)


class Served:
    """A running `serve`."""

    def __init__(self, log: Path, command: list[str], inherited: Sequence[int] = ()) -> None:
        self.fastagi_port = self.http_port = 0
        self._log = log
        self._command = command
        self._inherited = tuple(inherited)
        self._process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        environment: dict[str, str],
        directory: Path,
        page: str,
        *,
        fastagi_port: int,
        http_port: int,
        output: int | None = None,
    ) -> None:
        """Start it and wait until it answers `page`; AssertionError with its log if it ends instead."""
        self.fastagi_port, self.http_port = fastagi_port, http_port
        with self._log.open("ab") as log:
            to = log.fileno() if output is None else output
            self._process = subprocess.Popen(
                self._command, env=environment, cwd=directory, stdout=to, stderr=to, pass_fds=self._inherited
            )
        process = self._process

        def is_ready() -> bool:
            assert process.poll() is None, f"serve ended with {process.returncode}:\n{self.log()}"
            with contextlib.suppress(OSError):
                return bool(self.get(page))
            return False

        try:
            wait_until(is_ready, "serve is ready")
        except BaseException:
            process.kill()
            process.wait()
            raise

    @property
    def pid(self) -> int:
        """The process id of what was started: the engine, or the supervisor of its workers."""
        assert self._process is not None
        return self._process.pid

    def get(self, path: str) -> str:
        """The body of a page; OSError for a status that is not 200."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", timeout=HANG_SECONDS) as answer:
            body: bytes = answer.read()
        return body.decode()

    def log(self) -> str:
        """Everything it wrote."""
        return self._log.read_text(errors="replace")

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of its log that tell of `name`."""
        lines = [line for line in self.log().splitlines() if line.startswith("{")]
        return [event for event in map(json.loads, lines) if event["event"] == name]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """Its exit status."""
        assert self._process is not None
        return self._process.wait(HANG_SECONDS)

    def end(self, number: signal.Signals) -> int:
        """Send a signal if it runs, and wait for the end; returns the exit status."""
        assert self._process is not None
        if self._process.poll() is None:
            self.signal(number)
            try:
                return self.wait()
            except subprocess.TimeoutExpired:
                self._process.kill()
        return self._process.wait()
