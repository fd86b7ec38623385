"""One process leads, and when it dies, hangs or loses the database, another does; nothing is done by two at once."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from rating_engine.process.engine_process import EngineProcess
from rating_engine.storage.calls.exchange_watch import read_watched
from rating_engine.storage.postgres.leadership import LOCK, Leadership
from rating_engine.storage.postgres.pool import Database
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import until
from tests.unit.agi.ami.fake_exchange import FakeExchange, listed

HOLDER = """
    SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND objid = $1 AND granted AND datname = current_database()
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


class Candidate:
    """Stands for leader; its work notes that it runs."""

    def __init__(self, database_url: str, at_work: set[int]) -> None:
        self._at_work = at_work
        self.started = 0
        self.leadership = Leadership(database_url, self._work)

    async def _work(self) -> None:
        self.started += 1
        assert not self._at_work, "two at once"
        self._at_work.add(id(self))
        try:
            await asyncio.Event().wait()
        finally:
            self._at_work.discard(id(self))


@pytest.fixture
def at_work() -> set[int]:
    return set()


@pytest.fixture
async def candidates(database_url: str, at_work: set[int]) -> AsyncIterator[list[Candidate]]:
    candidates = [Candidate(database_url, at_work) for _ in range(4)]
    for candidate in candidates:
        candidate.leadership.start()
    yield candidates
    for candidate in candidates:
        await candidate.leadership.stop()
    assert not at_work


async def somebody_works(at_work: set[int]) -> int:
    async def asked() -> set[int]:
        return at_work

    await until(asked)
    return next(iter(at_work))


async def test_one_of_many_leads(candidates, at_work):
    await somebody_works(at_work)
    assert [candidate.leadership.leading for candidate in candidates].count(True) == 1


async def test_who_gives_up_is_followed_by_another(candidates, at_work):
    first = await somebody_works(at_work)
    (leader,) = [candidate for candidate in candidates if id(candidate) == first]
    await leader.leadership.stop()
    assert first not in at_work
    assert await somebody_works(at_work) != first


async def test_whose_session_the_server_ends_stops_working_and_another_follows(candidates, at_work, database):
    first = await somebody_works(at_work)
    await database.fetch("SELECT pg_terminate_backend($1)", await database.fetchval(HOLDER, LOCK))

    async def lost() -> bool:
        return first not in at_work

    await until(lost)
    await somebody_works(at_work)


async def test_who_cannot_reach_the_database_stops_working(database_url, at_work):
    host, port = database_url.rpartition("@")[2].partition("/")[0].split(":")
    async with TcpProxy(host, int(port)) as proxy:
        candidate = Candidate(proxy.url(database_url), at_work)
        candidate.leadership.start()
        await somebody_works(at_work)
        proxy.silence()

        async def stopped() -> bool:
            return not at_work

        await until(stopped)
        proxy.speak()
        await somebody_works(at_work)
        assert candidate.started == 2
        await candidate.leadership.stop()


async def test_work_that_fails_is_begun_anew(database_url):
    begun = asyncio.Event()
    times = 0

    async def work() -> None:
        nonlocal times
        times += 1
        if times == 1:
            raise RuntimeError("a fault")
        begun.set()
        await asyncio.Event().wait()

    leadership = Leadership(database_url, work)
    leadership.start()
    async with asyncio.timeout(30):
        await begun.wait()
    await leadership.stop()


# -- two engines ---------------------------------------------------------------------------------------------------


@pytest.fixture
async def exchange() -> AsyncIterator[FakeExchange]:
    async with FakeExchange() as exchange:
        exchange.answers["CoreShowChannels"] = listed
        yield exchange


@pytest.fixture
async def engines(database_url: str, exchange: FakeExchange, tmp_path: Path) -> AsyncIterator[list[EngineProcess]]:
    settings = {
        "database_url": database_url,
        "ami_exchanges": [f"pbx1=ami://engine:s3cret@127.0.0.1:{exchange.address.port}"],
    }
    engines = [EngineProcess(name, tmp_path, settings) for name in ("one", "two")]
    for engine in engines:
        await engine.start()
    yield engines
    for engine in engines:
        await engine.stop()


async def leader_of(engines: list[EngineProcess]) -> EngineProcess:
    """The engine whose log says last that it leads."""

    async def found() -> EngineProcess | None:
        for engine in engines:
            words = [line for line in engine.log.read_text().splitlines() if '"leadership_' in line]
            if words and '"leadership_taken"' in words[-1]:
                return engine
        return None

    leader = await until(found)
    assert leader is not None
    return leader


async def watched(database: Database) -> bool:
    return "pbx1" in await read_watched(database)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
async def test_when_the_engine_that_leads_is_gone_the_other_watches_the_exchanges(engines, exchange, database, number):
    leader = await leader_of(engines)
    (other,) = [engine for engine in engines if engine is not leader]
    await until(lambda: watched(database))
    assert exchange.connections == 1

    os.kill(leader.pid, number)
    try:
        assert await leader_of([other]) is other

        async def followed() -> bool:
            return exchange.connections == 2

        await until(followed)
        await until(lambda: watched(database))
    finally:
        if number is signal.SIGSTOP:
            os.kill(leader.pid, signal.SIGCONT)


async def test_without_exchanges_in_the_settings_an_engine_leads_too_since_routes_are_measured(database_url, tmp_path):
    engine = EngineProcess("engine", tmp_path, {"database_url": database_url})
    await engine.start()
    connection = await asyncpg.connect(database_url)

    async def led() -> bool:
        return await connection.fetchval(HOLDER, LOCK) is not None

    await until(led)
    await engine.stop()
    assert not await led()
    await connection.close()
