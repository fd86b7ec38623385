"""Requests are counted by all engines together in Redis, and by each for itself while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import redis.asyncio

from rating_engine.storage.parties.rate_counters import BoundedMemory, RateCounters
from tests.support.tcp_proxy import TcpProxy

LIMIT = 10


@pytest.fixture
async def two(redis_url: str) -> AsyncIterator[tuple[RateCounters, RateCounters]]:
    one, other = RateCounters(redis_url, timeout_seconds=2), RateCounters(redis_url, timeout_seconds=2)
    yield one, other
    await one.close()
    await other.close()


async def let_through(*counters: RateCounters, name: str = "key a", times: int = 3 * LIMIT) -> int:
    waits = [await counters[n % len(counters)].take(name, LIMIT) for n in range(times)]
    assert all(0 <= wait <= 60 for wait in waits)
    return waits.count(0.0)


async def test_two_engines_let_through_as_many_as_one(two):
    assert await let_through(*two) == LIMIT
    assert await let_through(*two, name="key b") == LIMIT


async def test_so_do_they_when_all_ask_at_once(two):
    waits = await asyncio.gather(*(each.take("key a", LIMIT, 2) for each in two * 20))
    assert waits.count(0.0) == LIMIT // 2


async def test_what_is_in_redis_ends_by_itself_and_names_nobody(two, redis_url):
    await let_through(*two, name="address 192.0.2.7")
    client = redis.asyncio.Redis.from_url(redis_url)
    keys = await client.keys("*")
    assert len(keys) == 1
    assert b"192.0.2.7" not in keys[0]
    assert 0 < await client.ttl(keys[0]) <= 60
    await client.aclose()


async def test_without_redis_each_counts_for_itself_at_once_and_together_again_when_it_is_back(redis_url):
    async with TcpProxy("127.0.0.1", int(redis_url.rpartition(":")[2].partition("/")[0])) as proxy:
        counters, other = (RateCounters(proxy.url(redis_url), timeout_seconds=2) for _ in range(2))
        assert await let_through(counters, times=4) == 4
        await proxy.refuse()
        proxy.cut()
        assert await let_through(counters) == LIMIT
        assert await let_through(other) == LIMIT
        assert not counters.is_shared

        await counters.turn()
        assert not counters.is_shared
        await proxy.accept()
        await counters.turn()
        assert counters.is_shared
        assert await let_through(counters) == LIMIT - 4
        await counters.close()
        await other.close()


async def test_a_redis_that_says_nothing_costs_one_request_its_deadline(redis_url):
    async with TcpProxy("127.0.0.1", int(redis_url.rpartition(":")[2].partition("/")[0])) as proxy:
        counters = RateCounters(proxy.url(redis_url), timeout_seconds=0.2)
        proxy.silence()
        assert await let_through(counters) == LIMIT
        assert not counters.is_shared
        await counters.close()


async def test_in_memory_there_are_never_more_counters_than_may_be():
    memory = BoundedMemory(most=100)
    for number in range(1_000):
        await memory.acquire_entry(str(number), LIMIT, 60)
    assert await memory.reset() == 100


async def test_a_window_in_memory_moves():
    now = [0.0]
    memory = BoundedMemory(now=lambda: now[0])

    async def ask() -> bool:
        return await memory.acquire_entry("a", 2, 60)

    assert [await ask() for _ in range(3)] == [True, True, False]
    now[0] = 59.0
    assert not await ask()
    assert await memory.get_moving_window("a", 2, 60) == (0.0, 2)
    now[0] = 61.0
    assert [await ask() for _ in range(3)] == [True, True, False]
