"""The disk of the workers' metrics is full: calls go on, and it is said. On a real, small file system of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agi.fastagi.client import agi_call
from rating_engine.storage.postgres.pool import Database
from tests.support.calls import NUMBER
from tests.support.commands import COMMAND, Served, environment, steady_port
from tests.support.waiting import wait_until
from tests.support.world import add_account, publish_deck

CALLS = 40
# A mount that only this process and its children see.
ON_SMALL_DISK = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'


def may_mount(directory: Path) -> bool:
    done = subprocess.run(["unshare", "-m", "sh", "-c", ON_SMALL_DISK, "sh", "64k", directory, "true"], check=False)
    return done.returncode == 0


class Workers:
    """Two workers whose metrics are on a file system of `size`."""

    def __init__(self, directory: Path, **settings: object) -> None:
        self.metrics = directory / "metrics"
        self.metrics.mkdir()
        self._directory = directory
        self._settings = settings
        self.served: Served | None = None

    def start(self, size: str) -> Served:
        ports = {"fastagi_port": steady_port(), "http_port": steady_port()}
        mounted = ["unshare", "-m", "sh", "-c", ON_SMALL_DISK, "sh", size, str(self.metrics)]
        self.served = Served(self._directory / "serve.log", [*mounted, *COMMAND, "serve", "--workers", "2"])
        settings = environment(**{**self._settings, **ports, "metrics_dir": self.metrics})
        self.served.start(settings, self._directory, "/readyz", **ports)
        wait_until(lambda: len(self.served.events("engine_started")) == 2, "both workers serve")
        return self.served

    def fill(self) -> None:
        """Take what is left, from outside of the namespace."""
        assert self.served is not None
        inside = Path(f"/proc/{self.served.pid}/root{self.metrics}/filler")
        with inside.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4_096))
        assert os.statvfs(inside.parent).f_bavail == 0


@pytest.fixture
async def workers(database_url: str, tmp_path: Path) -> Iterator[Workers]:
    if os.geteuid() != 0 or not may_mount(tmp_path):
        pytest.skip("may not mount a file system of its own: run as root")
    database = Database(database_url)
    await database.open()
    await publish_deck(database)
    await add_account(database, balance="1000")
    await database.close()
    workers = Workers(tmp_path, database_url=database_url, spool_dir=tmp_path / "spool")
    yield workers
    if workers.served is not None:
        workers.served.end(15)


async def calls_go_on(engine: Served) -> None:
    """Many calls, of which some are declined for reasons that were not counted before; no worker has died of them."""
    for number in range(CALLS):
        login = "1001" if number % 2 else f"nobody-{number}"
        said = await agi_call("127.0.0.1", engine.fastagi_port, "callPrepare", [login, NUMBER], uniqueid=str(number))
        assert said["RATING_STATUS"] == ("ALLOWED" if number % 2 else "DECLINED")
    assert engine.events("worker_ended") == []
    assert len(engine.events("worker_started")) == 2


async def test_workers_that_find_the_disk_full_serve_calls_and_say_so(workers):
    engine = workers.start("64k")

    await calls_go_on(engine)

    assert "rating_metrics_unshared 1.0" in engine.get("/metrics")
    assert len(engine.events("metrics_not_shared")) == 2


async def test_a_disk_that_fills_up_later_costs_neither_a_call_nor_a_figure(workers):
    engine = workers.start("16m")
    workers.fill()

    await calls_go_on(engine)

    def counted() -> float:
        lines = [line for line in engine.get("/metrics").splitlines() if line.startswith("rating_calls_total{")]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

    wait_until(lambda: counted() == CALLS, "what the other worker counts is shown a moment later")
    assert engine.events("metrics_not_shared") == []
