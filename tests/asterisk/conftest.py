"""A real Asterisk beside a real engine. Where Asterisk can't be had the tests are skipped and say why;
REQUIRE_ASTERISK=1 makes that a failure."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from rating_engine.process.engine_process import EngineProcess
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.pool import Database
from tests.asterisk import build
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import Exchange, remove_leftovers
from tests.asterisk.pbx import Pbx, dialplan, seed, until
from tests.asterisk.sip import Sip, sip_pair
from tests.asterisk.sip import seed as seed_sip
from tests.support.servers import SessionServers, breaches, free_port


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
    await running.exchange.clear()  # what a failed test leaves would fail those after it, too
    # By a connection of its own: those of `running` belong to the loop of its scope, which need not be this one.
    assert await breaches(running.database_url) == []


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_sip(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sip]:
    with (
        session_servers.database() as database_url,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        silent.bind(("127.0.0.1", 0))
        database = Database(database_url)
        await database.open()
        await seed_sip(database)
        engine = engine_for(database_url, session_servers.redis(), tmp_path_factory.mktemp("sip-engine"))
        port = free_port()
        exchange, world = sip_pair(asterisk_root, engine.fastagi_port, silent.getsockname()[1], port)
        try:
            async with engine, exchange, world:
                yield Sip(Pbx(database, engine, exchange), world, port)
        finally:
            await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def sip(running_sip: Sip) -> AsyncIterator[Sip]:
    """Two exchanges that speak SIP; the ledger is balanced when the test ends."""
    await started(running_sip.pbx.engine)  # a test before this one may have killed it
    yield running_sip
    await until(running_sip.pbx.exchange.idle)
    assert await ledger_balanced(running_sip.pbx.database) == []
