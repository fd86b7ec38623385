"""Engines that take over from one another under load: nobody is refused, no call is lost or charged twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from agi.fastagi.client import CallFailedError, agi_call
from rating_engine.process.engine_process import HOST, EngineProcess
from tests.faults.load import NONE
from tests.faults.stage import SETTINGS, Stage, stage_on
from tests.support.commands import Commands, Served
from tests.support.servers import free_port
from tests.support.waiting import until

ANSWERS_BETWEEN = 60  # to the calls of the load, before and after each takeover
LANES = 2  # of each kind that open connections one after the other
PAUSE_SECONDS = 0.002  # so that two cores have time left for the engine that starts

GET = b"GET /healthz HTTP/1.1\r\nhost: engine\r\nconnection: close\r\n\r\n"


class Knocking:
    """Connections to both ports, one after the other: what was answered, and every failure."""

    def __init__(self, fastagi_port: int, http_port: int) -> None:
        self.answered: Counter[str] = Counter()
        self.failed: list[str] = []
        self._fastagi_port = fastagi_port
        self._http_port = http_port
        self._names = itertools.count()

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Knock until the end of the block."""
        stopping = asyncio.Event()
        async with httpx.AsyncClient() as client, asyncio.TaskGroup() as lanes:

            async def get_again() -> None:
                assert (await client.get(f"http://{HOST}:{self._http_port}/healthz")).status_code == 200

            for _ in range(LANES):
                lanes.create_task(self._lane(stopping, "fastagi", self._ping))
                lanes.create_task(self._lane(stopping, "http", self._get))
            lanes.create_task(self._lane(stopping, "http, connection kept", get_again))
            try:
                yield
            finally:
                stopping.set()

    async def _lane(self, stopping: asyncio.Event, name: str, knock: Callable[[], Awaitable[None]]) -> None:
        while not stopping.is_set():
            try:
                await knock()
            except (CallFailedError, OSError, EOFError, httpx.TransportError) as error:
                self.failed.append(f"{name}: {error!r}")
            else:
                self.answered[name] += 1
            await asyncio.sleep(PAUSE_SECONDS)

    async def _ping(self) -> None:
        await agi_call(HOST, self._fastagi_port, "ping", uniqueid=f"knock{next(self._names)}")

    async def _get(self) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._http_port)
        try:
            writer.write(GET)
            assert (await reader.readexactly(15)) == b"HTTP/1.1 200 OK"
            await reader.read()
        finally:
            writer.close()


class Succession:
    """Engines at the same ports, each taking over from the one before."""

    def __init__(self, stage: Stage, directory: Path, ports: dict[str, int], url: str) -> None:
        self.engine = stage.engine
        self._stage = stage
        self._directory = directory
        self._settings = {**SETTINGS, **ports, "database_url": url, "spool_dir": str(stage.spool_dir)}
        self._numbers = itertools.count(2)

    async def follow(self, workers: int) -> None:
        """The next engine takes over; return when the one before has ended."""
        old = self.engine
        settings = {**self._settings, "workers": workers}
        name = f"engine{next(self._numbers)}"
        self.engine = EngineProcess(name, self._directory, settings, flags=["--takeover"])
        self._stage.strike()
        await self.engine.start()

        async def has_ended() -> bool:
            return not old.running

        await until(has_ended)
        await old.stop()


@pytest.mark.parametrize(
    "workers",
    [
        pytest.param((1, 1, 1, 1), id="one process each"),
        pytest.param((2, 1, 2), id="workers"),
        pytest.param((1, 2, 2, 1) * 5, id="many times", marks=pytest.mark.soak),
    ],
)
async def test_engines_take_over_and_no_connection_is_refused_and_no_call_is_lost(
    servers, url, tmp_path, seed, table, workers
):
    ports = {"fastagi_port": free_port(), "http_port": free_port()}
    knocking = Knocking(**ports)
    async with stage_on(servers, url, tmp_path, seed, workers=workers[0], **ports) as stage:
        succession = Succession(stage, tmp_path, ports, url)
        try:
            async with knocking.going_on():
                for count in workers[1:]:
                    await stage.load.after(ANSWERS_BETWEEN)
                    await succession.follow(count)
                await stage.load.after(ANSWERS_BETWEEN)
            found = await stage.close_books()
        finally:
            await succession.engine.stop()

    table.add(stage.row("engine: taken over", found))
    print(f"connections answered: {dict(knocking.answered)}")
    assert knocking.failed == []
    assert [heard for heard in stage.load.heard if heard.answer == NONE] == []
    assert found.complaints() == []
    assert set(knocking.answered) == {"fastagi", "http", "http, connection kept"}


@pytest.mark.parametrize(
    ("lacks", "problem"), [("schema", "run: rating-engine migrate"), ("database", "PostgreSQL cannot be used")]
)
async def test_an_engine_that_could_serve_nobody_takes_nothing_over(url, empty_database_url, tmp_path, lacks, problem):
    cli = Commands(tmp_path, spool_dir=tmp_path / "spool")
    wrong = empty_database_url if lacks == "schema" else f"postgresql://nobody@{HOST}:{free_port()}/nothing"
    with cli.serving(database_url=url) as engine:
        ports = {"fastagi_port": engine.fastagi_port, "http_port": engine.http_port}

        done = cli.run("serve", "--takeover", database_url=wrong, **ports)

        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert problem in done.stderr
        await until(lambda: is_told(engine, "takeover_abandoned"))
        answer = await agi_call(HOST, engine.fastagi_port, "ping", uniqueid="1")
        assert answer["RATING_STATUS"] == "OK"


async def is_told(engine: Served, event: str) -> bool:
    """Whether the engine's log tells of it."""
    return bool(engine.events(event))


async def test_the_port_of_a_running_engine_is_named_and_so_is_the_way_to_replace_it(url, tmp_path):
    cli = Commands(tmp_path, spool_dir=tmp_path / "spool", database_url=url)
    with cli.serving() as engine:
        said = cli.refused("serve", fastagi_port=engine.fastagi_port, http_port=engine.http_port)

    assert f"cannot listen on {HOST} port {engine.fastagi_port}" in said
    assert "--takeover" in said


def test_embedded_servers_are_not_taken_over(tmp_path):
    said = Commands(tmp_path, embedded_data_dir=tmp_path / "data").refused("serve", "--embedded", "--takeover")

    assert "--takeover" in said
