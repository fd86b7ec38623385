"""The shipped dialplan as it comes, RATING_TECH=PJSIP: real SIP from a phone and to a carrier, over loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.pool import Database
from tests.asterisk.engine import engine_for, started
from tests.asterisk.exchange import Call, Exchange
from tests.asterisk.pbx import PRICE, Pbx, until
from tests.asterisk.sip import PHONES, sip_pair
from tests.support.servers import SessionServers
from tests.support.world import add_account, publish_deck

pytestmark = [pytest.mark.asterisk, pytest.mark.asyncio(loop_scope="module")]

TALKS_TWO_SECONDS = "4910000002"
TALKS_FOR_EVER = "4910000000"
RINGS = "4920000000"
FORWARDS = "4930000000"
GONE_FIRST = "4910000009"


@dataclass(frozen=True)
class Sip:
    pbx: Pbx
    world: Exchange

    async def dial(self, phone: str, number: str) -> Call:
        """Let a phone dial; the call returned is the phone's own view of it."""
        return await self.world.originate(number, "", context="phone-of", callerid="4930111", __FROM=f"as-{phone}")

    async def only_cdr(self, phone: str) -> Any:
        (cdr,) = await self.pbx.cdrs(phone)
        return cdr


async def seed(database: Database) -> None:
    """One cent a second on 49; the first route of GONE_FIRST leads to a trunk nobody configured."""
    await publish_deck(database)
    for name, prefix, position in (("gone", GONE_FIRST, 1), ("carrier", "49", 2)):
        await database.fetch(
            "INSERT INTO routes (name, number_prefix, position) VALUES ($1, $2, $3)", name, prefix, position
        )
    for login, balance in PHONES.items():
        await add_account(database, login, balance=balance)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_sip(
    asterisk_root: Path, session_servers: SessionServers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sip]:
    with session_servers.database() as database_url:
        database = Database(database_url)
        await database.open()
        await seed(database)
        engine = engine_for(database_url, session_servers.redis(), tmp_path_factory.mktemp("engine"))
        exchange, world = sip_pair(asterisk_root, engine.fastagi_port)
        try:
            async with engine, exchange, world:
                yield Sip(Pbx(database, engine, exchange), world)
        finally:
            await database.close()


@pytest_asyncio.fixture(loop_scope="module")
async def sip(running_sip: Sip) -> AsyncIterator[Sip]:
    await started(running_sip.pbx.engine)  # a test before this one may have killed it
    yield running_sip
    await until(running_sip.pbx.exchange.idle)
    assert await ledger_balanced(running_sip.pbx.database) == []


async def test_a_sip_call_is_charged_to_the_account_code_of_its_endpoint(sip: Sip) -> None:
    call = await sip.dial("talker", TALKS_TWO_SECONDS)
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("talker")
    assert (cdr["state"], cdr["destination"], cdr["route_name"]) == ("settled", TALKS_TWO_SECONDS, "carrier")
    assert cdr["seconds"] >= 2
    assert await sip.pbx.money("talker") == (10 - PRICE * cdr["seconds"], 0)


async def test_a_sip_call_is_cut_when_the_money_ends(sip: Sip) -> None:
    call = await sip.dial("pauper", TALKS_FOR_EVER)
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("pauper")
    assert (cdr["seconds"], cdr["cost"], cdr["overrun"]) == (2, Decimal("0.02"), 0)


async def test_a_phone_that_cancels_pays_nothing(sip: Sip) -> None:
    call = await sip.dial("canceller", RINGS)
    await sip.pbx.exchange.ami.wait_event(
        lambda event: event.get("Event") == "Newexten" and event["AppData"].startswith(f"PJSIP/{RINGS}@carrier")
    )
    await call.hang_up()
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("canceller")
    assert (cdr["state"], cdr["disposition"]) == ("voided", "CANCEL")
    assert await sip.pbx.money("canceller") == (10, 0)


async def test_a_trunk_that_is_gone_fails_over_to_the_next(sip: Sip) -> None:
    call = await sip.dial("roamer", GONE_FIRST + "1")
    await call.ended()
    await until(sip.pbx.exchange.idle)
    first, second = await sip.pbx.cdrs("roamer")
    assert (first["state"], first["route_name"], first["disposition"]) == ("voided", "gone", "CHANUNAVAIL")
    assert (second["state"], second["route_name"], second["attempt"]) == ("settled", "carrier", 2)


@pytest.mark.parametrize(
    ("phone", "number", "answer"),
    [
        ("broke", TALKS_TWO_SECONDS, "SIP 403 Forbidden"),
        ("asker", "8112345678", "SIP 404 Not Found"),
        ("asker", "49123abc", "SIP 484 Address Incomplete"),
    ],
)
async def test_the_phone_is_told_why_by_sip(sip: Sip, phone: str, number: str, answer: str) -> None:
    call = await sip.dial(phone, number)
    await call.ended()
    assert call.value("SIP_ANSWER") == answer


async def test_without_an_engine_the_phone_is_told_503(sip: Sip) -> None:
    await asyncio.to_thread(sip.pbx.engine.kill)
    call = await sip.dial("orphan", TALKS_TWO_SECONDS)
    await call.ended()
    assert call.value("SIP_ANSWER") == "SIP 503 Service Unavailable"


async def test_a_carrier_that_answers_with_a_forwarding_is_not_followed(sip: Sip) -> None:
    call = await sip.dial("forwarded", FORWARDS)
    await call.ended()
    await until(sip.pbx.exchange.idle)
    cdr = await sip.only_cdr("forwarded")
    assert cdr["state"] == "voided"
    assert not any("4910000001" in event.get("Channel", "") for event in sip.pbx.exchange.ami.events)
