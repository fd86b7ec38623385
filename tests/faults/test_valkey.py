"""Valkey killed, restarted and flushed: never noticed by a caller."""

from __future__ import annotations

import asyncio
import random

import pytest
from redis.asyncio import Redis

from tests.faults.load import NONE, UNAVAILABLE
from tests.faults.stage import Stage, stage_on
from tests.support.waiting import until

AT_RANDOM_REQUESTS = 200


async def flush(stage: Stage) -> None:
    """Empty it as soon as it holds something."""
    async with Redis.from_url(stage.servers.redis_url) as client:
        await until(client.dbsize)
        await client.flushall()


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=pytest.mark.soak)])
async def test_valkey_killed_restarted_and_flushed_declines_no_call(servers, url, tmp_path, seed, table, times):
    moments = random.Random(seed)
    # No rate is kept in memory, so that every call asks Valkey.
    async with stage_on(servers, url, tmp_path, seed, redis_url=servers.redis_url, rate_cache_entries=0) as stage:
        for _ in range(times):
            await stage.load.after(moments.randint(AT_RANDOM_REQUESTS // 2, AT_RANDOM_REQUESTS))
            stage.strike()
            await flush(stage)
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            stage.strike()
            await asyncio.to_thread(servers.valkey.kill)
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            await asyncio.to_thread(servers.valkey.start)
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("Valkey: flushed, kill -9", found))
    assert found.complaints() == []
    assert {heard.answer for heard in stage.load.heard}.isdisjoint({NONE, UNAVAILABLE})
