"""The leader at work: answers written down at once, exchanges said to be watched, calls taken care of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace

import asyncpg
import pytest
from structlog.testing import capture_logs

from rating_engine.domain.outcomes import Allowed, CallKey
from rating_engine.engine.engine import Engine
from rating_engine.services.calls.unwatched import UnwatchedCalls
from rating_engine.services.watch.watched_exchanges import WatchedExchanges
from rating_engine.services.watch.watching import Watch
from rating_engine.storage.calls.exchange_watch import read_watched, say_watched, unwatched_exchanges
from rating_engine.telemetry.metrics import Metrics
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on, set_watched
from tests.support.scripted_exchange import ScriptedExchange
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck


@dataclass
class World:
    """An engine that leads over one exchange, whose word is a test's."""

    engine: Engine
    exchange: ScriptedExchange
    url: str

    async def watched(self) -> bool:
        return "test" in await read_watched(self.engine.office)

    async def answered_at(self) -> object:
        return await self.engine.office.fetchval("SELECT answered_at FROM reservations")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with engine_on(database_url, reservation_mode="quota", quota_seconds=10) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10")
        exchange = ScriptedExchange()
        watch = Watch(
            lambda: [exchange],
            engine.calls_door,
            engine.office,
            engine.lasting,
            observer=Metrics(),
            buckets=1,
            interval_seconds=3600,
            grace_seconds=3600,
        )
        leading = asyncio.create_task(watch.run())
        yield World(engine, exchange, database_url)
        leading.cancel()
        await asyncio.wait([leading])


async def test_an_exchange_is_said_to_be_watched_while_it_is(world):
    await until(world.watched)
    world.exchange.session = 0

    async def unwatched() -> bool:
        return not await world.watched()

    await until(unwatched)
    world.exchange.session = 2
    await until(world.watched)


async def test_an_exchange_whose_calls_could_not_be_compared_is_not_watched(world):
    await until(world.watched)
    world.exchange.unreachable = True
    world.exchange.session = 2

    async def unwatched() -> bool:
        return not await world.watched()

    await until(unwatched)


async def test_an_answer_is_written_down_and_its_call_taken_care_of(world):
    set_watched(world.engine)
    outcome = await world.engine.charging.prepare_call(prepare("1"))
    assert isinstance(outcome, Allowed)
    assert outcome.quota
    world.exchange.answers.append(world.exchange.talk("1", seconds=2))
    await until(world.answered_at)

    async def is_lengthened() -> bool:
        return "SIP/trunk-1" in world.exchange.limits

    await until(is_lengthened)


async def test_an_answer_is_written_down_though_the_call_was_in_use_at_first(world):
    await world.engine.charging.prepare_call(prepare("1"))
    connection = await asyncpg.connect(world.url)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("SELECT FROM reservations FOR UPDATE")
    world.exchange.answers.append(world.exchange.talk("1", seconds=2))

    async def was_taken() -> bool:
        return not world.exchange.answers

    await until(was_taken)
    await transaction.rollback()
    await connection.close()
    await until(world.answered_at)


async def test_an_answer_belongs_to_the_latest_attempt_of_its_channel(world):
    await world.engine.office.fetch("INSERT INTO routes (name, position) VALUES ('first', 1), ('second', 2)")
    await world.engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
    for attempt in (1, 2):
        outcome = await world.engine.charging.prepare_call(prepare("1", attempt=attempt))
        assert isinstance(outcome, Allowed)
    world.exchange.answers.append(world.exchange.talk("1", seconds=2))

    async def answered() -> list[str]:
        rows = await world.engine.office.fetch("SELECT call_key FROM reservations WHERE answered_at IS NOT NULL")
        return [row[0] for row in rows]

    assert await until(answered) == [str(key_of("1", 2))]


async def test_answers_of_calls_that_are_not_ours_are_passed_over(world):
    await until(world.watched)
    world.exchange.answers.append(world.exchange.talk("somebody else's", seconds=2))
    await world.engine.charging.prepare_call(prepare("1"))
    world.exchange.answers.append(world.exchange.talk("1", seconds=2))
    await until(world.answered_at)


async def test_calls_that_were_running_when_this_process_came_to_lead_are_taken_care_of(world):
    set_watched(world.engine)
    await until(world.watched)
    await world.engine.charging.prepare_call(prepare("1"))
    await world.engine.office.fetch("UPDATE reservations SET prepared_at = now() - interval '1 minute'")
    world.exchange.talk("1", seconds=5)
    world.exchange.session = 2  # as after a lost connection: the answer was not heard

    async def is_lengthened() -> bool:
        return "SIP/trunk-1" in world.exchange.limits

    await until(is_lengthened)


async def test_a_watch_that_ends_leaves_the_exchanges_limits_alone(world):
    set_watched(world.engine)
    await world.engine.charging.prepare_call(prepare("1"))
    world.exchange.answers.append(world.exchange.talk("1", seconds=2))
    await until(world.answered_at)
    assert world.exchange.hung_up == []
    await world.engine.charging.finish_call(finish("1", 3))


# -- what every engine knows of it ---------------------------------------------------------------------------------


async def test_what_is_said_is_true_for_as_long_as_it_was_said(world):
    database = world.engine.office
    await say_watched(database, ["a", "b"], 60)
    await say_watched(database, ["b"], 0)
    watched = await read_watched(database)
    assert 50 < watched["a"] <= 60
    assert "b" not in watched


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + seconds)
    for module in ("watch.watched_exchanges", "calls.unwatched"):
        monkeypatch.setattr(f"rating_engine.services.{module}.time", clock)


async def test_a_copy_of_it_runs_out_by_itself(monkeypatch):
    async def known() -> dict[str, float]:
        return {"a": 5.0}

    watched = WatchedExchanges(known)
    assert not watched.is_watched("a")
    await watched.refresh()
    assert (watched.is_watched("a"), watched.is_watched("b")) == (True, False)
    later(monkeypatch, 6)
    assert not watched.is_watched("a")


async def test_an_exchange_from_which_accounts_in_quota_mode_call_unwatched_is_found(world):
    database = world.engine.office
    await world.engine.charging.prepare_call(prepare("1"))
    await until(world.watched)
    assert await unwatched_exchanges(database, quota_by_default=True) == []
    world.exchange.session = 0

    async def found() -> list[tuple[str, int]]:
        return await unwatched_exchanges(database, quota_by_default=True)

    assert await until(found) == [("test", 1)]
    assert await unwatched_exchanges(database, quota_by_default=False) == []
    await database.fetch("UPDATE accounts SET quota = true")
    assert await unwatched_exchanges(database, quota_by_default=False) == [("test", 1)]


def test_a_thousand_calls_without_a_watch_say_so_once_and_how_many_they_were(monkeypatch):

    calls = UnwatchedCalls()
    with capture_logs() as logs:
        for _ in range(1_000):
            calls.count("pbx1", "1001")
        assert len(logs) == 1
        later(monkeypatch, 61)
        calls.count("pbx1", "1001")
    assert [log["calls"] for log in logs] == [1, 1_000]
    assert {log["event"] for log in logs} == {"quota_without_watch"}


async def test_without_a_watch_a_call_reserves_a_share_of_what_there_is(world):
    world.exchange.session = 0
    world.exchange.unreachable = True
    set_watched(world.engine, False)
    outcome = await world.engine.charging.prepare_call(prepare("1"))
    assert isinstance(outcome, Allowed)
    assert (outcome.quota, outcome.max_seconds) == (False, 500)
    assert outcome.call_key == CallKey("test", "1")
