"""The two sides of a comparison: the code as it is, and that of an older commit, each on servers of its own.

Everything that knows the code goes through its commands, or through inside.py run in its own tree: what is measured may
be renamed between the two without a change here.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cpu

from rating_engine.demo.deck import write_demo_deck
from rating_engine.embedded import EmbeddedServers
from rating_engine.embedded.process import GuardedProcess, Identity, ServerCommand, free_port

HERE = Path(__file__).parent
PROJECT = HERE.parent
# The engine before what these figures are about: the cost of a call was measured and then reduced from here.
THEN = "406e063"
LOGINS, NUMBERS = 2_000, 3_000
TARIFF_OF = {"p": "plain", "k": "packaged"}  # logins p0, p1, ... and k0, k1, ...
CONNECTIONS = 4_000  # above any --at-a-time asked for; a process of 1,024 descriptors takes the default
ANSWER = "answer: "  # of inside.py, before its one JSON value
START_SECONDS = 60.0
STOP_STEPS = ((15, 20.0), (9, 5.0))
ENGINE_SETTINGS: dict[str, Any] = {"fastagi_max_connections": CONNECTIONS}


@contextlib.contextmanager
def exported(commit: str) -> Iterator[Path | None]:
    """The tree of a commit in a temporary directory; None, and a word of it, where the history does not hold it."""
    archive = subprocess.run(["git", "archive", commit], cwd=PROJECT, capture_output=True, check=False)
    if archive.returncode:
        print(f"the history here does not hold {commit}, so nothing is measured beside: a whole clone does "
              f"(git said: {archive.stderr.decode().strip()})", file=sys.stderr)  # fmt: skip
        yield None
        return
    with tempfile.TemporaryDirectory(prefix=f"rating-{commit}-") as name:
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(name, filter="data")
        yield Path(name)


class Engine:
    """One `serve` with its workers, on ports of its own."""

    def __init__(self, process: GuardedProcess, port: int, http_port: int) -> None:
        self.process = process
        self.port = port
        self.http_port = http_port


class Side:
    """One tree on servers of its own, with a deck, logins, and engines."""

    def __init__(self, name: str, tree: Path, servers: EmbeddedServers, directory: Path) -> None:
        self.name = name
        self.tree = tree
        self.servers = servers
        self.directory = directory
        self.engines: dict[int, Engine] = {}
        self.settings: dict[str, object] = {}  # of its engines, beside what all have
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(tree),
            "RATING_DATABASE_URL": servers.database_url,
            "RATING_REDIS_URL": servers.redis_url,
        }

    def command(self, *arguments: object) -> str:
        """What a command of this tree prints. Ends the program with the command's own words when it fails."""
        return self._run([sys.executable, "-m", "rating_engine.cli", *map(str, arguments)])

    def inside(self, *arguments: object) -> Any:
        """What inside.py, run in this tree, says in JSON."""
        said = self._run([sys.executable, str(HERE / "inside.py"), *map(str, arguments)])
        return next(json.loads(line.removeprefix(ANSWER)) for line in said.splitlines() if line.startswith(ANSWER))

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command, env=self._environment, cwd=self.directory, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"{self.name}: {' '.join(command[1:])}: {done.stdout}{done.stderr}")
        return done.stdout

    def build(self, deck: Path, logins: int) -> None:
        """Schema, two tariffs of a deck of real prefixes, one with packages, and logins with money on each."""
        self.command("migrate")
        for tariff in ("plain", "packaged"):
            self.command("rates", "import", deck, "--tariff", tariff, "--currency", "EUR")
        for number in (1, 2):
            self.command("package", "add", "packaged", f"free{number}", "--minutes", 1_000_000, "--position", number)
        for family, tariff in TARIFF_OF.items():
            self.inside("accounts", self.servers.database_url, family, tariff, logins)
        self.servers.psql("VACUUM ANALYZE")

    def limit_routes(self) -> None:
        """From now on every call goes by one of two routes, whose open calls and calls a second are counted."""
        for number in (1, 2):
            self.command("routes", "add", f"carrier{number}", "--position", 1, "--max-calls", 100_000,
                         "--max-calls-per-second", 100_000)  # fmt: skip

    def start(self, workers: int) -> Engine:
        """An engine of so many workers, logging as it does in production."""
        name = f"{self.name}-{workers}"
        port, http_port = free_port(), free_port()
        settings = ENGINE_SETTINGS | {
            "database_url": self.servers.database_url, "redis_url": self.servers.redis_url, "workers": workers,
            "fastagi_port": port, "http_port": http_port, "spool_dir": str(self.directory / f"{name}.spool"),
        } | self.settings  # fmt: skip
        file = self.directory / f"{name}.toml"
        file.touch(mode=0o600)
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))
        log = self.directory / f"{name}.log"
        python = ("/usr/bin/env", f"PYTHONPATH={self.tree}", sys.executable, "-m", "rating_engine.cli")
        process = GuardedProcess(
            ServerCommand((*python, "serve", "--config", str(file)), self.directory, log, Identity(), STOP_STEPS)
        )
        self.engines[workers] = Engine(process, port, http_port)
        deadline = time.monotonic() + START_SECONDS
        while b'"engine_started"' not in (log.read_bytes() if log.exists() else b""):
            if not process.running or time.monotonic() > deadline:
                raise SystemExit(f"{self.name}: the engine did not start:\n{process.log_since_start()}")
            time.sleep(0.05)
        return self.engines[workers]

    def stop(self) -> None:
        """Drain and end its engines."""
        for engine in self.engines.values():
            engine.process.stop()
        self.engines.clear()

    def watch(self, workers: int) -> cpu.Watch:
        """The CPU of an engine and of the database server, from now on."""
        return cpu.Watch(engine=self.engines[workers].process.pid, server=self.servers.postgres.pid)

    def balanced(self) -> bool:
        """Whether every money law holds, by its own doctor's laws; prints what does not."""
        findings = self.inside("laws", self.servers.database_url)
        for finding in findings:
            print(f"{self.name}: {finding}")
        return not findings


@contextlib.contextmanager
def side(name: str, tree: Path | None) -> Iterator[Side | None]:
    """A side with servers of its own (fsync on); None without a tree. Gone afterwards."""
    if tree is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="rating-bench-") as directory:
        os.chmod(directory, 0o755)
        with EmbeddedServers() as servers:
            made = Side(name, tree, servers, Path(directory))
            try:
                yield made
            finally:
                made.stop()


@contextlib.contextmanager
def both(*, alone: bool = False) -> Iterator[list[Side]]:
    """The code as it is and, unless `alone`, that of THEN where the history has it."""
    with contextlib.ExitStack() as stack:
        tree = None if alone else stack.enter_context(exported(THEN))
        sides = [stack.enter_context(side("now", PROJECT)), stack.enter_context(side("then", tree))]
        yield [made for made in sides if made is not None]


def deck_and_numbers(directory: Path, count: int) -> tuple[Path, list[str]]:
    """A deck of real prefixes, and distinct numbers whose prefixes are as popular as words are (Zipf)."""
    deck = directory / "deck.csv"
    write_demo_deck(deck)
    prefixes = sorted({line.split(",")[0] for line in deck.read_text().splitlines()[1:]})
    chooser = random.Random(1)
    chooser.shuffle(prefixes)
    weights = [1 / rank for rank in range(1, len(prefixes) + 1)]
    called = chooser.choices(prefixes, weights, k=count)
    return deck, [f"{prefix}{chooser.randrange(10**6):06}"[:15] for prefix in called]
