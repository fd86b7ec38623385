"""Calls that the engine holds over ARI, on a real Asterisk with real SIP: what is talked is charged, exactly once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import pytest
import pytest_asyncio

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.ari import NAME, ari_exchange, ari_url, ports, seed
from tests.asterisk.engine import engine_for, started
from tests.asterisk.pbx import PRICE, Pbx, until
from tests.asterisk.phone import Leg, Phone, phones
from tests.support.servers import SessionServers, free_port
from tests.support.world import add_account

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="session")]

CALLERS = [f"caller{number}" for number in range(1, 13)]
ROUTES = (("carrier", "491"), ("first", "494"), ("second", "494"))


@dataclass(frozen=True)
class World:
    """The engine, the exchange, and everybody's phones."""

    pbx: Pbx
    url: str
    phones: dict[str, Phone]
    carrier: Phone
    first: Phone
    second: Phone


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    sip_port, http_port = free_port(), free_port()
    callers = {name: Phone(name, sip_port) for name in CALLERS}
    carrier, first, second = (Phone(name, sip_port) for name in ("carrier", "first", "second"))
    with session_servers.database() as url:
        database = Database(url)
        await database.open()
        await seed(database, ROUTES)
        engine = engine_for(
            url,
            session_servers.redis(),
            tmp_path_factory.mktemp("engine"),
            ari_exchanges=[ari_url(http_port)],
            ari_silence_seconds=1,
            quota_seconds=10,
            reconcile_interval_seconds=1.0,
            reconcile_grace_seconds=1.0,
        )
        trunks = {"carrier": carrier.port, "first": first.port, "second": second.port}
        exchange = ari_exchange(
            asterisk_root, engine.fastagi_port, http_port, sip_port, phones=ports(callers), trunks=trunks
        )
        try:
            async with phones(*callers.values(), carrier, first, second), exchange, engine:
                await started(engine)
                pbx = Pbx(database, engine, exchange)
                await until(lambda: held(pbx))
                yield World(pbx, url, callers, carrier, first, second)
        finally:
            await database.close()


async def held(pbx: Pbx) -> bool:
    """Whether an engine is connected, and the exchange's calls are watched."""
    rows = await pbx.database.fetch("SELECT 1 FROM exchange_watch WHERE exchange = $1 AND watched_until > now()", NAME)
    return bool(rows)


async def test_a_call_is_charged_from_its_answer_to_its_end(world: World) -> None:
    await add_account(world.pbx.database, "caller1", balance="10")
    leg = await world.phones["caller1"].call("4910001")
    await leg.answered()
    await leg.hears(world.carrier)
    await leg.talk_on(1.7)
    await leg.hang_up()
    (called,) = world.carrier.calls
    await called.ended()
    cdr = await only_cdr(world, "caller1")
    assert (cdr["state"], cdr["destination"], cdr["route_name"], cdr["source"]) == (
        "settled", "4910001", "carrier", "finish",
    )  # fmt: skip
    assert cdr["seconds"] == seconds_of(called)
    assert await world.pbx.money("caller1") == (10 - PRICE * cdr["seconds"], 0)


async def only_cdr(world: World, login: str) -> object:
    await until(lambda: world.pbx.no_open_call(login))
    await until(world.pbx.exchange.idle)
    (cdr,) = await world.pbx.cdrs(login)
    return cdr


def seconds_of(leg: Leg) -> int:
    """What is charged of what the carrier saw."""
    return max(1, ceil(leg.talked - 0.2))
