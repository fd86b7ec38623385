"""Callbacks as orders: begun once and in time or never, both legs held first, and given back whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.callback import CallbackOutcome, NewCallback
from rating_engine.domain.errors import InvalidRequest, NotYours
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.party import Level
from rating_engine.domain.principal import OPERATOR, Principal
from rating_engine.engine.engine import Engine
from rating_engine.services.watch import callbacks
from rating_engine.services.watch.callbacks import CallbackOrders, Callbacks
from rating_engine.services.watch.orders import ASK_SECONDS
from rating_engine.storage.calls.exchange_watch import say_watched
from tests.support.calls import prepare
from tests.support.engines import engine_on
from tests.support.scripted_exchange import ScriptedExchange
from tests.support.world import add_account, publish_deck

WANTED = NewCallback("1001", "4912345", "4954321")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, "1001", balance="100")
        await engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
        yield engine


async def reserved(engine: Engine) -> Decimal:
    (row,) = await engine.office.fetch("SELECT reserved FROM accounts")
    return Decimal(row["reserved"])


async def begun(engine: Engine, exchange: ScriptedExchange, new: NewCallback = WANTED):
    """What is answered while the engine that leads follows this exchange."""
    await say_watched(engine.office, ["test"], 600)
    orders = CallbackOrders(engine.office, lambda: engine.charging)

    async def lead() -> None:
        while True:
            await orders.turn([exchange])
            await asyncio.sleep(0)

    leader = asyncio.create_task(lead())
    try:
        return await Callbacks(engine.office, OPERATOR).begin(new, engine.charging)
    finally:
        leader.cancel()
        await orders.close()


async def test_both_legs_are_held_before_the_exchange_is_asked(engine):
    exchange = ScriptedExchange()

    assert (await begun(engine, exchange)).outcome is CallbackOutcome.STARTED
    assert exchange.called_back == [("4912345", "4954321", "")]
    assert await reserved(engine) == Decimal("1.2")


@pytest.mark.parametrize(
    ("exchange", "outcome"),
    [
        (ScriptedExchange(calls_back=False), CallbackOutcome.REFUSED),
        (ScriptedExchange(unreachable=True), CallbackOutcome.NO_ANSWER),
    ],
)
async def test_what_the_exchange_does_not_begin_is_given_back(engine, exchange, outcome):
    assert (await begun(engine, exchange)).outcome is outcome
    assert await reserved(engine) == 0


@pytest.mark.breaks_books
async def test_money_for_one_leg_is_not_enough_and_is_free_again(engine):
    await engine.office.fetch("UPDATE accounts SET balance = 0.6")
    exchange = ScriptedExchange()

    callback = await begun(engine, exchange)

    assert (callback.outcome, callback.reason) == (CallbackOutcome.DECLINED, DeclineReason.INSUFFICIENT_FUNDS)
    assert exchange.called_back == []
    assert await reserved(engine) == 0


async def test_a_leg_that_the_exchange_asked_for_is_not_taken_from_it(engine):
    """No answer came, though the exchange had begun: its question came first, and its call goes on."""

    class Asking(ScriptedExchange):
        async def call_back(self, order, callerid):
            (second, number), _ = order.legs
            await engine.charging.prepare_call(prepare(second.uniqueid, number, callerid=callerid))
            return await super().call_back(order, callerid)

    assert (await begun(engine, Asking(unreachable=True))).outcome is CallbackOutcome.NO_ANSWER
    assert await reserved(engine) == Decimal("0.6")


async def test_an_order_that_nobody_took_in_time_is_never_carried_out(engine, monkeypatch):
    monkeypatch.setattr(callbacks, "ORDER_SECONDS", ASK_SECONDS)
    monkeypatch.setattr(callbacks, "BEGIN_SECONDS", 0.0)
    await say_watched(engine.office, ["test"], 600)
    assert (
        await Callbacks(engine.office, OPERATOR).begin(WANTED, engine.charging)
    ).outcome is CallbackOutcome.NO_ANSWER
    await engine.office.fetch("UPDATE callbacks SET expires_at = now() - interval '1 minute'")

    exchange, orders = ScriptedExchange(), CallbackOrders(engine.office, lambda: engine.charging)
    await orders.turn([exchange])
    await orders.close()

    assert exchange.called_back == []
    assert await engine.office.fetchval("SELECT outcome FROM callbacks") == "expired"


async def test_without_a_followed_exchange_it_is_refused_at_once(engine):
    assert (await Callbacks(engine.office, OPERATOR).begin(WANTED, engine.charging)).outcome is CallbackOutcome.REFUSED
    assert await engine.office.fetchval("SELECT count(*) FROM callbacks") == 0


async def test_one_name_is_one_callback(engine):
    exchange = ScriptedExchange()
    named = NewCallback("1001", "4912345", "4954321", key="web-1")

    assert [(await begun(engine, exchange, named)).outcome for _ in range(2)] == [CallbackOutcome.STARTED] * 2
    assert len(exchange.called_back) == 1


async def test_whose_caller_id_it_is_not_does_not_show_it(engine):
    await engine.office.fetch("UPDATE subscribers SET callerid = '+49 301'")
    user = Callbacks(engine.office, Principal("anna", Level.SIMPLE_USER, "narayana"))

    with pytest.raises(NotYours, match="yours"):
        await user.begin(NewCallback("1001", "4912345", "4954321", "49302"), engine.charging)
    assert (
        await user.begin(NewCallback("1001", "4912345", "4954321", "49301"), engine.charging)
    ).outcome is CallbackOutcome.REFUSED


@pytest.mark.parametrize(
    ("values", "field"),
    [
        (("1001", "4912345@phones", "49"), "first"),
        (("1001", "49", "49&50"), "second"),
        (("1001", "49", "*98"), "second"),
        (("1001", "49", "49", "a"), "callerid"),
        (("10,01", "49", "49"), "login"),
        (("1001", "49", "49", None, 7), "pitch"),
        (("1001", "4" * 33, "49"), "first"),
    ],
)
def test_nothing_but_digits_reaches_a_dialplan(values, field):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        NewCallback(*values)
