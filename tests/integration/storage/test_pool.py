"""The one door to PostgreSQL: down is said at once, and whatever the probe meets, it goes on looking."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.principal import OPERATOR
from rating_engine.storage.calls.first_statements import FIRST_STATEMENTS
from rating_engine.storage.postgres import pool
from rating_engine.storage.postgres.pool import Database
from tests.support.servers import free_port
from tests.support.waiting import until


async def test_a_server_that_is_not_there_is_said_and_not_waited_for():
    database = Database(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    await database.open()
    assert database.down is not None
    with pytest.raises(Unavailable):
        await database.fetchval("SELECT 1")
    await database.close()


async def test_an_error_nobody_thought_of_does_not_end_the_probe(database_url, monkeypatch):
    database = Database(database_url)
    await database.open()
    connect, tries = asyncpg.connect, []

    async def failing_twice(*args, **options):
        tries.append(1)
        if len(tries) <= 2:
            raise RuntimeError("nobody thought of this")
        return await connect(*args, **options)

    monkeypatch.setattr(pool.asyncpg, "connect", failing_twice)
    database._mark_down(OSError("pulled"))

    async def is_up() -> bool:
        return database.down is None

    await until(is_up)
    assert len(tries) == 3
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


async def test_an_argument_that_cannot_be_encoded_is_not_the_servers_fault(database_url):
    database = Database(database_url)
    await database.open()
    with pytest.raises(asyncpg.DataError):
        await database.fetchval("SELECT $1::integer", "seven")
    assert database.down is None
    await database.close()


async def test_connections_of_calls_know_the_types_of_every_money_function_before_they_serve(database_url):
    database = Database(database_url, door="calls", pool_size=4, first_statements=FIRST_STATEMENTS)
    onlooker = Database(database_url)
    await database.open()
    await onlooker.open()
    rows = await onlooker.fetch(
        "SELECT query FROM pg_stat_activity"
        " WHERE application_name = 'rating-engine calls' AND datname = current_database()"
    )
    asked = [row["query"] for row in rows]

    assert len(asked) == 4
    assert sum("typeinfo_tree" in query for query in asked) >= 3  # one was asked since whether it can commit
    await database.close()
    await onlooker.close()


async def test_a_database_without_the_money_functions_is_served_as_far_as_it_goes(empty_database_url):
    database = Database(empty_database_url, door="calls", first_statements=FIRST_STATEMENTS)
    await database.open()
    assert await database.fetchval("SELECT 1") == 1
    await database.close()


@pytest.mark.parametrize(("cluster", "mode"), [(False, "force_generic_plan"), (True, "auto")])
async def test_plans_are_made_once_except_where_the_server_is_a_cluster(private_servers, cluster, mode):
    setup = Database(private_servers.database_url)
    await setup.open()
    if cluster:  # as far as a connection can see: the extension is there
        await setup.fetch(
            "INSERT INTO pg_extension SELECT 90001, 'citus', extowner, extnamespace, extrelocatable, extversion,"
            " extconfig, extcondition FROM pg_extension WHERE extname = 'plpgsql'"
        )
    door = Database(private_servers.database_url, door="calls", generic_plans=True)
    await door.open()
    assert await door.fetchval("SHOW plan_cache_mode") == mode
    assert await setup.fetchval("SHOW plan_cache_mode") == "auto"
    await door.close()
    await setup.close()


async def test_one_connection_serves_statement_after_statement_and_transactions_between_them(database_url):
    database = Database(database_url, pool_size=1)
    await database.open()
    pids = [await database.fetchval("SELECT pg_backend_pid()") for _ in range(3)]
    async with database.transaction(OPERATOR) as tx:
        pids.append(await tx.fetchval("SELECT pg_backend_pid()"))
    pids.append(await database.fetchval("SELECT pg_backend_pid()"))
    assert len(set(pids)) == 1
    await database.close()


async def test_connections_that_ended_while_nobody_used_them_are_replaced(database_url):
    database, onlooker = Database(database_url, pool_size=2), Database(database_url, pool_size=1)
    await database.open()
    await onlooker.open()
    await asyncio.gather(*(database.fetchval("SELECT pg_sleep(0.1)") for _ in range(2)))  # both are made, and at hand
    ours = "application_name = 'rating-engine office' AND datname = current_database() AND pid <> pg_backend_pid()"
    assert await onlooker.fetchval(f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {ours}") == 2

    async def is_served() -> bool:
        try:
            return await database.fetchval("SELECT true")
        except Unavailable:  # the server's farewell was not read yet
            return False

    await until(is_served)
    both = await asyncio.gather(*(database.fetchval("SELECT pg_backend_pid() FROM pg_sleep(0.1)") for _ in range(2)))
    assert len(set(both)) == 2
    await asyncio.gather(database.close(), onlooker.close())


async def test_what_was_connected_before_the_server_was_away_is_not_used_again(database_url):
    database = Database(database_url, pool_size=2)
    await database.open()
    before = await database.fetchval("SELECT pg_backend_pid()")
    database._mark_down(OSError("pulled"))

    async def is_up() -> bool:
        return database.down is None

    await until(is_up)
    assert await database.fetchval("SELECT pg_backend_pid()") != before
    await database.close()
