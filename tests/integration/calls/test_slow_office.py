"""Whatever is slow in the office (reports, management), calls don't wait for it; and the other way round."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import Saved
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck

SLOW_QUERIES = 8
CALLS = 200


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="1000")
        yield engine


@contextlib.asynccontextmanager
async def slow_queries(engine: Engine) -> AsyncIterator[list[asyncio.Task[object]]]:
    """More queries in the office than it has connections, none of which answers while the block runs."""
    queries = [asyncio.create_task(engine.office.fetchval("SELECT pg_sleep(60)")) for _ in range(SLOW_QUERIES)]

    async def all_taken() -> bool:
        return bool(engine.office.in_use == engine._settings.database_office_pool_size)

    try:
        await until(all_taken)
        yield queries
    finally:
        for query in queries:
            query.cancel()
        await asyncio.wait(queries)


async def test_eight_slow_queries_in_the_office_decline_no_call(engine):
    async def call(number: int) -> bool:
        await engine.charging.prepare_call(prepare(str(number)))
        return isinstance(await engine.charging.finish_call(finish(str(number), 1)), Saved)

    async with slow_queries(engine) as queries:
        assert all(await asyncio.gather(*map(call, range(CALLS))))
        assert not any(query.done() for query in queries)
    assert await ledger_balanced(engine.office) == []


async def test_a_late_report_marks_neither_door_down(database_url):
    async with engine_on(database_url, database_office_timeout_seconds=0.3) as engine:
        with pytest.raises(Unavailable):
            await engine.office.fetchval("SELECT pg_sleep(60)")
        await until(lambda: none_in_use(engine))

        assert (engine.office.down, engine.calls_door.down) == (None, None)


async def test_a_late_statement_of_calls_leaves_the_office_as_it_is(database_url):
    async with engine_on(database_url, database_timeout_seconds=0.3) as engine:
        with pytest.raises(Unavailable):
            await engine.calls_door.fetchval("SELECT pg_sleep(60)")

        assert engine.office.down is None
        assert await engine.office.fetchval("SELECT 1") == 1


async def test_who_finds_every_connection_busy_is_told_to_come_back_and_not_that_the_database_is_away(database_url):
    async with engine_on(database_url, database_pool_size=2, database_timeout_seconds=0.3) as engine:
        async with engine.calls_door.connection(), engine.calls_door.connection():
            with pytest.raises(Overloaded, match="all 2 calls connections have been busy"):
                await engine.calls_door.fetchval("SELECT 1")

        assert engine.calls_door.down is None
        assert await engine.calls_door.fetchval("SELECT 1") == 1


async def test_a_server_that_is_away_is_found_by_both_doors_and_found_again(private_servers):
    async with engine_on(private_servers.database_url) as engine:
        await asyncio.to_thread(private_servers.postgres.kill)
        for door in (engine.calls_door, engine.office):
            with pytest.raises(Unavailable):
                await door.fetchval("SELECT 1")
            assert door.down is not None
        await asyncio.to_thread(private_servers.postgres.start)
        await until(lambda: both_up(engine))


async def test_each_door_is_known_by_name_to_who_looks_at_the_server(engine):
    rows = await engine.office.fetch(
        "SELECT DISTINCT application_name FROM pg_stat_activity WHERE datname = current_database()"
    )

    assert {"rating-engine calls", "rating-engine office"} <= {row[0] for row in rows}


async def none_in_use(engine: Engine) -> bool:
    """Whether the office is at rest."""
    return engine.office.in_use == 0


async def both_up(engine: Engine) -> bool:
    """Whether PostgreSQL answers at both doors."""
    return engine.calls_door.down is None and engine.office.down is None
