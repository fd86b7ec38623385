"""The network between engine and PostgreSQL: cut, gone silent, slow, and now one and now the other."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from tests.faults.load import ALLOWED, SAVED, SPOOLED, TALKERS, UNAVAILABLE
from tests.faults.stage import Stage, stage_on
from tests.support.tcp_proxy import TcpProxy

AT_RANDOM_REQUESTS = 100
AT_RANDOM_SECONDS = 0.05
TALKING = 20  # calls that last when the fault comes, so that some end in it


@pytest.fixture
async def proxy(servers) -> AsyncIterator[TcpProxy]:
    """What the engine takes for PostgreSQL."""
    async with TcpProxy("127.0.0.1", servers.postgres.port) as proxy:
        yield proxy


async def next_moment(stage: Stage, moments: random.Random) -> None:
    """Some requests on, and then somewhere within one."""
    stage.load.phase = f"served {stage.struck}"
    await stage.load.until_heard("prepare", ALLOWED)
    await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
    await asyncio.sleep(moments.random() * AT_RANDOM_SECONDS)
    stage.strike()


@pytest.mark.parametrize("times", [6, pytest.param(60, marks=pytest.mark.soak)])
async def test_connections_cut_between_question_and_answer_charge_every_call_once(
    servers, url, tmp_path, seed, table, proxy, times
):
    moments = random.Random(seed)
    async with stage_on(servers, url, tmp_path, seed, engine_url=proxy.url(url)) as stage:
        proxy.delay_seconds = 0.01  # so that a cut finds statements that were done and not yet answered
        for _ in range(times):
            await next_moment(stage, moments)
            assert proxy.cut() > 0
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("network: cut", found))
    assert found.complaints() == []


@pytest.mark.parametrize("times", [2, pytest.param(10, marks=pytest.mark.soak)])
async def test_a_silent_network_declines_calls_keeps_ends_and_is_forgotten_when_it_speaks(
    servers, url, tmp_path, seed, table, proxy, times
):
    moments = random.Random(seed)
    async with stage_on(servers, url, tmp_path, seed, engine_url=proxy.url(url)) as stage:
        for turn in range(times):
            await stage.load.until_talking(TALKING)
            await next_moment(stage, moments)
            proxy.silence()
            stage.load.phase = f"silent {turn}"
            await stage.load.until_heard("finish", SPOOLED)
            await stage.load.until_heard("prepare", UNAVAILABLE)
            assert set(stage.load.answers("prepare", stage.load.phase)) == {UNAVAILABLE}
            assert set(stage.load.answers("finish", stage.load.phase)) == {SPOOLED}
            stage.load.phase = f"spoken {turn}"
            if turn % 2:
                proxy.cut()  # what was on its way is lost for good; else it arrives late
            proxy.speak()
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("network: silent", found))
    assert found.complaints() == []


async def test_a_slow_network_serves_slowly_and_refuses_nothing(servers, url, tmp_path, seed, table, proxy):
    async with stage_on(servers, url, tmp_path, seed, engine_url=proxy.url(url)) as stage:
        for delay, throughput in ((0.05, None), (0.0, 100_000.0)):
            await stage.load.after(AT_RANDOM_REQUESTS)
            stage.strike()
            proxy.delay_seconds, proxy.bytes_per_second = delay, throughput
            stage.load.phase = f"slow {stage.struck}"
            await stage.load.after(AT_RANDOM_REQUESTS)
            assert stage.load.answers("prepare", stage.load.phase)[ALLOWED] > 0
            assert stage.load.answers("finish", stage.load.phase)[SAVED] > 0
        found = await stage.close_books()

    table.add(stage.row("network: slow", found))
    assert found.complaints() == []
    assert UNAVAILABLE not in {heard.answer for heard in stage.load.heard}


@pytest.mark.parametrize("requests", [1_500, pytest.param(20_000, marks=pytest.mark.soak)])
async def test_statements_done_after_their_deadline_charge_every_call_once(
    servers, url, tmp_path, seed, table, proxy, requests
):
    moments = random.Random(seed)
    deadlines = {"database_timeout_seconds": 0.25, "database_connect_timeout_seconds": 2.0}
    async with stage_on(servers, url, tmp_path, seed, engine_url=proxy.url(url), **deadlines) as stage:

        async def waver() -> None:
            """Now and then slower than any statement may be."""
            while True:
                proxy.delay_seconds = moments.choice((0.0, 0.0, 0.0, 0.1, 0.2))
                stage.strike()
                await asyncio.sleep(AT_RANDOM_SECONDS * moments.random() * 8)

        wavering = asyncio.create_task(waver())
        await stage.load.after(requests)
        # A quick machine is done before a statement was late: of each fifth turn's delay there is none then.
        await stage.load.until_heard("prepare", UNAVAILABLE)
        await stage.load.until_heard("finish", SPOOLED)
        wavering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await wavering
        proxy.delay_seconds = 0.0
        found = await stage.close_books()

    table.add(stage.row("network: slower than the deadline, on and off", found))
    assert found.complaints() == []
    answers = {heard.answer for heard in stage.load.heard}
    assert answers >= {ALLOWED, UNAVAILABLE, SAVED, SPOOLED}


async def test_ends_that_waited_longer_than_their_reservations_are_charged_before_their_money_is_given_away(
    servers, url, tmp_path, seed, table, proxy
):
    async with stage_on(servers, url, tmp_path, seed, engine_url=proxy.url(url)) as stage:
        await stage.load.until_talking(TALKERS)
        stage.strike()
        await proxy.refuse()
        proxy.cut()
        stage.load.phase = "outage"
        await stage.load.until_heard("finish", SPOOLED)
        await stage.load.after(AT_RANDOM_REQUESTS)
        spooled = [call.key for call in stage.load.calls if SPOOLED in call.ended]
        await stage.database.fetch("UPDATE reservations SET expires_at = now()")  # it was a long outage
        await proxy.accept()
        found = await stage.close_books()
        sources = await stage.database.fetch("SELECT source FROM cdrs WHERE call_key = ANY ($1)", spooled)

    table.add(stage.row("network: away for longer than reservations last", found))
    assert found.complaints() == []
    assert len(spooled) > 0
    assert {row["source"] for row in sources} <= {"finish", "unreserved"}
