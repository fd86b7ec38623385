"""An office with phones and carriers beside a real engine, started once for all the scenarios."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.conftest import asterisk_root as asterisk_root
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import PREFIX
from tests.asterisk.pbx import Pbx
from tests.asterisk.phone import Leg, phones
from tests.field.office import ACCOUNTS, SECRET_KEY, Office, Scene, seed
from tests.support.servers import SessionServers, breaches

KEPT: Final = Path("/srv") / f"{PREFIX}{os.getpid()}-kept"  # recordings, as Asterisk sees where they are


@dataclass
class Running:
    """What all scenarios share."""

    database_url: str
    redis_url: str
    directory: Path
    pbx: Pbx
    office: Office
    recordings: Path
    _engines: Iterator[int] = field(default_factory=lambda: itertools.count(2))

    async def take_over(self, **settings: Any) -> None:
        """Another engine takes over from the one that runs."""
        old = self.pbx.engine
        ports = {"port": old.fastagi_port, "http_port": old.http_port}
        name = f"engine{next(self._engines)}"
        new = engine_for(
            self.database_url, self.redis_url, self.directory, name=name, flags=("--takeover",),
            spool_dir=str(self.directory / "engine.spool"), secret_keys=[SECRET_KEY], **ports, **settings,
        )  # fmt: skip
        await new.start()
        self.pbx.engine = new
        await old.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def running_office(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    with session_servers.database() as database_url:
        database = Database(database_url)
        await database.open()
        await seed(database)
        redis_url, directory = session_servers.redis(), tmp_path_factory.mktemp("office-engine")
        kept = asterisk_root / KEPT.relative_to("/")
        kept.mkdir(parents=True, exist_ok=True)
        kept.chmod(0o777)  # Asterisk writes there as somebody else
        engine = engine_for(
            database_url, redis_url, directory, recordings_directory=str(kept), secret_keys=[SECRET_KEY]
        )
        office = Office(asterisk_root, engine.fastagi_port, settings=f"RATING_RECORDINGS={KEPT}")
        running = Running(database_url, redis_url, directory, Pbx(database, engine, office.exchange), office, kept)
        try:
            async with engine, office.exchange, phones(*office.phones.values(), *office.carriers.values()):
                yield running
                await running.pbx.engine.stop()
        finally:
            shutil.rmtree(kept, ignore_errors=True)
            await database.close()


@pytest_asyncio.fixture(loop_scope="session")
async def scene(running_office: Running) -> AsyncIterator[Scene]:
    """The office, idle; its books balance when the test ends."""
    pbx, office = running_office.pbx, running_office.office
    await started(pbx.engine)
    await office.exchange.start()
    yield Scene(pbx, office, {login: len(await pbx.cdrs(login)) for login in ACCOUNTS})
    for each in (*office.phones.values(), *office.carriers.values()):
        for leg in each.calls:
            await leg.hang_up()
            leg.sound.close()
        each.calls.clear()
    for each in office.phones.values():
        each.on_call = Leg.answer
    assert await breaches(running_office.database_url) == []
