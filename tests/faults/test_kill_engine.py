"""kill -9 of the engine at any moment: what it said is true, what it did not say can be asked again."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import pytest

from rating_engine.embedded.process import child_pids
from tests.faults.load import SPOOLED
from tests.faults.stage import Stage, stage_on
from tests.support.servers import free_port
from tests.support.waiting import until

AT_RANDOM_REQUESTS = 150  # answered between two kills, at most
TALKERS = 120  # so that ends go on coming while no call may start
AT_RANDOM_SECONDS = 0.02  # and then somewhere within a request


@pytest.mark.parametrize("times", [5, pytest.param(30, marks=pytest.mark.soak)])
async def test_an_engine_killed_at_random_moments_charges_every_call_once(servers, url, tmp_path, seed, table, times):
    moments = random.Random(seed)
    async with stage_on(servers, url, tmp_path, seed) as stage:
        for _ in range(times):
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            await asyncio.sleep(moments.random() * AT_RANDOM_SECONDS)
            stage.strike()
            await asyncio.to_thread(stage.engine.kill)
            await stage.engine.start()
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("engine: kill -9", found))
    assert found.complaints() == []
    assert stage.on_the_wire["prepare"] > 0
    assert stage.on_the_wire["finish"] > 0


# Ten, since a supervisor gives up on a worker that crashes again and again.
@pytest.mark.parametrize("times", [3, pytest.param(10, marks=pytest.mark.soak)])
async def test_workers_killed_while_postgresql_is_away_leave_their_ends_to_the_others(
    servers, url, tmp_path, seed, table, times
):
    moments = random.Random(seed)
    ports = {"workers": 2, "fastagi_port": free_port(), "http_port": free_port()}
    async with stage_on(servers, url, tmp_path, seed, talkers=TALKERS, **ports) as stage:
        await stage.load.until_talking(TALKERS)
        await asyncio.to_thread(servers.postgres.kill)
        stage.load.phase = "outage"
        await stage.load.until_heard("finish", SPOOLED)
        for _ in range(times):
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            workers = await until(lambda: both_workers(stage))
            stage.strike()
            os.kill(min(workers), signal.SIGKILL)  # the older one, so that both have their turn
        await asyncio.to_thread(servers.postgres.start)
        found = await stage.close_books()

    table.add(stage.row("one of two workers: kill -9, PostgreSQL away", found))
    assert found.complaints() == []
    assert list(stage.spool_dir.glob("*.spool")) == []


async def both_workers(stage: Stage) -> list[int]:
    """Their process ids; empty while one of them waits for its restart."""
    workers = child_pids(stage.engine.pid)
    return workers if len(workers) == 2 else []
