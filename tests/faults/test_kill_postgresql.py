"""kill -9 of PostgreSQL, postmaster and all: calls are declined, ends are kept, and service resumes by itself."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.load import ALLOWED, SPOOLED, UNAVAILABLE
from tests.faults.stage import Stage, stage_on

AT_RANDOM_REQUESTS = 300  # answered between two faults, at most
AT_RANDOM_SECONDS = 0.02


async def kill_postgresql(stage: Stage) -> None:
    """Kill it, see what the exchange is told meanwhile, and start it again."""
    stage.strike()
    await asyncio.to_thread(stage.servers.postgres.kill)
    stage.load.phase = f"outage {stage.struck}"
    await stage.load.until_heard("finish", SPOOLED)
    await stage.load.until_heard("prepare", UNAVAILABLE)
    assert set(stage.load.answers("prepare", stage.load.phase)) == {UNAVAILABLE}
    assert set(stage.load.answers("finish", stage.load.phase)) == {SPOOLED}
    stage.load.phase = f"back {stage.struck}"
    await asyncio.to_thread(stage.servers.postgres.start)
    await stage.load.until_heard("prepare", ALLOWED)


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.soak)])
async def test_postgresql_killed_under_load_costs_no_end_and_service_resumes_by_itself(
    servers, url, tmp_path, seed, table, times
):
    moments = random.Random(seed)
    async with stage_on(servers, url, tmp_path, seed) as stage:
        for _ in range(times):
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            await asyncio.sleep(moments.random() * AT_RANDOM_SECONDS)
            await kill_postgresql(stage)
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("PostgreSQL: kill -9", found))
    assert found.complaints() == []
    assert stage.on_the_wire["prepare"] > 0
    assert stage.on_the_wire["finish"] > 0


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.soak)])
async def test_engine_and_postgresql_killed_together_forget_no_end_that_was_spooled(
    servers, url, tmp_path, seed, table, times
):
    moments = random.Random(seed)
    async with stage_on(servers, url, tmp_path, seed) as stage:
        for _ in range(times):
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            stage.strike()
            await asyncio.to_thread(servers.postgres.kill)
            stage.load.phase = f"outage {stage.struck}"
            await stage.load.until_heard("finish", SPOOLED)
            await asyncio.to_thread(stage.engine.kill)
            await stage.engine.start()
            await stage.load.after(1)
            await asyncio.to_thread(servers.postgres.start)
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("PostgreSQL, then the engine: kill -9", found))
    assert found.complaints() == []
