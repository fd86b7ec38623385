"""An office with phones and carriers beside a real engine, started once for all the scenarios."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.conftest import asterisk_root as asterisk_root
from tests.asterisk.engine import engine_for, started
from tests.asterisk.pbx import Pbx
from tests.asterisk.phone import Leg, phones
from tests.field.office import ACCOUNTS, Office, Scene, seed
from tests.support.servers import SessionServers, breaches


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def office_pbx(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, Pbx, Office]]:
    with session_servers.database() as database_url:
        database = Database(database_url)
        await database.open()
        await seed(database)
        engine = engine_for(database_url, session_servers.redis(), tmp_path_factory.mktemp("office-engine"))
        office = Office(asterisk_root, engine.fastagi_port)
        try:
            async with engine, office.exchange, phones(*office.phones.values(), *office.carriers.values()):
                yield database_url, Pbx(database, engine, office.exchange), office
        finally:
            await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def scene(office_pbx: tuple[str, Pbx, Office]) -> AsyncIterator[Scene]:
    """The office, idle; its books balance when the test ends."""
    database_url, pbx, office = office_pbx
    await started(pbx.engine)
    await office.exchange.start()
    yield Scene(pbx, office, {login: len(await pbx.cdrs(login)) for login in ACCOUNTS})
    for each in (*office.phones.values(), *office.carriers.values()):
        for leg in each.calls:
            await leg.hang_up()
        each.calls.clear()
    for each in office.phones.values():
        each.on_call = Leg.answer
    assert await breaches(database_url) == []
