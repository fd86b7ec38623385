"""Bans: said by people or made for wrong keys, counting on HTTP and FastAGI at once, and over when they say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.exchanges import ExchangeChanges, NewExchange
from rating_engine.domain.outcomes import CallKey, Declined, DeclineReason, Origin, PrepareCall
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.refusal import NotAdmitted, Refusal
from rating_engine.engine.engine import Engine
from rating_engine.services.parties.access import Door
from rating_engine.services.parties.bans import Whitelisted
from tests.support.engines import engine_on
from tests.support.waiting import until, until_holds

AWAY = "198.51.100.9"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url, ban_wrong_keys=3) as engine:
        yield engine


async def try_keys(engine: Engine, *secrets: str, address: str = AWAY) -> list[Refusal]:
    told = [await engine.services.access.authenticate(secret, Door("test", address)) for secret in secrets]
    return [answer.reason for answer in told if isinstance(answer, NotAdmitted)]


async def targets(engine: Engine, **wanted: bool) -> list[str]:
    return [str(ban.target) for ban in (await engine.services.of(OPERATOR).bans.page(Cursor(), **wanted)).items]


async def http_status(engine: Engine) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", engine.http.address[1])
    writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.split(b" ", 2)[1]


async def fastagi_answer(engine: Engine) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", engine.fastagi.port)
    try:
        writer.write(b"agi_network: yes\nagi_network_script: getBalance\nagi_request: agi://x/getBalance\n\n")
        return await reader.read(100)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_calls_of_a_banned_exchange_are_declined_by_the_address_that_names_it(engine):
    await engine.services.of(OPERATOR).bans.add(AWAY)
    await until_holds(lambda: engine.services.access.bans.refuses(AWAY))

    async def reason(exchange: str, source: str) -> DeclineReason:
        call = PrepareCall(CallKey(exchange, "1"), "1001", "4912345", origin=Origin("", source, ""))
        outcome = await engine.charging.prepare_call(call)
        assert isinstance(outcome, Declined)
        return outcome.reason

    assert await reason(AWAY, "") is DeclineReason.EXCHANGE_BANNED
    assert await reason("pbx1", AWAY) is DeclineReason.EXCHANGE_BANNED
    assert await reason("pbx1", "198.51.100.10") is DeclineReason.UNKNOWN_LOGIN
    assert await reason("pbx1", "") is DeclineReason.UNKNOWN_LOGIN

    # By the address of its name.
    use = engine.services.of(OPERATOR)
    await use.exchanges.add(NewExchange("pbx1", address=AWAY))
    await until_holds(lambda: engine.services.access.bans.refuses_exchange("pbx1"))
    assert await reason("pbx1", "") is DeclineReason.EXCHANGE_BANNED
    assert await reason("pbx2", "") is DeclineReason.UNKNOWN_LOGIN
    await use.exchanges.change("pbx1", ExchangeChanges(address="198.51.100.10"))
    await until_holds(lambda: not engine.services.access.bans.refuses_exchange("pbx1"))
    await use.bans.remove(AWAY)
    await until_holds(lambda: not engine.services.access.bans.refuses(AWAY))
    assert await reason(AWAY, "") is DeclineReason.UNKNOWN_LOGIN


async def test_a_banned_address_is_served_by_no_port_until_it_is_let_in_again(engine):
    bans = engine.services.of(OPERATOR).bans
    assert (await http_status(engine), bool(await fastagi_answer(engine))) == (b"200", True)

    await bans.add("127.0.0.0/8", reason="test")

    await until(lambda: _answers(engine, b"403"))
    assert await fastagi_answer(engine) == b""
    await until(lambda: _hits(engine))
    await bans.remove("127.0.0.0/8")
    await until(lambda: _answers(engine, b"200"))
    assert await fastagi_answer(engine)


async def _answers(engine: Engine, status: bytes) -> bool:
    return await http_status(engine) == status


async def _hits(engine: Engine) -> bool:
    (ban,) = (await engine.services.of(OPERATOR).bans.page(Cursor())).items
    return ban.hits >= 2


async def test_so_many_different_wrong_keys_ban_their_address_and_the_same_one_again_does_not(engine):
    assert await try_keys(engine, *["old"] * 9, "a") == [Refusal.UNKNOWN_KEY] * 10
    assert await targets(engine) == []

    await try_keys(engine, "b")

    assert await targets(engine) == [f"{AWAY}/32"]
    assert await try_keys(engine, "x") == [Refusal.BANNED]
    assert await try_keys(engine, "a", address="198.51.100.10") == [Refusal.UNKNOWN_KEY]
    rows = await engine.office.fetch("SELECT party, action, subject FROM audit_log")
    assert [tuple(row) for row in rows] == [("engine", "ban.add", f"{AWAY}/32")]


async def test_neighbours_in_a_network_of_ipv6_count_as_one(engine):
    for number in range(3):
        await try_keys(engine, f"key-{number}", address=f"2001:db8::{number}")

    assert await targets(engine) == ["2001:db8::/64"]


async def test_a_whitelisted_address_is_banned_by_nothing(engine):
    bans = engine.services.of(OPERATOR).bans
    await bans.add("198.51.100.0/24", source="whitelist")

    await try_keys(engine, *"abcdef")

    assert await targets(engine) == ["198.51.100.0/24"]
    for target in (AWAY, "198.51.0.0/16"):
        with pytest.raises(Whitelisted):
            await bans.add(target)


async def test_a_ban_ends_by_itself_and_one_said_again_lasts_the_longer(engine):
    bans = engine.services.of(OPERATOR).bans
    await bans.add(AWAY, lasts=timedelta(hours=2))
    again = await bans.add(AWAY, lasts=timedelta(hours=1), reason="again")
    await bans.add("192.0.2.1", lasts=timedelta(milliseconds=1))

    assert timedelta(hours=1) < again.expires_at - again.created_at
    assert await targets(engine) == [f"{AWAY}/32"]
    assert await targets(engine, ended=True) == [f"{AWAY}/32", "192.0.2.1/32"]
    assert (await bans.add(AWAY)).expires_at is None


async def test_flushing_leaves_what_is_kept_and_what_protects(engine):
    bans = engine.services.of(OPERATOR).bans
    await bans.add("192.0.2.1")
    await bans.add("192.0.2.2", source="pbx1")
    await bans.add("192.0.2.3", permanent=True)
    await bans.add("192.0.2.4", source="whitelist")

    assert await bans.flush(source="pbx1") == 1
    assert await bans.flush() == 1
    assert await targets(engine) == ["192.0.2.3/32", "192.0.2.4/32"]
    await bans.set_permanent("192.0.2.3", False)
    assert await bans.flush() == 1


@pytest.mark.parametrize("target", ["", "example.org", "192.0.2.7/24", "192.0.2", "1.2.3.*.*", "*"])
async def test_what_is_no_address_is_refused_and_what_is_not_banned_not_found(engine, target):
    bans = engine.services.of(OPERATOR).bans

    with pytest.raises(InvalidRequest) as error:
        await bans.add(target)
    assert error.value.field == "target"
    with pytest.raises(NotFound):
        await bans.remove(AWAY)
