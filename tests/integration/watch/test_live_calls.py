"""Calls that last: listed in pages with the seconds they have left, and hung up through the engine that leads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from rating_engine.domain.errors import NotFound, Unavailable
from rating_engine.domain.live_call import LiveCallFilter, OrderOutcome
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.watching import LiveChannel
from rating_engine.engine.engine import Engine
from rating_engine.services.watch import live_calls, orders
from rating_engine.services.watch.live_calls import LiveCalls
from rating_engine.storage.calls.exchange_watch import say_watched
from rating_engine.storage.calls.open_calls import Sighting, note_seen
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.scripted_exchange import ScriptedExchange
from tests.support.world import add_account, publish_deck


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    """Three open calls of two logins; an account pays 60 seconds of one at a time."""
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        for login in ("1001", "1002"):
            await add_account(engine.office, login, balance="100")
        await engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
        for name, login in (("a", "1001"), ("b", "1002"), ("c", "1001")):
            await engine.charging.prepare_call(prepare(name, login=login))
        yield engine


@pytest.fixture
def calls(engine: Engine) -> LiveCalls:
    return LiveCalls(engine.office, OPERATOR)


async def names(calls: LiveCalls, **wanted: str) -> list[str]:
    page = await calls.page(LiveCallFilter(**wanted), Cursor())
    return [call.call_key.uniqueid for call in page.items]


async def test_the_longest_open_comes_first_and_a_cursor_goes_on(calls):
    first = await calls.page(LiveCallFilter(), Cursor(2))
    rest = await calls.page(LiveCallFilter(), Cursor(2, first.next))
    assert [call.call_key.uniqueid for call in (*first.items, *rest.items)] == ["a", "b", "c"]
    assert rest.next is None


async def test_they_are_found_by_login_account_and_exchange(calls):
    assert await names(calls, login="1001") == ["a", "c"]
    assert await names(calls, account_of="1002") == ["b"]
    assert await names(calls, exchange="test") == ["a", "b", "c"]
    assert await names(calls, exchange="other") == []
    with pytest.raises(NotFound, match="'nobody'"):
        await names(calls, login="nobody")


async def test_seconds_left_are_known_once_the_exchange_has_seen_the_answer(calls, engine):
    now = datetime.now(UTC)
    await note_seen(engine.office, [Sighting(0, key_of("a"), now, now)])
    by_name = {call.call_key.uniqueid: call for call in (await calls.page(LiveCallFilter(), Cursor())).items}
    assert by_name["b"].seconds_left is None
    left = by_name["a"].seconds_left
    assert left is not None
    assert 0 < left <= 60


async def hung_up(calls: LiveCalls, engine: Engine, exchange: ScriptedExchange, name: str) -> OrderOutcome:
    """Hang up while the engine that leads carries out what is asked of it."""
    await say_watched(engine.office, ["test"], 600)

    async def lead() -> None:
        while True:
            await orders.carry_out(engine.office, [exchange])
            await asyncio.sleep(0)

    leader = asyncio.create_task(lead())
    try:
        return await calls.hang_up(key_of(name))
    finally:
        leader.cancel()


async def test_a_call_is_hung_up_on_the_channel_that_the_exchange_knows(calls, engine):
    exchange = ScriptedExchange()
    exchange.talk("a")
    assert await hung_up(calls, engine, exchange, "a") is OrderOutcome.DONE
    assert exchange.hung_up == ["SIP/a"]
    row = (await engine.office.fetch("SELECT party, action, subject FROM audit_log WHERE action = 'call.hang_up'"))[0]
    assert tuple(row) == ("operator", "call.hang_up", "test/a/1")


async def test_a_call_from_before_the_connection_is_found_in_the_list_of_channels(calls, engine):
    exchange = ScriptedExchange(channels=[LiveChannel("a", "PJSIP/a-1", "")])
    assert await hung_up(calls, engine, exchange, "a") is OrderOutcome.DONE
    assert exchange.hung_up == ["PJSIP/a-1"]


async def test_a_channel_that_is_gone_needs_no_hangup(calls, engine):
    assert await hung_up(calls, engine, ScriptedExchange(), "a") is OrderOutcome.ALREADY_ENDED


async def test_an_exchange_that_does_not_answer_is_said(calls, engine):
    exchange = ScriptedExchange(unreachable=True)
    exchange.talk("a")
    with pytest.raises(Unavailable, match="did not answer in time"):
        await hung_up(calls, engine, exchange, "a")


async def test_an_order_that_nobody_took_in_time_is_never_carried_out(calls, engine, monkeypatch):
    monkeypatch.setattr(live_calls, "ORDER_SECONDS", orders.ASK_SECONDS)
    await say_watched(engine.office, ["test"], 600)
    with pytest.raises(Unavailable):
        await calls.hang_up(key_of("a"))
    await engine.office.fetch("UPDATE exchange_orders SET expires_at = now()")
    exchange = ScriptedExchange()
    exchange.talk("a")
    await orders.carry_out(engine.office, [exchange])
    assert exchange.hung_up == []


async def test_only_an_open_call_of_a_watched_exchange_can_be_hung_up(calls, engine):
    with pytest.raises(Unavailable, match="not followed over AMI"):
        await calls.hang_up(key_of("a"))
    await engine.charging.finish_call(finish("a", 1))
    with pytest.raises(NotFound, match="no call test/a/1 is open"):
        await calls.hang_up(key_of("a"))
