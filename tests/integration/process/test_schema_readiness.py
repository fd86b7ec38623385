"""An engine over a schema that is not its own is not ready and says why; calls are refused by no more than that."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.outcomes import Allowed
from rating_engine.engine.engine import Engine
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.release import shipped
from tests.support.calls import prepare
from tests.support.engines import engine_on
from tests.support.world import add_account, publish_deck

NEWER = """
    INSERT INTO schema_version (version, name, engine, functions, fingerprint, keeps)
    SELECT version + 1, 'of tomorrow', '9.9', 'x', 'y', version + $1 FROM schema_version
"""
OLDER = "UPDATE schema_version SET version = version - 1"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


async def problem_after_a_look(engine: Engine) -> str | None:
    """What readiness says of the schema once the engine has looked."""
    await engine.schema.turn()
    return (await engine.readiness())["schema"]


async def test_over_a_newer_schema_that_serves_it_yet_calls_go_on_and_it_is_not_ready(database_url, database):
    await publish_deck(database)
    await add_account(database, balance="10")
    async with engine_on(database_url) as engine:
        assert await problem_after_a_look(engine) is None
        await database.fetch(NEWER, 0)

        said = await problem_after_a_look(engine)
        call = await engine.charging.prepare_call(prepare("a"))

    newest = shipped().version
    assert said == (
        f"the schema has version {newest + 1} (of engine 9.9), this engine knows {newest}: "
        "calls go on until that engine takes over; start that engine"
    )
    assert isinstance(call, Allowed)


async def test_over_a_newer_schema_that_serves_it_no_longer_it_says_to_start_the_newer_engine(database_url, database):
    async with engine_on(database_url) as engine:
        await database.fetch(NEWER, 1)

        said = await problem_after_a_look(engine)

    newest = shipped().version
    assert said == (
        f"the schema has version {newest + 1} (of engine 9.9), this engine knows {newest}; start that engine"
    )


async def test_over_an_older_schema_it_says_to_migrate_and_is_ready_once_that_is_done(database_url, database):
    async with engine_on(database_url) as engine:
        await database.fetch(OLDER)
        before = await problem_after_a_look(engine)
        await database.fetch("UPDATE schema_version SET version = version + 1")
        after = await problem_after_a_look(engine)

    newest = shipped().version
    assert before == f"the schema has version {newest - 1}, this engine needs {newest}; migrate the database"
    assert after is None


async def test_an_emptied_history_is_said(database_url, database):
    async with engine_on(database_url) as engine:
        await database.fetch("DELETE FROM schema_version")

        said = await problem_after_a_look(engine)

    assert said is not None
    assert said.startswith("the table schema_version is empty")
