"""A real Asterisk beside a real engine. Where Asterisk can't be had the tests are skipped and say why;
REQUIRE_ASTERISK=1 makes that a failure."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from rating_engine.process.engine_process import EngineProcess
from rating_engine.storage.postgres.pool import Database
from tests.asterisk import build
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import Exchange, remove_leftovers
from tests.asterisk.pbx import Pbx, dialplan, seed
from tests.support.servers import SessionServers, breaches


@pytest.fixture(scope="session")
def asterisk_root(request: pytest.FixtureRequest) -> Path:
    """Where Asterisk is; building it the first time takes about a minute and shows how it goes."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    uncaptured = capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    try:
        with uncaptured:
            root = build.asterisk_root()
    except build.Unbuildable as error:
        if os.environ.get("REQUIRE_ASTERISK") == "1":
            pytest.fail(f"REQUIRE_ASTERISK=1, but there is no Asterisk here: {error}")
        pytest.skip(f"no Asterisk here: {error}")
    remove_leftovers(root)
    return root


@dataclass(frozen=True)
class Running:
    """What all tests of a process share: starting it for each test would take longer than the tests."""

    database_url: str
    database: Database
    engine: EngineProcess
    exchange: Exchange


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    with session_servers.database() as database_url:
        database = Database(database_url)
        await database.open()
        await seed(database)
        engine = engine_for(database_url, session_servers.redis(), tmp_path_factory.mktemp("engine"))
        exchange = Exchange(asterisk_root, dialplan(engine.fastagi_port))
        try:
            async with engine, exchange:
                yield Running(database_url, database, engine, exchange)
        finally:
            await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def pbx(running: Running) -> AsyncIterator[Pbx]:
    """A running engine and a running exchange; the money laws hold when the test ends."""
    await started(running.engine)  # a test before this one may have killed them
    await running.exchange.start()
    pbx = Pbx(running.database, running.engine, running.exchange)
    yield pbx
    # By a connection of its own: those of `running` belong to the loop of its scope, which need not be this one.
    assert await breaches(running.database_url) == []
