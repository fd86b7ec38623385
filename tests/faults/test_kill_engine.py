"""kill -9 of the engine at any moment: what it said is true, what it did not say can be asked again."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.faults.stage import stage_on

AT_RANDOM_REQUESTS = 150  # answered between two kills, at most
AT_RANDOM_SECONDS = 0.02  # and then somewhere within a request


@pytest.mark.parametrize("times", [5, pytest.param(30, marks=pytest.mark.soak)])
async def test_an_engine_killed_at_random_moments_charges_every_call_once(servers, url, tmp_path, seed, table, times):
    moments = random.Random(seed)
    async with stage_on(servers, url, tmp_path, seed) as stage:
        for _ in range(times):
            await stage.load.after(moments.randint(1, AT_RANDOM_REQUESTS))
            await asyncio.sleep(moments.random() * AT_RANDOM_SECONDS)
            stage.strike()
            await asyncio.to_thread(stage.engine.kill)
            await stage.engine.start()
        await stage.load.after(AT_RANDOM_REQUESTS)
        found = await stage.close_books()

    table.add(stage.row("engine: kill -9", found))
    assert found.complaints() == []
    assert stage.on_the_wire["prepare"] > 0
    assert stage.on_the_wire["finish"] > 0
