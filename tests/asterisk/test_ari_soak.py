"""Many calls at once over ARI, and an engine that is killed in the midst: every second charged, nothing left."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rating_engine.storage.postgres.pool import Database
from tests.asterisk.ari import ari_exchange, ari_url, seed
from tests.asterisk.engine import engine_for, started
from tests.asterisk.pbx import PRICE, Pbx, until
from tests.asterisk.sipp import Sipp, Talk
from tests.support.servers import SessionServers, breaches, free_port
from tests.support.world import add_account

pytestmark = [pytest.mark.asterisk, pytest.mark.soak, pytest.mark.asyncio(loop_scope="session")]

CROWD, LASTING = "crowd", "lasting"
NUMBER = "4910001"
TOGETHER = 200
SECONDS = int(os.environ.get("SOAK_SECONDS", "300"))
TALK_SECONDS = 20.0
SETTLED_SECONDS = 60.0


@dataclass(frozen=True)
class Crowd:
    """A running engine and an exchange that it holds."""

    pbx: Pbx
    url: str
    sipp: Sipp
    sip_port: int
    carrier_port: int

    async def up(self) -> int:
        """How many channels are answered."""
        return sum(channel["ChannelStateDesc"] == "Up" for channel in await self.pbx.exchange.channels())

    async def settled(self, login: str) -> list[Any]:
        """The CDRs of a login once nothing is left."""
        await until(self.pbx.exchange.idle, SETTLED_SECONDS)
        await until(lambda: self.pbx.no_open_call(login), SETTLED_SECONDS)
        assert len((await self.pbx.exchange.cli("bridge show all")).strip().splitlines()) == 1
        assert await breaches(self.url) == []
        return await self.pbx.cdrs(login)


@pytest_asyncio.fixture(loop_scope="session")
async def crowd(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Crowd]:
    sip_port, http_port, carrier_port = free_port(), free_port(), free_port()
    with session_servers.database() as url:
        database = Database(url)
        await database.open()
        await seed(database, (("carrier", "491"),))
        await add_account(database, CROWD, balance="100000")
        await add_account(database, LASTING, balance="100000")
        engine = engine_for(
            url, session_servers.redis(), tmp_path_factory.mktemp("engine"), ari_exchanges=[ari_url(http_port)],
            quota_seconds=60, reconcile_interval_seconds=5.0, reconcile_grace_seconds=5.0,
        )  # fmt: skip
        exchange = ari_exchange(
            asterisk_root, engine.fastagi_port, http_port, sip_port,
            phones={CROWD: 1, LASTING: 1}, trunks={"carrier": carrier_port},
        )  # fmt: skip
        try:
            async with exchange, engine:
                # Nobody here looks at events, and the millions of so many calls would only be in the way.
                await exchange.ami.action("Events", EventMask="off")
                await started(engine)
                yield Crowd(Pbx(database, engine, exchange), url, Sipp(exchange), sip_port, carrier_port)
        finally:
            await database.close()


def charged(talk: Talk) -> int:
    return max(1, ceil(talk.seconds - 0.2))


def check(cdrs: list[Any], talks: list[Talk]) -> None:
    """Each conversation of the carrier's trace is charged once; where it ended at a boundary, either count is right."""
    seconds = sorted(cdr["seconds"] for cdr in cdrs if cdr["seconds"])
    told = sorted(charged(talk) for talk in talks)
    assert len(seconds) == len(told)
    assert [abs(one - other) for one, other in zip(seconds, told, strict=True) if abs(one - other) > 1] == []
    print(f"{len(cdrs)} calls, {len(told)} answered, {sum(seconds)} s charged, {sum(told)} s by the carrier's trace")


async def test_two_hundred_calls_at_a_time_for_minutes_are_charged_exactly(crowd: Crowd) -> None:
    async with crowd.sipp.carrier(crowd.carrier_port, "choosy"):
        calls = int(SECONDS * TOGETHER / TALK_SECONDS)
        caller = await crowd.sipp.talk(
            CROWD, NUMBER, port=crowd.sip_port, calls=calls, a_second=15, together=TOGETHER, seconds=TALK_SECONDS
        )
        await caller.wait()
        cdrs = await crowd.settled(CROWD)
        talks = crowd.sipp.talks()
    assert len(cdrs) == calls
    check(cdrs, talks)
    balance, reserved = await crowd.pbx.money(CROWD)
    assert (balance, reserved) == (100_000 - PRICE * sum(cdr["seconds"] for cdr in cdrs), 0)
    assert "NOT SAVED" not in crowd.pbx.exchange.log()


async def test_an_engine_that_is_killed_with_a_hundred_calls_up_finds_them_all_again(crowd: Crowd) -> None:
    async with crowd.sipp.carrier(crowd.carrier_port):
        caller = await crowd.sipp.talk(
            LASTING, NUMBER, port=crowd.sip_port, calls=100, a_second=20, together=100, seconds=30
        )

        async def all_up() -> bool:
            return await crowd.up() == 200

        await until(all_up, SETTLED_SECONDS)
        await asyncio.to_thread(crowd.pbx.engine.kill)
        await started(crowd.pbx.engine)
        await caller.wait()
        cdrs = await crowd.settled(LASTING)
        talks = crowd.sipp.talks()
    assert len(cdrs) == 100
    assert {cdr["source"] for cdr in cdrs} == {"finish"}
    check(cdrs, talks)
