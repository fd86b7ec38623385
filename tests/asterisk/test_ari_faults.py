"""What goes wrong between engines and an exchange over ARI: nobody who talks notices, and every second is charged once.

Two engines stand for one seat; both reach the exchange through a proxy that spoils the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from agi.ari.link import COMMAND_CONNECTIONS
from rating_engine.process.engine_process import EngineProcess
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.ari import NAME, ari_exchange, ari_url, ports, seed
from tests.asterisk.ari_world import fits
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import Exchange
from tests.asterisk.pbx import Pbx, until
from tests.asterisk.phone import Leg, Phone, phones
from tests.support.servers import SessionServers, breaches, free_port
from tests.support.tcp_proxy import TcpProxy
from tests.support.world import add_account

pytestmark = [pytest.mark.asterisk, pytest.mark.soak, pytest.mark.asyncio(loop_scope="session")]

CALLERS = [f"caller{number}" for number in range(1, 10)]
SEAT = f"{NAME}/1"
TAKEN_SECONDS = 30.0  # a leader that is stopped is ended within ten seconds, and its seat taken then


@dataclass
class World:
    """Two engines, one exchange, and everybody's phones."""

    database: Database
    url: str
    engines: tuple[EngineProcess, EngineProcess]
    exchange: Exchange
    proxy: TcpProxy
    callers: dict[str, Phone]
    carrier: Phone

    async def states(self) -> list[str]:
        """What each engine that answers says of the seat."""
        found = []
        async with httpx.AsyncClient(timeout=1.0) as client:
            for engine in self.engines:
                try:
                    answer = await client.get(f"http://127.0.0.1:{engine.http_port}/readyz")
                    found.append(answer.json().get("exchanges", {}).get(SEAT, ""))
                except httpx.HTTPError:
                    found.append("away")
        return found

    async def holder(self) -> EngineProcess:
        """The engine that steers, once one does."""
        await until(self._is_held, TAKEN_SECONDS)
        return self.engines[(await self.states()).index("connected")]

    async def _is_held(self) -> bool:
        return (await self.states()).count("connected") == 1

    async def talk(self, login: str, number: str) -> tuple[Leg, Leg]:
        """A call, as its caller and its carrier have it."""
        leg = await (await self.callers[login].call(number)).answered()
        (called,) = [each for each in self.carrier.calls if each.number == number]
        return leg, called

    async def charged(self, login: str, called: Leg, source: str = "finish") -> None:
        """The one call of a login is charged by what the carrier saw."""
        pbx = Pbx(self.database, self.engines[0], self.exchange)
        await until(lambda: pbx.no_open_call(login))
        (cdr,) = await pbx.cdrs(login)
        assert (cdr["source"], fits(called, cdr["seconds"])) == (source, True), (cdr["seconds"], called.talked)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    sip_port, http_port = free_port(), free_port()
    callers = {name: Phone(name, sip_port) for name in CALLERS}
    carrier = Phone("carrier", sip_port)
    with session_servers.database() as url:
        database = Database(url)
        await database.open()
        await seed(database, (("carrier", "491"),))
        for login in CALLERS:
            await add_account(database, login, balance="10")
        async with TcpProxy("127.0.0.1", http_port) as proxy:
            given = {"ari_exchanges": [ari_url(proxy.port)], "quota_seconds": 60, "reconcile_interval_seconds": 1.0,
                     "reconcile_grace_seconds": 3.0}  # fmt: skip
            engines = tuple(
                engine_for(url, session_servers.redis(), tmp_path_factory.mktemp(name), name=name, **given)
                for name in ("one", "other")
            )
            exchange = ari_exchange(
                asterisk_root, engines[1].fastagi_port, http_port, sip_port,
                phones=ports(callers), trunks={"carrier": carrier.port},
            )  # fmt: skip
            try:
                async with phones(*callers.values(), carrier), exchange, engines[0]:
                    await started(engines[0])
                    async with engines[1]:
                        await started(engines[1])
                        yield World(database, url, (engines[0], engines[1]), exchange, proxy, callers, carrier)
            finally:
                await database.close()


