"""Reservations that nobody heard of are taken back, and only those; what is over or has grown is repeated so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason
from rating_engine.domain.reservation import ReserveOutcome, SettleOutcome, SettleRequest, SettleSource
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on
from tests.support.world import (
    CENT_A_SECOND,
    Deck,
    add_account,
    details_of,
    publish_deck,
    reserve_request,
    settle_request,
)


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    async with engine_on(database_url, redis_url) as engine:
        yield engine
        assert await ledger_balanced(engine.office) == []


@pytest.fixture
async def deck(engine: Engine) -> Deck:
    return await publish_deck(engine.office)


@pytest.fixture
async def subscriber(engine: Engine, deck: Deck) -> Subscriber:
    return await add_account(engine.office, balance="10")


def abandonment(subscriber: Subscriber, uniqueid: str, claim: int) -> SettleRequest:
    nothing = settle_request(subscriber, uniqueid, seconds=0, cost="0")
    return replace(nothing, source=SettleSource.ABANDONED, claim=claim)


async def reserved(engine: Engine) -> Decimal:
    return await engine.office.fetchval("SELECT reserved FROM accounts")


async def test_the_request_that_made_a_reservation_may_take_it_back(engine, deck, subscriber):
    await engine.ledger.reserve(replace(reserve_request(subscriber, deck, "1"), claim=1))

    assert (await engine.ledger.settle(abandonment(subscriber, "1", 1))).outcome is SettleOutcome.SETTLED
    assert (await engine.ledger.settle(abandonment(subscriber, "1", 1))).outcome is SettleOutcome.REPEATED
    assert await reserved(engine) == 0


async def test_a_repetition_that_was_lost_takes_nothing_from_the_call_that_runs(engine, deck, subscriber):
    await engine.ledger.reserve(replace(reserve_request(subscriber, deck, "1", maximum="4"), claim=1))

    assert (await engine.ledger.settle(abandonment(subscriber, "1", 2))).outcome is SettleOutcome.STILL_OPEN
    assert await reserved(engine) == 4


async def test_a_reservation_is_taken_back_when_all_that_were_told_of_it_have_gone_unheard(engine, deck, subscriber):
    request = reserve_request(subscriber, deck, "1", maximum="4")
    await engine.ledger.reserve(replace(request, claim=1))
    assert (await engine.ledger.reserve(replace(request, claim=2))).outcome is ReserveOutcome.EXISTS

    for claim in (1, 1, 3):
        assert (await engine.ledger.settle(abandonment(subscriber, "1", claim))).outcome is SettleOutcome.STILL_OPEN
        assert await reserved(engine) == 4
    assert (await engine.ledger.settle(abandonment(subscriber, "1", 2))).outcome is SettleOutcome.SETTLED
    assert await reserved(engine) == 0


async def test_a_reservation_that_was_told_to_too_many_is_taken_back_by_none_of_them(engine, deck, subscriber):
    request = reserve_request(subscriber, deck, "1", maximum="4")
    for claim in range(40):
        await engine.ledger.reserve(replace(request, claim=claim))

    for claim in range(40):
        assert (await engine.ledger.settle(abandonment(subscriber, "1", claim))).outcome is SettleOutcome.STILL_OPEN
    assert await reserved(engine) == 4


async def test_an_exchange_that_left_and_asked_again_elsewhere_keeps_its_call(
    engine, deck, subscriber, database_url, redis_url
):
    await engine.charging.prepare_call(prepare("1"))
    async with engine_on(database_url, redis_url) as other:
        again = await other.charging.prepare_call(prepare("1"))
        await engine.charging.abandon_call(key_of("1"), "1001")

        assert isinstance(again, Allowed)
        assert await reserved(engine) == again.reserved == 10
        saved = await other.charging.finish_call(finish("1", 10))
        assert (saved.cost, saved.overrun) == (Decimal("0.1"), 0)


async def test_a_prepare_repeated_after_its_reservation_expired_is_declined_by_the_engine_that_allowed_it(
    engine, deck, subscriber
):
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    assert await engine.ledger.expire(0) == 1

    again = await engine.charging.prepare_call(prepare("1"))

    assert isinstance(again, Declined)
    assert again.reason is DeclineReason.ALREADY_FINISHED


async def test_a_prepare_repeated_after_an_extension_tells_all_the_seconds_that_are_paid_for(engine, deck, subscriber):
    await engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET granted = granted + 1, held = held + 1, cap_seconds = 900")
    await engine.office.fetch("UPDATE accounts SET reserved = reserved + 1")

    again = await engine.charging.prepare_call(prepare("1"))

    assert (again.max_seconds, again.reserved) == (160, Decimal("1.6"))


@pytest.mark.parametrize(
    ("seconds", "cost", "overrun"), [(600, "6", "2"), (500, "5", "1"), (300, "3", "0"), (700, "7", "3"), (0, "0", "0")]
)
async def test_an_overrun_that_was_assumed_is_corrected_by_the_finish_that_comes_late(
    engine, deck, subscriber, seconds, cost, overrun
):
    await engine.ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    assumed = replace(settle_request(subscriber, "1", seconds=600, cost="6"), source=SettleSource.RECONCILED)
    assert (await engine.ledger.settle(assumed)).overrun == 2

    await engine.ledger.settle(settle_request(subscriber, "1", seconds=seconds, cost=cost))

    assert await engine.office.fetchval("SELECT overrun FROM cdrs") == Decimal(overrun)
    assert await engine.office.fetchval("SELECT balance FROM accounts") == 10 - Decimal(cost)


async def test_what_was_lost_is_freed_although_two_set_about_it_at_once(engine, deck, subscriber, monkeypatch):
    reserve = engine.ledger.reserve

    async def answer_lost(request):
        await reserve(request)
        raise Unavailable("the answer was lost")

    monkeypatch.setattr(engine.ledger, "reserve", answer_lost)
    await engine.office.fetch("UPDATE subscribers SET max_seconds = 60")
    for n in range(3):
        assert isinstance(await engine.charging.prepare_call(prepare(str(n))), Declined)
    assert await reserved(engine) == Decimal("1.8")

    await asyncio.gather(engine.undo.turn(), engine.undo.turn())

    assert await reserved(engine) == 0


async def test_a_finish_that_was_rated_anew_is_told_to_look_again_where_its_call_was_prepared_meanwhile(
    engine, deck, subscriber
):
    await engine.ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    anew = settle_request(subscriber, "1", seconds=50, cost="5", details=details_of(subscriber, deck))

    assert (await engine.ledger.settle(anew)).outcome is SettleOutcome.UNKNOWN
    assert await reserved(engine) == 4
    saved = await engine.charging.finish_call(finish("1", 50))
    assert saved.cost == Decimal("0.5")


async def test_a_call_prepared_while_its_finish_is_under_way_is_charged_at_the_rate_it_was_allowed_at(
    engine, deck, subscriber, monkeypatch
):
    find = engine.ledger.find

    async def prepared_just_then(bucket, call_key):
        found = await find(bucket, call_key)
        if found is None:
            newest = await publish_deck(engine.office, rates={"49": CENT_A_SECOND})
            await engine.ledger.reserve(reserve_request(subscriber, newest, "1"))
            await publish_deck(engine.office, rates={"49": Rate(price_1="6", price_unit="minute")})
            engine.memory.rate_decks.forget_all()
        return found

    monkeypatch.setattr(engine.ledger, "find", prepared_just_then)

    saved = await engine.charging.finish_call(finish("1", 50))

    assert (saved.cost, saved.overrun) == (Decimal("0.5"), 0)
    assert await engine.office.fetchval("SELECT source FROM cdrs") == "finish"
