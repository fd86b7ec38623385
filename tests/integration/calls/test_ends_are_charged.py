"""The end of a call is charged whatever stands beside it: huge volumes, absurd carriers, counters mended wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import Allowed, Saved
from rating_engine.domain.reservation import PackageUse, ReserveOutcome
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on, set_watched
from tests.support.world import add_account, details_of, publish_deck, reserve_request

FREE_START = Rate(price_1="0.60", price_unit="minute", connect_fee="0.05", free_seconds=10)


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """A cent a second to 49, calls of ten minutes at most, and account 1001 with 100 EUR; the laws hold afterwards."""
    async with engine_on(database_url, redis_url, max_reserve_seconds=600) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="100")
        yield engine
        assert await ledger_balanced(engine.office) == []


async def run(engine: Engine, *statements: str) -> None:
    for statement in statements:
        await engine.office.fetch(statement)
    engine.memory.forget_all()


async def test_a_volume_counts_more_seconds_than_one_line_has_in_a_lifetime(engine):
    """A thousand lines of a reseller talk 2.6 billion seconds a month."""
    await run(engine, "INSERT INTO packages (tariff_id, name, kind) SELECT tariff_id, 'v', 'volume' FROM tariffs")
    await engine.charging.prepare_call(prepare("1"))
    counted = 2**31 - 10
    await run(
        engine,
        f"UPDATE package_usage SET used = {counted}",
    )

    saved = await engine.charging.finish_call(finish("1", 60))

    assert isinstance(saved, Saved)
    assert await engine.office.fetchval("SELECT used FROM package_usage") == counted + 60
    await run(engine, f"UPDATE package_usage SET used = used - {counted}")


async def test_an_end_is_charged_although_the_load_of_its_route_was_set_to_nothing(engine):
    await run(engine, "INSERT INTO routes (name, position, max_calls) VALUES ('small', 1, 5)")
    await engine.charging.prepare_call(prepare("1"))
    await run(engine, "UPDATE route_load SET open_calls = 0")

    saved = await engine.charging.finish_call(finish("1", 60))

    assert isinstance(saved, Saved)
    assert saved.cost == Decimal("0.6")


async def test_an_end_is_charged_although_what_the_carrier_asks_fits_no_column(engine):
    cost = await publish_deck(engine.office, "absurd")
    await run(
        engine,
        "UPDATE tariffs SET allow_loss = true WHERE name = 'retail'",
        f"UPDATE rates SET price_n = 9999999999, price_unit = 'interval', extras = '{{\"multiplier\": \"10000000\"}}' "
        f"WHERE deck_id = {cost.deck_id}",
        f"INSERT INTO routes (name, position, cost_tariff_id) VALUES ('absurd', 1, {cost.tariff_id})",
    )
    await engine.charging.prepare_call(prepare("1"))

    saved = await engine.charging.finish_call(finish("1", 60))

    assert isinstance(saved, Saved)
    assert saved.cost == Decimal("0.6")
    [cdr] = await engine.office.fetch("SELECT carrier_cost, margin FROM cdrs")
    assert tuple(cdr) == (None, None)


async def test_a_margin_that_fits_no_column_is_not_known_and_the_end_charged(engine):
    cost = await publish_deck(engine.office, "dear")
    await run(
        engine,
        "UPDATE tariffs SET allow_loss = true WHERE name = 'retail'",
        "UPDATE tariffs SET currency = 'XAU' WHERE name = 'dear'",
        "INSERT INTO exchange_rates VALUES ('XAU', 'EUR', '2026-01-01', 9999999999)",
        f"UPDATE rates SET price_n = 9999999 WHERE deck_id = {cost.deck_id}",
        f"INSERT INTO routes (name, position, cost_tariff_id) VALUES ('dear', 1, {cost.tariff_id})",
    )
    await engine.charging.prepare_call(prepare("1"))

    saved = await engine.charging.finish_call(finish("1", 60))

    assert isinstance(saved, Saved)
    [cdr] = await engine.office.fetch("SELECT carrier_cost IS NULL, margin FROM cdrs")
    assert tuple(cdr) == (False, None)


async def test_a_call_that_nobody_finished_leaves_nothing_and_that_is_known(engine):
    cost = await publish_deck(engine.office, "carrier")
    await run(engine, f"INSERT INTO routes (name, position, cost_tariff_id) VALUES ('c', 1, {cost.tariff_id})")
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    await engine.ledger.expire(0)

    [cdr] = await engine.office.fetch("SELECT carrier_cost, margin FROM cdrs")

    assert tuple(cdr) == (0, 0)


async def test_a_plan_made_from_a_tariff_that_is_no_more_is_refused(engine):
    deck = await publish_deck(engine.office)
    gone = await publish_deck(engine.office, "gone")
    subscriber = await add_account(engine.office, "1002", balance="1")
    request = reserve_request(subscriber, deck, "1")
    await engine.office.fetch(f"DELETE FROM rate_decks WHERE tariff_id = {gone.tariff_id}")
    await engine.office.fetch(f"DELETE FROM tariffs WHERE tariff_id = {gone.tariff_id}")

    answer = await engine.ledger.reserve(
        replace(request, tariffs=(*request.tariffs, (gone.tariff_id, gone.tariff_version)))
    )

    assert answer.outcome is ReserveOutcome.STALE
    await engine.office.fetch("DELETE FROM rates WHERE deck_id = $1", gone.deck_id)


async def add_minutes(engine: Engine, seconds: int = 300) -> int:
    package_id: int = await engine.office.fetchval(
        "INSERT INTO packages (tariff_id, name, kind, seconds) SELECT tariff_id, 'minutes', 'free', $1 FROM tariffs "
        "WHERE name = 'retail' RETURNING package_id", seconds,
    )  # fmt: skip
    engine.memory.forget_all()
    return package_id


async def test_a_call_in_slices_is_kept_as_long_as_what_is_free_of_it_lasts(database_url, redis_url):
    async with engine_on(database_url, redis_url, max_reserve_seconds=3600, quota_seconds=60) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="1")
        await add_minutes(engine, 3_000)
        set_watched(engine)
        await run(engine, "UPDATE accounts SET quota = true")

        allowed = await engine.charging.prepare_call(prepare("1"))

        assert isinstance(allowed, Allowed)
        assert allowed.quota
        assert allowed.max_seconds == 3_000
        lasts = await engine.office.fetchval(
            "SELECT extract(epoch FROM expires_at - prepared_at)::integer FROM reservations"
        )
        assert lasts >= allowed.max_seconds


@pytest.mark.parametrize("volumes", [12])
async def test_a_call_of_many_volumes_is_priced_however_many_digits_that_takes(engine, volumes):
    for number in range(volumes):
        package_id = await engine.office.fetchval(
            "INSERT INTO packages (tariff_id, name, kind) SELECT tariff_id, $1, 'volume' FROM tariffs "
            "WHERE name = 'retail' RETURNING package_id", f"v{number}",
        )  # fmt: skip
        await engine.office.fetch("INSERT INTO package_steps VALUES ($1, 10, 0.999983)", package_id)
    engine.memory.forget_all()

    costs = []
    for name in ("1", "2"):
        assert isinstance(await engine.charging.prepare_call(prepare(name)), Allowed)
        costs.append((await engine.charging.finish_call(finish(name, 100))).cost)

    assert costs[0] == 1
    assert costs[1] == Decimal("0.9998")  # 1.00 x 0.999983^12


async def test_a_finish_of_a_period_that_is_over_and_was_carried_on_ends_although_it_never_had_a_row(engine):
    """Its minutes were carried into this month before it was heard of."""
    package_id = await add_minutes(engine)
    long_ago = date(2026, 1, 1)
    await run(
        engine,
        "UPDATE packages SET carry_over = 'all', created_at = '2025-12-01'",
        "UPDATE subscribers SET tariff_since = '2025-12-01'",
    )
    await engine.charging.prepare_call(prepare("1"))
    subscriber = await engine.memory.subscribers.find("1001")
    deck = await publish_deck(engine.office)
    promised = replace(details_of(subscriber, deck), packages=(PackageUse(package_id, long_ago, 0),))

    saved = await engine.finishing.finish(finish("2", 60), promised)

    assert isinstance(saved, Saved)
    assert saved.cost == Decimal("0.6")
    await engine.charging.finish_call(finish("1", 0))


@pytest.mark.parametrize("prepared", [True, False])
async def test_fees_that_a_package_waives_are_waived_whenever_the_end_is_heard(engine, prepared):
    """Inside the free seconds of a rate nothing is billed, and a package that has seconds left covers all of that."""
    await publish_deck(engine.office, rates={"49": FREE_START})
    await add_minutes(engine, 300)
    await run(engine, "UPDATE packages SET waives_fees = true")
    if prepared:
        await engine.charging.prepare_call(prepare("1"))

    assert (await engine.charging.finish_call(finish("1", 5))).cost == Decimal(0)
