"""A finish of another account's call is a conflict, and touches nothing of that account or its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rating_engine.domain.outcomes import DeclineReason, NotSaved, Saved
from rating_engine.domain.reservation import PackageUse, SettleOutcome
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import Deck, add_account, publish_deck, settle_request

THIS_MONTH = datetime.now(UTC).date().replace(day=1)


@pytest.fixture
async def deck(database_url: str) -> AsyncIterator[Deck]:
    """A cent a second to 49."""
    async with engine_on(database_url) as engine:
        yield await publish_deck(engine.office)


@pytest.fixture
async def engine(database_url: str, redis_url: str, deck: Deck) -> AsyncIterator[Engine]:
    """Calls of ten minutes at most, and accounts 1001 and 1002 with 10 EUR each; the laws hold afterwards."""
    async with engine_on(database_url, redis_url, max_reserve_seconds=600) as engine:
        for login in ("1001", "1002"):
            await add_account(engine.office, login, balance="10")
        yield engine
        assert await ledger_balanced(engine.office) == []


async def add_package(engine: Engine, seconds: int) -> int:
    package_id: int = await engine.office.fetchval(
        "INSERT INTO packages (tariff_id, name, kind, seconds) SELECT tariff_id, 'minutes', 'free', $1 FROM tariffs "
        "WHERE name = 'retail' RETURNING package_id", seconds,
    )  # fmt: skip
    engine.memory.forget_all()
    return package_id


async def test_a_finish_of_somebody_elses_call_touches_none_of_its_packages(engine):
    """Their rows are under the lock of the other account, which this request does not hold."""
    await add_package(engine, 700)
    await engine.charging.prepare_call(prepare("1"))  # holds 600 of them
    async with engine.office.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM package_usage FOR UPDATE")  # as a settle of that account would
        stranger = await engine.charging.finish_call(finish("1", 700, login="1002"))

    assert stranger == NotSaved(DeclineReason.CONFLICT, stranger.detail)
    assert isinstance(await engine.charging.finish_call(finish("1", 700)), Saved)


async def test_a_finish_of_anothers_call_opens_no_package_of_anybody(engine):
    await engine.charging.prepare_call(prepare("1"))
    package_id = await add_package(engine, 300)
    mallory = await engine.memory.subscribers.find("1002")
    request = settle_request(mallory, "1", seconds=60, cost="0")

    answer = await engine.ledger.settle(
        replace(request, covered_seconds=60, packages=(PackageUse(package_id, THIS_MONTH, 60),))
    )

    assert answer.outcome is SettleOutcome.CONFLICT
    assert await engine.office.fetchval("SELECT count(*) FROM package_usage") == 0
    assert isinstance(await engine.charging.finish_call(finish("1", 5, login="1002")), NotSaved)
