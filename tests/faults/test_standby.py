"""A primary with a synchronous standby: whatever is answered as saved is on both before it is said."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections.abc import Iterator

import pytest

from rating_engine.domain.outcomes import Allowed, Spooled
from rating_engine.embedded import EmbeddedServers
from rating_engine.storage.postgres.migrate import migrate
from tests.faults.books import missing
from tests.faults.load import ALLOWED, SAVED, SPOOLED, UNAVAILABLE, Call
from tests.faults.stage import Stage, stage_on
from tests.faults.standby import Pair, make_pair
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.servers import in_memory
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck

AT_RANDOM_REQUESTS = 300
TALKING = 20  # calls that last when the fault comes, so that some end in it


@pytest.fixture(scope="module")
def prepared() -> Iterator[Pair]:
    with EmbeddedServers(temporary_in=in_memory()) as servers:
        pair = make_pair(servers)
        try:
            yield pair
        finally:
            for server in (pair.primary, pair.standby):
                server.stop()


@pytest.fixture
def pair(prepared: Pair) -> Pair:
    """Both there, and the one waiting for the other."""
    prepared.complete()
    return prepared


@pytest.fixture
async def database(pair: Pair) -> str:
    """The name of a database of this test's own, with the schema."""
    name = pair.database()
    await migrate(pair.primary.url(name))

    # What was committed is on the standby's disk; a busy one replays it a little later, and then has the database.
    async def replayed() -> bool:
        found = await asyncio.to_thread(
            pair.standby.psql, f"SELECT 1 FROM pg_database WHERE datname = '{name}'", "postgres"
        )
        return found.strip() == "1"

    await until(replayed)
    return name


def saved(stage: Stage) -> list[Call]:
    """The calls whose end was answered as saved, and never as spooled: nothing on the engine's disk speaks for them."""
    return [call for call in stage.load.calls if SAVED in call.ended and SPOOLED not in call.ended]


async def lose_primary(stage: Stage, pair: Pair) -> list[Call]:
    """Kill the primary; the calls that were saved until then."""
    stage.strike()
    await asyncio.to_thread(pair.primary.kill)
    stage.load.phase = f"outage {stage.struck}"
    await stage.load.until_heard("prepare", UNAVAILABLE)
    return saved(stage)


async def go_on(stage: Stage, before: list[Call]) -> None:
    """Service resumes by itself, and what was saved is there."""
    await stage.load.until_heard("prepare", ALLOWED)
    assert len(before) > 0
    assert await missing(stage.database, before) == []


@pytest.mark.parametrize("times", [1, pytest.param(5, marks=pytest.mark.soak)])
async def test_no_end_answered_as_saved_is_lost_with_the_primary(pair, database, tmp_path, seed, table, times):
    moments = random.Random(seed)
    async with stage_on(pair.servers, pair.url(database), tmp_path, seed) as stage:
        for turn in range(times):
            if turn:
                await asyncio.to_thread(pair.complete)
            await stage.load.after(moments.randint(AT_RANDOM_REQUESTS // 2, AT_RANDOM_REQUESTS))
            before = await lose_primary(stage, pair)
            await asyncio.to_thread(pair.promote)
            await go_on(stage, before)
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("primary killed, standby promoted", found))
    assert found.complaints() == []


async def test_a_primary_whose_machine_is_gone_keeps_nobody_from_the_promoted_standby(
    pair, database, tmp_path, seed, table
):
    async with TcpProxy("127.0.0.1", pair.primary.port) as machine:
        hosts = (f"127.0.0.1:{machine.port}", f"127.0.0.1:{pair.standby.port}")
        url, engine_url = pair.url(database), pair.url(database, *hosts)
        async with stage_on(pair.servers, url, tmp_path, seed, engine_url=engine_url) as stage:
            await stage.load.after(AT_RANDOM_REQUESTS)
            before = await lose_primary(stage, pair)
            await machine.stop()
            with mute(machine.port):
                await asyncio.to_thread(pair.promote)
                await go_on(stage, before)
                found = await stage.close_books()

    table.add(stage.row("primary's machine gone, standby promoted", found))
    assert found.complaints() == []


async def test_the_standby_lost_declines_calls_and_what_was_saved_outlives_the_primary_too(
    pair, database, tmp_path, seed, table
):
    async with stage_on(pair.servers, pair.url(database), tmp_path, seed) as stage:
        await stage.load.until_talking(TALKING)
        await stage.load.after(AT_RANDOM_REQUESTS)
        stage.strike()
        await asyncio.to_thread(pair.standby.kill)  # from now on no commit is confirmed
        stage.load.phase = "alone"
        await stage.load.until_heard("finish", SPOOLED)
        await stage.load.until_heard("prepare", UNAVAILABLE)
        await stage.load.after(AT_RANDOM_REQUESTS)
        before = await lose_primary(stage, pair)
        await asyncio.to_thread(pair.standby.start)
        await asyncio.to_thread(pair.promote)
        await go_on(stage, before)
        found = await stage.close_books()

    table.add(stage.row("standby killed, then the primary; standby promoted", found))
    assert found.complaints() == []


async def test_an_end_that_the_standby_has_not_is_not_called_saved_because_another_engine_finds_it(
    pair, database, tmp_path
):
    url = pair.url(database)
    settings = {"database_timeout_seconds": 0.5, "spool_dir": str(tmp_path)}
    async with engine_on(url, **settings) as first, engine_on(url, **settings) as second:
        await publish_deck(first.office)
        await add_account(first.office, balance="100")
        assert isinstance(await first.charging.prepare_call(prepare("1")), Allowed)
        assert isinstance(await second.charging.prepare_call(prepare("2")), Allowed)  # it has seen the database work
        await asyncio.to_thread(pair.standby.kill)

        # The statement that waits for the standby is cancelled at its deadline, and is then committed here alone.
        assert isinstance(await first.charging.finish_call(finish("1", 10)), Spooled)
        await until(lambda: is_visible(pair, database))

        assert isinstance(await second.charging.finish_call(finish("1", 10)), Spooled)


async def is_visible(pair: Pair, database: str) -> bool:
    return pair.primary.psql("SELECT count(*) FROM cdrs", database) == "1"


@contextlib.contextmanager
def mute(port: int) -> Iterator[None]:
    """What a machine without power is to others: it answers nothing, not even with a refusal."""
    with socket.create_server(("127.0.0.1", port)):  # the system takes connections, and nobody ever speaks
        yield
