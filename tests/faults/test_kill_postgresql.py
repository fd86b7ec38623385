"""kill -9 of PostgreSQL, postmaster and all: calls are declined, ends are kept, and service resumes by itself."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from functools import partial

import pytest

from rating_engine.domain.errors import Unavailable
from tests.faults.load import ALLOWED, SPOOLED, UNAVAILABLE
from tests.faults.stage import OFFICES, Stage, stage_on
from tests.support.waiting import until

AT_RANDOM_REQUESTS = 300  # answered between two faults, at most
AT_RANDOM_SECONDS = 0.02
TALKING = 20  # calls that last when the fault comes, so that some end in it


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
            await stage.load.until_talking(TALKING)
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
            await stage.load.until_talking(TALKING)
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


async def kill_a_session(stage: Stage, moments: random.Random) -> bool:
    """Whether one was there to be killed: what was struck before may only now throw everybody out."""
    try:
        sessions = await stage.database.fetch("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        # As the kernel does that is out of memory: PostgreSQL then throws everybody out and recovers.
        os.kill(moments.choice(sessions)["pid"], signal.SIGKILL)
    except (Unavailable, ProcessLookupError):
        return False
    stage.strike()
    return True


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.soak)])
async def test_a_session_killed_on_the_server_takes_all_others_with_it_and_no_call_is_charged_twice(
    servers, url, tmp_path, seed, table, times
):
    moments = random.Random(seed)
    async with stage_on(servers, url, tmp_path, seed) as stage:
        for turn in range(times):
            stage.load.phase = f"served {turn}"
            await stage.load.until_heard("prepare", ALLOWED)
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            await until(partial(kill_a_session, stage, moments))
        stage.load.phase = "after"
        await stage.load.until_heard("prepare", ALLOWED)
        found = await stage.close_books()

    table.add(stage.row("PostgreSQL: kill -9 of one session", found))
    assert found.complaints() == []


async def test_calls_allowed_without_postgresql_are_charged_once_though_the_engine_is_killed_too(
    servers, url, tmp_path, seed, table
):
    settings = {"on_database_down": "allow_postpaid", "allow_postpaid_logins": list(OFFICES)}
    # Nobody holds money for such a call, so one whose end is never said leaves no trace but in the log.
    async with stage_on(servers, url, tmp_path, seed, lost=0.0, **settings) as stage:
        await stage.load.after(AT_RANDOM_REQUESTS)
        stage.strike()
        await asyncio.to_thread(servers.postgres.kill)
        stage.load.phase = "outage"
        await stage.load.until_heard("finish", SPOOLED)
        await stage.load.after(AT_RANDOM_REQUESTS)
        assert set(stage.load.answers("prepare", "outage")) == {ALLOWED, UNAVAILABLE}
        stage.strike()
        await asyncio.to_thread(stage.engine.kill)
        await stage.engine.start()
        await stage.load.after(AT_RANDOM_REQUESTS)
        await asyncio.to_thread(servers.postgres.start)
        stage.load.phase = "back"
        await stage.load.until_heard("prepare", ALLOWED)
        found = await stage.close_books()

    table.add(stage.row("PostgreSQL, then the engine: kill -9, offices may call", found))
    assert found.complaints() == []
    assert list(stage.spool_dir.glob("*.promise")) == []
