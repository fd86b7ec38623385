"""What runs by itself: each step by one engine at a time, and none held up by another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.adapters.exchange_rates_http import PublishedRates
from rating_engine.domain.errors import NotAllowed, Refused
from rating_engine.domain.party import Level
from rating_engine.domain.principal import ENGINE, OPERATOR, Principal
from rating_engine.services.maintenance import Maintenance, StepOutcome
from rating_engine.services.tariffs.rate_feed import RateFeed
from rating_engine.storage.postgres.pool import Database
from tests.support.gateway import gateway_on

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


async def test_however_many_ask_for_it_at_once_its_steps_find_a_connection(database_url):
    office = Database(database_url, pool_size=2, timeout_seconds=5.0)
    await office.open()

    async def asks() -> None:
        await asyncio.gather(*(office.fetchval("SELECT 1") for _ in range(3)))

    ran = await asyncio.gather(*(Maintenance(office, ENGINE, {"a": asks, "b": asks}).run() for _ in range(9)))
    await office.close()

    outcomes = [outcome for each in ran for outcome in each.values()]
    assert StepOutcome.FAILED not in outcomes
    assert StepOutcome.DONE in outcomes


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


async def test_published_rates_are_set_once_a_day_where_they_can_be_believed_and_nowhere_else(databases):
    """EUR/USD follows, EUR/RUB has jumped, EUR/CHF is ahead, EUR/GBP has none: nobody guesses."""
    now = datetime.now(UTC)
    office = databases[0]
    for pair, rate, begins in (("USD", "1.08", -2), ("RUB", "90", -2), ("CHF", "0.95", 2), ("JPY", "160", 0)):
        await office.fetch(
            "INSERT INTO exchange_rates VALUES ('EUR', $1, $2, $3)", pair, now + timedelta(days=begins), Decimal(rate)
        )
    async with gateway_on() as gateway:
        published = PublishedRates(f"http://127.0.0.1:{gateway.port}/latest?base={{from}}&symbols={{to}}", "rates.{to}")

        async def rates() -> list[tuple[str, Decimal]]:
            rows = await office.fetch("SELECT currency_to, rate FROM exchange_rates ORDER BY 1, effective_from")
            return [tuple(row) for row in rows]

        before = await rates()
        gateway.answer = b'{"rates": {"USD": 1.10000000004, "RUB": 190.5}}'
        feed = RateFeed(office, ENGINE, lambda: datetime.now(UTC), published.ask, jump_percent=10)
        with pytest.raises(Refused, match="is too far"):
            await feed.turn()
        assert await rates() == sorted([*before, ("USD", Decimal("1.1"))])
        assert sorted(gateway.asked) == ["/latest?base=EUR&symbols=RUB", "/latest?base=EUR&symbols=USD"]
        for answer in (b"{}", b'{"rates": {"RUB": null}}', b'{"rates": {"RUB": "NaN"}}', b'{"rates": {"RUB": -90}}',
                       b'{"rates": {"RUB": 0}}', b"[" * 100_000, b"<html>", b" " * 1_048_577):  # fmt: skip
            gateway.answer = answer
            with pytest.raises(Refused, match="EUR/RUB"):
                await feed.turn()
        gateway.answer, gateway.status = b'{"rates": {"RUB": 91}}', 302
        with pytest.raises(Refused, match="answered 302"):
            await feed.turn()
        gateway.status = 200
        feeds = [
            RateFeed(each, ENGINE, lambda: datetime.now(UTC), published.ask, jump_percent=10) for each in databases
        ]
        engines = [Maintenance(each, ENGINE, {"rates": feed.turn}) for each, feed in zip(databases, feeds, strict=True)]
        await asyncio.gather(*(each.run() for each in engines))
        assert await rates() == sorted([*before, ("USD", Decimal("1.1")), ("RUB", Decimal(91))])
    audited = await office.fetchval("SELECT count(*) FROM audit_log WHERE action = 'exchange_rate.set'")
    assert audited == 2