async def test_the_seat_of_an_engine_that_is_killed_is_taken_by_the_other_one_with_its_calls(world: World) -> None:
    assert await world.holder() is world.engines[0]
    leg, called = await world.talk("caller1", "4910001")
    await asyncio.to_thread(world.engines[0].kill)
    assert await world.holder() is world.engines[1]
    await leg.hears(world.carrier)
    await leg.talk_on(1.7)
    await leg.hang_up()
    await called.ended()
    await world.charged("caller1", called)
    await started(world.engines[0])


async def test_an_engine_that_is_stopped_loses_its_seat_and_steers_no_more_when_it_goes_on(world: World) -> None:
    assert await world.holder() is world.engines[1]
    leg, called = await world.talk("caller2", "4910002")
    world.engines[1].freeze()
    try:

        async def taken() -> bool:
            return (await world.states())[0] == "connected"

        await until(taken, TAKEN_SECONDS)
        await leg.hears(world.carrier)
    finally:
        world.engines[1].thaw()
    await until(world._is_held, TAKEN_SECONDS)
    assert (await world.states())[0] == "connected"
    second, other = await world.talk("caller3", "4910003")
    await second.talk_on(0.7)
    for each, theirs in ((leg, called), (second, other)):
        await each.hang_up()
        await theirs.ended()
    await world.charged("caller2", called)
    await world.charged("caller3", other)


@pytest.mark.parametrize("fault", ["cut", "silent", "slow"])
async def test_a_connection_that_is_lost_or_hangs_is_made_anew_and_the_calls_go_on(world: World, fault: str) -> None:
    place = 4 + ["cut", "silent", "slow"].index(fault)
    login, number = f"caller{place}", f"491000{place}"
    await world.holder()
    leg, called = await world.talk(login, number)
    if fault == "cut":
        world.proxy.cut()
    elif fault == "silent":
        world.proxy.silence()
        await leg.talk(12)
        world.proxy.speak()
        world.proxy.cut()
    else:
        world.proxy.delay_seconds = 2.0
        await leg.talk(4)
        world.proxy.delay_seconds = 0.0
    await leg.hears(world.carrier)
    await world.holder()
    await leg.talk_on(1.7)
    await leg.hang_up()
    await called.ended()
    await world.charged(login, called)


async def test_a_call_whose_requests_are_not_answered_moves_to_another_connection(world: World) -> None:
    """None is answered, on any connection but the events': what they did is heard by events, and new ones are made."""
    await world.holder()
    made = world.proxy.connections_made
    world.proxy.swallow_answers(spared=1)
    leg, called = await world.talk("caller8", "4910008")

    async def all_made_anew() -> bool:
        return world.proxy.connections_made >= made + COMMAND_CONNECTIONS

    await until(all_made_anew, TAKEN_SECONDS)
    assert (await world.states()).count("connected") == 1
    await leg.hears(world.carrier)
    second, other = await world.talk("caller9", "4910009")
    for each, theirs in ((leg, called), (second, other)):
        await each.talk_on(1.7)
        await each.hang_up()
        await theirs.ended()
    await world.charged("caller8", called)
    await world.charged("caller9", other)


async def test_calls_of_an_exchange_that_is_killed_are_charged_until_they_were_last_seen(world: World) -> None:
    await world.holder()
    leg, _ = await world.talk("caller7", "4910007")
    await leg.talk(3)
    await world.exchange.kill()
    lasted = leg.talked
    await world.exchange.start()
    await world.holder()
    pbx = Pbx(world.database, world.engines[0], world.exchange)
    await until(lambda: pbx.no_open_call("caller7"), TAKEN_SECONDS)
    (cdr,) = await pbx.cdrs("caller7")
    assert cdr["source"] == "reconciled"
    assert lasted - 3 <= cdr["seconds"] <= lasted + 1


async def test_nothing_is_left(world: World) -> None:
    await until(world.exchange.idle)
    assert len((await world.exchange.cli("bridge show all")).strip().splitlines()) == 1
    assert await breaches(world.url) == []
