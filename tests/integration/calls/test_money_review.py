"""What could go wrong between the parts of the money path: strangers, clocks, lost counters, tariffs that went."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import Allowed, DeclineReason, NotSaved, Saved
from rating_engine.domain.reservation import ReserveOutcome
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import Deck, add_account, publish_deck, reserve_request, subscriber_by_login

FREE_START = Rate(price_1="0.60", price_unit="minute", connect_fee="0.05", free_seconds=10)


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


async def add_package(engine: Engine, seconds: int, *, waives_fees: bool = False) -> None:
    await engine.office.fetch(
        "INSERT INTO packages (tariff_id, name, kind, seconds, waives_fees) "
        "SELECT tariff_id, 'minutes', 'free', $1, $2 FROM tariffs WHERE name = 'retail'",
        seconds, waives_fees,
    )  # fmt: skip
    engine.memory.forget_all()


async def add_route(engine: Engine, column: str, limit: int) -> None:
    await engine.office.fetch(f"INSERT INTO routes (name, position, {column}) VALUES ('only', 1, $1)", limit)
    engine.memory.forget_all()


async def test_a_finish_of_somebody_elses_call_touches_none_of_its_packages(engine):
    """Their rows are under the lock of the other account, which this request does not hold."""
    await add_package(engine, 700)
    await engine.charging.prepare_call(prepare("1"))  # holds 600 of them
    async with engine.office.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM package_usage FOR UPDATE")  # as a settle of that account would
        stranger = await engine.charging.finish_call(finish("1", 700, login="1002"))

    assert stranger == NotSaved(DeclineReason.CONFLICT, stranger.detail)
    assert isinstance(await engine.charging.finish_call(finish("1", 700)), Saved)


async def test_a_plan_from_a_tariff_that_is_gone_is_stale_though_the_other_tariffs_are_as_they_were(engine, deck):
    caller = await subscriber_by_login(engine.office, "1001")
    request = reserve_request(caller, deck, "1")

    gone = await engine.ledger.reserve(replace(request, tariffs=(*request.tariffs, (deck.tariff_id + 1_000, 1))))

    assert gone.outcome is ReserveOutcome.STALE


async def test_a_clock_that_was_ahead_does_not_close_a_route_that_was_full_in_a_second_of_the_future(engine):
    await add_route(engine, "max_calls_per_second", 1)
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE route_load SET started_in = started_in + interval '1 hour'")

    assert isinstance(await engine.charging.prepare_call(prepare("2")), Allowed)


async def test_a_call_is_charged_though_the_counter_of_its_route_was_lost(engine):
    await add_route(engine, "max_calls", 5)
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE route_load SET open_calls = 0")  # as a mend does that a call overtakes

    assert isinstance(await engine.charging.finish_call(finish("1", 60)), Saved)


@pytest.mark.parametrize("prepared", [True, False])
async def test_fees_that_a_package_waives_are_waived_whenever_the_end_is_heard(engine, prepared):
    """Inside the free seconds of a rate nothing is billed, and a package that has seconds left covers all of that."""
    await publish_deck(engine.office, rates={"49": FREE_START})
    await add_package(engine, 300, waives_fees=True)
    if prepared:
        await engine.charging.prepare_call(prepare("1"))

    assert (await engine.charging.finish_call(finish("1", 5))).cost == Decimal(0)
