"""An open transaction holds the row of one account: that account's calls wait or are declined, and no others."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator

import asyncpg
import pytest

from rating_engine.domain.errors import AccountLocked
from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason, Saved, Spooled
from rating_engine.domain.watching import OpenReservation
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.open_calls import open_calls_of_channels
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on, set_watched
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck

LOCKED = "1000"
OTHERS = [str(number) for number in range(1001, 1013)]
DEADLINE = 2.0


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url, database_timeout_seconds=DEADLINE, reservation_mode="quota") as engine:
        set_watched(engine)
        await publish_deck(engine.office)
        for login in (LOCKED, *OTHERS):
            await add_account(engine.office, login, balance="1000")
        yield engine
        assert await ledger_balanced(engine.office) == []


class Holder:
    """A session of somebody else, with a transaction left open."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    @contextlib.asynccontextmanager
    async def holding(self, statement: str) -> AsyncIterator[None]:
        transaction = self._connection.transaction()
        await transaction.start()
        try:
            await self._connection.execute(statement)
            yield
        finally:
            await transaction.rollback()

    def account(self) -> contextlib.AbstractAsyncContextManager[None]:
        return self.holding(
            "SELECT FROM accounts JOIN subscribers USING (bucket, account_id) "
            f"WHERE login = '{LOCKED}' FOR UPDATE OF accounts"
        )


@pytest.fixture
async def somebody(database_url: str) -> AsyncIterator[Holder]:
    connection = await asyncpg.connect(database_url)
    yield Holder(connection)
    await connection.close()


async def calls(engine: Engine, name: str, logins: list[str]) -> Counter[str]:
    """A call of each, prepared and finished: how often each answer came, by whether it is the locked account's."""
    said: Counter[str] = Counter()

    async def call(login: str) -> None:
        who = "locked" if login == LOCKED else "others"
        outcome = await engine.charging.prepare_call(prepare(f"{name}-{login}", login=login))
        if isinstance(outcome, Declined):
            said[f"{who} {outcome.reason.value}"] += 1
            return
        ended = await engine.charging.finish_call(finish(f"{name}-{login}", 5, login=login))
        said[f"{who} {type(ended).__name__}"] += 1

    await asyncio.gather(*map(call, logins))
    return said


async def running(engine: Engine, login: str) -> OpenReservation:
    """A call that is open."""
    assert isinstance(await engine.charging.prepare_call(prepare(f"run-{login}", login=login)), Allowed)
    (call,) = await open_calls_of_channels(engine.office, "test", [f"run-{login}"], buckets=1)
    return call


async def test_only_calls_of_the_account_that_is_held_are_declined_and_they_are_told_why(engine, somebody):
    async with somebody.account():
        locked = asyncio.create_task(calls(engine, "held", [LOCKED]))
        for wave in range(10):
            assert await calls(engine, f"wave-{wave}", OTHERS) == {"others Saved": len(OTHERS)}
        assert await locked == {"locked account_locked": 1}
        assert await calls(engine, "together", [LOCKED, *OTHERS]) == {
            "locked account_locked": 1,
            "others Saved": len(OTHERS),
        }

    assert engine.calls_door.down is None
    assert await calls(engine, "after", [LOCKED, *OTHERS]) == {"locked Saved": 1, "others Saved": len(OTHERS)}


async def test_a_call_waits_for_a_transaction_that_ends_in_time(engine, somebody):
    async with somebody.account():
        waiting = asyncio.create_task(engine.charging.prepare_call(prepare("1", login=LOCKED)))
        await until(lambda: known(engine))
    assert isinstance(await waiting, Allowed)


async def test_a_finish_of_the_account_is_kept_and_charged_once_it_is_free(engine, somebody):
    await running(engine, LOCKED)
    await running(engine, OTHERS[0])
    async with somebody.account():
        ended = await asyncio.gather(
            *(engine.charging.finish_call(finish(f"run-{login}", 5, login=login)) for login in (LOCKED, OTHERS[0]))
        )
        assert [type(outcome) for outcome in ended] == [Spooled, Saved]

    async def charged() -> bool:
        return bool(await engine.office.fetchval("SELECT count(*) = 2 FROM cdrs WHERE cost = 0.05"))

    await until(charged)


async def test_a_call_of_the_account_is_not_lengthened_and_others_are(engine, somebody):
    held, other = await running(engine, LOCKED), await running(engine, OTHERS[0])
    async with somebody.account():
        outcomes = await asyncio.gather(
            *(engine.lasting.extend_call(call, talked_seconds=60) for call in (held, other)), return_exceptions=True
        )
        assert isinstance(outcomes[0], AccountLocked)
        assert outcomes[1].max_seconds > other.quota

    assert (await engine.lasting.extend_call(held, talked_seconds=60)).max_seconds > 60


async def test_calls_wait_for_a_table_that_is_held_and_are_declined_as_too_many_not_as_a_database_away(
    engine, somebody
):
    async with somebody.holding("LOCK TABLE accounts IN ACCESS EXCLUSIVE MODE"):
        outcome = await engine.charging.prepare_call(prepare("1"))

    assert isinstance(outcome, Declined)
    assert outcome.reason in (DeclineReason.OVERLOADED, DeclineReason.UNAVAILABLE)
    assert engine.calls_door.down is None


async def test_what_is_beyond_the_limit_of_who_may_wait_is_told_at_once(database_url, somebody):
    async with engine_on(database_url, ledger_queue_max=1) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, LOCKED, balance="1000")
        async with somebody.account():
            first = asyncio.create_task(engine.charging.prepare_call(prepare("1", login=LOCKED)))
            await until(lambda: known(engine))
            outcome = await engine.charging.prepare_call(prepare("2", login=LOCKED))
            assert outcome.reason is DeclineReason.ACCOUNT_LOCKED
            assert not first.done()
        assert isinstance(await first, Allowed)


async def known(engine: Engine) -> bool:
    """Whether the engine has found an account that is held."""
    return bool(engine.ledger._locked._locked)


async def test_calls_of_others_expire_meanwhile(engine, somebody):
    for login in (LOCKED, *OTHERS[:2]):
        assert isinstance(await engine.charging.prepare_call(prepare(f"gone-{login}", login=login)), Allowed)
    await engine.office.fetch("UPDATE open_calls SET expires_at = now()")
    async with somebody.account():
        assert await engine.ledger.expire(0) == 2
        assert await engine.ledger.expire(0) == 0
    assert await engine.ledger.expire(0) == 1
