"""Credit control while PostgreSQL or Redis is gone, silent or back again: declined at once, never wrong or free."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal

import asyncpg
import pytest
from redis.asyncio import Redis

from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason, Saved, Spooled
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.postgres.migrate import migrate
from tests.support.blocking import locked_accounts
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import HANG_SECONDS, until
from tests.support.world import CENT_A_SECOND, add_account, publish_deck

NEVER_SECONDS = 60.0  # the statement deadline of a test that must not wait for it; over HANG_SECONDS

RATES = {
    "49": CENT_A_SECOND,
    "4912": Rate(price_1="0.90", price_unit="minute", interval_1=60, interval_n=10),
    "7": Rate(price_1="0.002", interval_1=1, connect_fee="0.01"),
}
IS_RESERVED = "SELECT count(*) > 0 FROM reservations WHERE call_key LIKE '%lost%'"
NUMBERS = ("4930123456", "4912345678", "79161234567", "4999", "3312345")


@pytest.fixture
async def engine(private_servers) -> AsyncIterator[Engine]:
    """An engine on servers of its own, whose statement deadline nobody may wait for; account 1001 has 10 EUR."""
    await migrate(private_servers.database_url)
    async with engine_on(
        private_servers.database_url, private_servers.redis_url, database_timeout_seconds=NEVER_SECONDS
    ) as engine:
        await publish_deck(engine.office, rates=RATES)
        await add_account(engine.office, overdraft=None, postpaid=True)
        yield engine


async def until_allowed(engine: Engine, name: str) -> Allowed:
    """Ask until the database is back."""

    async def asked() -> Allowed | None:
        outcome = await engine.charging.prepare_call(prepare(name))
        if isinstance(outcome, Allowed):
            return outcome
        assert outcome.reason is DeclineReason.UNAVAILABLE
        return None

    return await until(asked)


async def test_without_postgresql_a_call_is_declined_unavailable_without_waiting_for_a_deadline(
    engine, private_servers
):
    await engine.charging.prepare_call(prepare("1"))
    await asyncio.to_thread(private_servers.postgres.kill)

    async with asyncio.timeout(HANG_SECONDS):
        declined = await engine.charging.prepare_call(prepare("2"))
        ended = await engine.charging.finish_call(finish("1", 10))
        unknown = await engine.charging.balance("1001")

    assert isinstance(declined, Declined)
    assert isinstance(ended, Spooled)  # kept on disk, to be charged later
    assert isinstance(unknown, Declined)
    assert {declined.reason, unknown.reason} == {DeclineReason.UNAVAILABLE}


async def test_the_engine_goes_on_by_itself_when_postgresql_is_back_and_no_call_is_lost(engine, private_servers):
    await engine.charging.prepare_call(prepare("1"))
    await asyncio.to_thread(private_servers.postgres.kill)
    assert isinstance(await engine.charging.finish_call(finish("1", 10)), Spooled)
    await asyncio.to_thread(private_servers.postgres.restart)

    await until_allowed(engine, "2")
    saved = await engine.charging.finish_call(finish("1", 10))

    assert isinstance(saved, Saved)
    assert saved.cost == Decimal("0.9")  # the first minute of RATES["4912"]
    assert await ledger_balanced(engine.office) == []


async def test_what_was_answered_before_postgresql_was_killed_is_there_afterwards(engine, private_servers):
    allowed: set[str] = set()
    saved: dict[str, Decimal] = {}

    async def calls(line: int) -> None:
        for n in range(10_000):
            name = f"{line}-{n}"
            if not isinstance(await engine.charging.prepare_call(prepare(name)), Allowed):
                return
            allowed.add(name)
            outcome = await engine.charging.finish_call(finish(name, 30))
            if not isinstance(outcome, Saved):
                return
            saved[name] = outcome.cost

    async def are_under_way() -> bool:
        return len(saved) >= 100

    lines = [asyncio.create_task(calls(line)) for line in range(20)]
    await until(are_under_way)
    await asyncio.to_thread(private_servers.postgres.kill)
    async with asyncio.timeout(HANG_SECONDS):
        await asyncio.gather(*lines)
    await asyncio.to_thread(private_servers.postgres.restart)
    await until_allowed(engine, "after")

    assert await ledger_balanced(engine.office) == []
    rows = await engine.office.fetch(
        "SELECT split_part(call_key, '/', 2), cost FROM cdrs WHERE state = 'settled'"
        " UNION ALL SELECT split_part(call_key, '/', 2), NULL FROM reservations"
    )
    kept = dict(rows)
    assert saved.items() <= kept.items()
    assert allowed <= kept.keys()


async def test_a_reservation_whose_answer_was_lost_is_freed_when_the_database_is_back(private_servers):
    await migrate(private_servers.database_url)
    async with (
        asyncio.timeout(HANG_SECONDS),
        TcpProxy("127.0.0.1", private_servers.postgres.port) as proxy,
        engine_on(proxy.url(private_servers.database_url), database_timeout_seconds=2) as engine,
        opened(private_servers.database_url) as direct,
    ):
        await publish_deck(engine.office)
        await add_account(engine.office, overdraft=None, postpaid=True)
        await until_allowed(engine, "before")

        async with locked_accounts(private_servers.database_url) as is_waited_for:
            asked = asyncio.create_task(engine.charging.prepare_call(prepare("lost")))
            await until(is_waited_for)
            proxy.silence()
        await until(lambda: direct.fetchval(IS_RESERVED))
        outcome = await asked
        proxy.speak()
        proxy.cut()
        await until(lambda: direct.fetchval(f"SELECT NOT ({IS_RESERVED})"))

        assert outcome.reason is DeclineReason.UNAVAILABLE
        assert await direct.fetchval("SELECT source FROM cdrs WHERE call_key LIKE '%lost%'") == "abandoned"


async def test_a_silent_postgresql_costs_its_deadline_once_and_then_nothing(private_servers):
    await migrate(private_servers.database_url)
    async with (
        TcpProxy("127.0.0.1", private_servers.postgres.port) as proxy,
        engine_on(proxy.url(private_servers.database_url), database_timeout_seconds=0.5) as engine,
    ):
        await publish_deck(engine.office)
        await add_account(engine.office, overdraft=None, postpaid=True)
        await until_allowed(engine, "before")
        proxy.silence()
        connections = proxy.connections_made
        try:
            async with asyncio.timeout(HANG_SECONDS):
                first = await engine.charging.prepare_call(prepare("1"))
                assert engine.calls_door.down is not None
                rest = [await engine.charging.prepare_call(prepare(str(n))) for n in range(1_000)]
        finally:
            proxy.speak()

        # a thousand deadlines would be over eight minutes, and each would have opened a connection
        assert {outcome.reason for outcome in (first, *rest)} == {DeclineReason.UNAVAILABLE}
        assert proxy.connections_made - connections < 10


async def answers(engine: Engine, turn: str) -> list[object]:
    """What the engine answers about every number of NUMBERS, without the names of the calls."""
    found: list[object] = []
    for n, number in enumerate(NUMBERS):
        outcome = await engine.charging.prepare_call(prepare(f"{turn}-{n}", number))
        if isinstance(outcome, Allowed):
            saved = await engine.charging.finish_call(finish(f"{turn}-{n}", 61, number))
            found.append((outcome.direction, outcome.max_seconds, outcome.reserved, saved.cost))
        else:
            found.append(outcome.reason)
    return found


async def test_redis_flushed_killed_and_back_gives_the_same_answers(private_servers):
    await migrate(private_servers.database_url)
    async with (
        asyncio.timeout(HANG_SECONDS),
        # nothing is kept in memory, so that each answer has to come from Redis or from behind it
        engine_on(private_servers.database_url, private_servers.redis_url, rate_cache_entries=0) as engine,
    ):
        await publish_deck(engine.office, rates=RATES)
        await add_account(engine.office, overdraft=None, postpaid=True)
        expected = await answers(engine, "cold")

        assert await answers(engine, "warm") == expected
        async with Redis.from_url(private_servers.redis_url) as client:
            assert await client.dbsize() > 0  # the answers above did come from it
            await client.flushall()
        assert await answers(engine, "flushed") == expected
        await asyncio.to_thread(private_servers.valkey.kill)
        assert await answers(engine, "killed") == expected
        await asyncio.to_thread(private_servers.valkey.restart)

        async def redis_is_back() -> bool:
            return engine.cache.down is None

        await until(redis_is_back)
        assert await answers(engine, "back") == expected
        assert await ledger_balanced(engine.office) == []


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection past the engine."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()
