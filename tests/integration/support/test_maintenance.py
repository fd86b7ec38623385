"""What runs by itself: each step by one engine at a time, and none held up by another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from rating_engine.domain.errors import NotAllowed
from rating_engine.domain.party import Level
from rating_engine.domain.principal import ENGINE, OPERATOR, Principal
from rating_engine.services.maintenance import Maintenance, StepOutcome
from rating_engine.storage.postgres.pool import Database

ANNA = Principal("anna", Level.USER, "narayana", party_id=7, realm=7)


@pytest.fixture
async def databases(database_url: str) -> AsyncIterator[tuple[Database, Database]]:
    """Of two engines."""
    databases = Database(database_url), Database(database_url)
    for each in databases:
        await each.open()
    yield databases
    for each in databases:
        await each.close()


async def test_a_step_is_done_by_one_engine_at_a_time_and_another_step_meanwhile(databases):
    began, end = asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def slow() -> None:
        done.append("slow")
        began.set()
        await end.wait()

    async def quick() -> None:
        done.append("quick")

    one, other = (Maintenance(each, ENGINE, {"slow": slow, "quick": quick}) for each in databases)
    running = asyncio.create_task(one.run("slow"))
    await began.wait()

    assert await other.run() == {"slow": StepOutcome.RUNNING, "quick": StepOutcome.DONE}
    end.set()
    assert await running == {"slow": StepOutcome.DONE}
    assert await other.run("slow") == {"slow": StepOutcome.DONE}
    assert done == ["slow", "quick", "slow"]


async def test_a_step_that_fails_keeps_no_other_from_its_turn(databases):
    async def broken() -> None:
        raise ValueError

    async def well() -> None:
        return

    ran = await Maintenance(databases[0], OPERATOR, {"broken": broken, "well": well}).run()

    assert ran == {"broken": StepOutcome.FAILED, "well": StepOutcome.DONE}


async def test_only_a_key_for_maintenance_runs_it(databases):
    for principal in (ANNA, Principal("boss", Level.ROOT_ADMIN, "narayana", key_level=Level.SERVER)):
        with pytest.raises(NotAllowed):
            await Maintenance(databases[0], principal, {}).run()
    keyed = Principal("anna", Level.USER, "narayana", party_id=7, realm=7, key_level=Level.MAINTENANCE)
    assert await Maintenance(databases[0], keyed, {}).run() == {}
