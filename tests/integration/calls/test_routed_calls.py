"""Routes of calls on a real PostgreSQL: which is taken, at what margin, how many at a time, what after a failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest

from rating_engine.domain.outcomes import Allowed, Declined, DeclineReason
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on, hear_nothing
from tests.support.waiting import until
from tests.support.world import add_account, publish_deck


def a_minute(price: str) -> Rate:
    return Rate(price_1=price, price_unit="minute", interval_1=1, interval_n=1)


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """Retail sells 49 at 0.60 a minute, account 1001 has 10,000 EUR; the laws hold afterwards."""
    async with engine_on(database_url, redis_url) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="10000")
        yield engine
        assert await ledger_balanced(engine.office) == []


async def add_route(
    engine: Engine, name: str, position: int = 1, *, cost: str | None = None, **columns: object
) -> None:
    """A route; `cost` is the price a minute in a deck of its own, of 49."""
    tariff_id = None
    if cost is not None:
        deck = await publish_deck(engine.office, f"{name}-cost", {"49": a_minute(cost)})
        tariff_id = deck.tariff_id
    values = {"cost_tariff_id": tariff_id, **columns}
    await engine.office.fetch(
        f"INSERT INTO routes (name, position, {', '.join(values)}) "
        f"VALUES ($1, $2, {', '.join(f'${n}' for n in range(3, 3 + len(values)))})",
        name, position, *values.values(),
    )  # fmt: skip
    engine.memory.forget_all()


async def run(engine: Engine, *statements: str) -> None:
    for statement in statements:
        await engine.office.fetch(statement)
    engine.memory.forget_all()


async def set_tariff(engine: Engine, assignments: str) -> None:
    await engine.office.fetch(f"UPDATE tariffs SET {assignments} WHERE name = 'retail'")
    engine.memory.forget_all()


async def route_of(engine: Engine, name: str, attempt: int = 1) -> str:
    outcome = await engine.charging.prepare_call(prepare(name, attempt=attempt))
    assert isinstance(outcome, Allowed), outcome
    return outcome.route_name


async def reason_of(engine: Engine, name: str) -> DeclineReason:
    outcome = await engine.charging.prepare_call(prepare(name))
    assert isinstance(outcome, Declined), outcome
    return outcome.reason


# -- cost and margin ---------------------------------------------------------------------------------------------


async def test_by_cost_the_cheapest_route_is_tried_first_and_the_next_one_after_a_failure(engine):
    await add_route(engine, "dear", 1, cost="0.50")
    await add_route(engine, "cheap", 2, cost="0.10")
    await set_tariff(engine, "route_order = 'cost'")

    assert await route_of(engine, "1") == "cheap"
    await engine.charging.finish_call(finish("1", 0))
    assert await route_of(engine, "1", attempt=2) == "dear"


async def test_a_route_that_was_tried_is_skipped_though_it_has_become_the_first(engine):
    await add_route(engine, "a", 1, cost="0.10")
    await add_route(engine, "b", 2, cost="0.20")
    await add_route(engine, "c", 3, cost="0.30")
    await set_tariff(engine, "route_order = 'cost'")
    assert await route_of(engine, "1") == "a"
    await engine.charging.finish_call(finish("1", 0))
    await publish_deck(engine.office, "c-cost", {"49": a_minute("0.05")})
    engine.memory.forget_all()

    assert await route_of(engine, "1", attempt=2) == "c"
    await engine.charging.finish_call(finish("1", 0, attempt=2))
    assert await route_of(engine, "1", attempt=3) == "b"


async def test_no_route_that_costs_more_than_the_call_is_sold_for(engine):
    await add_route(engine, "loss", 1, cost="0.61")
    await add_route(engine, "even", 2, cost="0.60")

    assert await route_of(engine, "1") == "even"


async def test_the_margin_guard_sees_the_price_that_a_volume_has_come_to(engine):
    """Sold at 0.30 from the step on, where a route at 0.40 would turn ten minutes into a loss of one."""
    await add_route(engine, "carrier", 1, cost="0.40")
    await engine.office.fetch(
        "WITH p AS (INSERT INTO packages (tariff_id, name, kind) "
        "SELECT tariff_id, 'v', 'volume' FROM tariffs WHERE name = 'retail' RETURNING package_id) "
        "INSERT INTO package_steps (package_id, after_seconds, multiplier) SELECT package_id, 600, 0.5 FROM p"
    )
    engine.memory.forget_all()
    assert await route_of(engine, "1") == "carrier"
    await engine.charging.finish_call(finish("1", 600))  # the step is reached

    assert await reason_of(engine, "2") is DeclineReason.NO_ROUTE

    await add_route(engine, "cheaper", 2, cost="0.30")
    assert await route_of(engine, "3") == "cheaper"
    await engine.charging.finish_call(finish("3", 600))
    margins = await engine.office.fetch("SELECT margin FROM cdrs")
    assert all(row["margin"] >= 0 for row in margins)


async def test_a_call_that_every_route_would_lose_money_on_is_declined_unless_loss_is_allowed(engine):
    await add_route(engine, "loss", 1, cost="0.61")
    assert await reason_of(engine, "1") is DeclineReason.NO_ROUTE

    await set_tariff(engine, "allow_loss = true")

    assert await route_of(engine, "2") == "loss"


async def test_the_very_next_call_after_a_cost_rises_is_guarded_though_nobody_heard_of_it(engine):
    await add_route(engine, "first", 1, cost="0.50")
    await add_route(engine, "second", 2, cost="0.55")
    assert await route_of(engine, "1") == "first"
    hear_nothing(engine)

    await publish_deck(engine.office, "first-cost", {"49": a_minute("0.70")})

    assert await route_of(engine, "2") == "second"


async def test_a_route_whose_cost_deck_lacks_the_number_does_not_serve_it(engine):
    await publish_deck(engine.office, "elsewhere", {"7": a_minute("0.01")})
    cost = await engine.office.fetchval("SELECT tariff_id FROM tariffs WHERE name = 'elsewhere'")
    await add_route(engine, "elsewhere-only", 1, cost_tariff_id=cost)
    await add_route(engine, "any", 2)

    assert await route_of(engine, "1") == "any"


async def test_the_cdr_says_what_the_call_cost_and_what_is_left_of_its_price(engine):
    await add_route(engine, "carrier", 1, cost="0.30")
    await engine.charging.prepare_call(prepare("1"))
    await publish_deck(engine.office, "carrier-cost", {"49": a_minute("0.45")})  # not for the call that runs
    await engine.charging.finish_call(finish("1", 60))

    [cdr] = await engine.office.fetch("SELECT cost, carrier_cost, carrier_currency, margin FROM cdrs")

    assert tuple(cdr) == (Decimal("0.6"), Decimal("0.3"), "EUR", Decimal("0.3"))


async def test_the_cdr_has_the_route_that_the_exchange_chose_and_what_that_one_costs(engine):
    await add_route(engine, "cheap", 1, cost="0.10")
    await add_route(engine, "dear", 2, cost="0.50", max_calls=1)
    first, second = (replace(prepare(name), route="dear") for name in ("1", "2"))

    allowed = await engine.charging.prepare_call(first)
    refused = await engine.charging.prepare_call(second)
    await engine.charging.finish_call(finish("1", 60))

    assert (allowed.route_name, refused) == ("dear", Declined(DeclineReason.NO_CAPACITY))
    [cdr] = await engine.office.fetch("SELECT route_name, cost, carrier_cost, margin FROM cdrs")
    assert tuple(cdr) == ("dear", Decimal("0.6"), Decimal("0.5"), Decimal("0.1"))


async def test_costs_in_another_currency_are_compared_and_kept_in_it(engine):
    await add_route(engine, "dollar", 1, cost="0.66")
    await engine.office.fetch("UPDATE tariffs SET currency = 'USD' WHERE name = 'dollar-cost'")
    await engine.office.fetch("INSERT INTO exchange_rates VALUES ('USD', 'EUR', '2026-01-01', 0.9)")
    engine.memory.forget_all()
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 60))

    [cdr] = await engine.office.fetch("SELECT carrier_cost, carrier_currency, carrier_exchange, margin FROM cdrs")

    assert tuple(cdr) == (Decimal("0.66"), "USD", Decimal("0.9"), Decimal("0.006"))


async def test_a_call_that_nobody_finished_has_its_carrier_cost_too(engine):
    await add_route(engine, "carrier", 1, cost="0.30")
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    await engine.ledger.expire(0)

    [cdr] = await engine.office.fetch("SELECT cost, carrier_cost FROM cdrs")

    assert tuple(cdr) == (0, 0)


# -- capacity ----------------------------------------------------------------------------------------------------


async def test_a_full_route_passes_calls_on_and_takes_them_again_when_one_ends(engine):
    await add_route(engine, "small", 1, max_calls=1)
    await add_route(engine, "large", 2)

    assert [await route_of(engine, "1"), await route_of(engine, "2")] == ["small", "large"]
    await engine.charging.finish_call(finish("1", 10))
    assert await route_of(engine, "3") == "small"


async def test_a_hundred_calls_at_once_on_two_engines_never_exceed_a_routes_capacity(engine, database_url, redis_url):
    await add_route(engine, "small", 1, max_calls=7)
    await add_route(engine, "large", 2)
    async with engine_on(database_url, redis_url) as other:
        outcomes = await asyncio.gather(
            *(one.charging.prepare_call(prepare(f"{n}{id(one)}")) for n in range(50) for one in (engine, other))
        )

    assert Counter(outcome.route_name for outcome in outcomes) == {"small": 7, "large": 93}


async def test_where_every_route_is_full_the_call_is_declined_for_that(engine):
    await add_route(engine, "closed", 1, max_calls=0)

    assert await reason_of(engine, "1") is DeclineReason.NO_CAPACITY


async def test_a_route_takes_no_more_calls_in_a_second_than_it_may(engine):
    await add_route(engine, "slow", 1, max_calls_per_second=3)
    await add_route(engine, "fast", 2)

    outcomes = await asyncio.gather(*(engine.charging.prepare_call(prepare(f"{n}")) for n in range(40)))

    taken = await engine.office.fetchval("SELECT max(started) FROM route_load")
    seconds = await engine.office.fetchval("SELECT count(DISTINCT date_trunc('second', now())) FROM route_load")
    slow = Counter(outcome.route_name for outcome in outcomes)["slow"]
    assert taken <= 3
    assert 3 <= slow <= 3 * (seconds + 1)


async def test_a_call_refused_for_lack_of_money_leaves_the_route_as_it_was(engine):
    await add_route(engine, "small", 1, max_calls=1)
    await add_account(engine.office, "1002")

    outcome = await engine.charging.prepare_call(prepare("1", login="1002"))

    assert outcome.reason is DeclineReason.INSUFFICIENT_FUNDS
    assert await route_of(engine, "2") == "small"


async def test_an_expired_call_frees_its_place(engine):
    await add_route(engine, "small", 1, max_calls=1)
    await route_of(engine, "1")
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    await engine.ledger.expire(0)

    assert await route_of(engine, "2") == "small"


async def test_a_limited_route_that_was_disabled_takes_no_call_though_nobody_heard_of_it(engine):
    await add_route(engine, "off", 1, max_calls=10)
    await add_route(engine, "on", 2)
    await route_of(engine, "1")
    hear_nothing(engine)

    await engine.office.fetch("UPDATE routes SET enabled = false WHERE name = 'off'")

    assert await route_of(engine, "2") == "on"


# -- which and in which order ------------------------------------------------------------------------------------


async def test_a_tariff_with_a_list_of_routes_uses_those_alone_in_its_order(engine):
    for position, name in enumerate(("a", "b", "c"), 1):
        await add_route(engine, name, position)
    await engine.office.fetch(
        "INSERT INTO tariff_routes SELECT t.tariff_id, r.route_id, CASE r.name WHEN 'c' THEN 1 ELSE 2 END "
        "FROM tariffs t, routes r WHERE t.name = 'retail' AND r.name IN ('c', 'a')"
    )
    await set_tariff(engine, "route_order = 'manual'")

    assert await route_of(engine, "1") == "c"
    assert await route_of(engine, "1", attempt=2) == "a"
    assert (await engine.charging.prepare_call(prepare("1", attempt=3))).reason is DeclineReason.NO_ROUTE


async def test_by_quality_the_route_that_answers_more_calls_comes_first(engine):
    await add_route(engine, "bad", 1)
    await add_route(engine, "good", 2)
    await engine.office.fetch(
        "INSERT INTO route_quality (route_id, attempts, answered, seconds) "
        "SELECT route_id, 1000, CASE name WHEN 'good' THEN 700 ELSE 200 END, 50000 FROM routes"
    )
    await set_tariff(engine, "route_order = 'quality'")

    assert await route_of(engine, "1") == "good"


async def test_a_route_for_national_callers_carries_no_others(engine):
    await add_route(engine, "national", 1, callerid_policy=1, country_code="49")
    await add_route(engine, "any", 2)

    national = await engine.charging.prepare_call(prepare("1", callerid="+4930123456"))
    foreign = await engine.charging.prepare_call(prepare("2", callerid="+79010000001"))

    assert (national.route_name, foreign.route_name) == ("national", "any")


async def test_all_attempts_of_a_call_see_one_order_of_weighted_routes(engine):
    for name in ("a", "b", "c", "d"):
        await add_route(engine, name, 1, weight=2)
    for call in range(10):
        taken = []
        for attempt in range(1, 5):
            taken.append(await route_of(engine, f"{call}", attempt))
            await engine.charging.finish_call(finish(f"{call}", 0, attempt=attempt))
        assert sorted(taken) == ["a", "b", "c", "d"]


async def test_the_next_route_is_tried_although_the_one_tried_before_it_is_no_longer_offered(engine):
    await run(engine, "INSERT INTO routes (name, position) VALUES ('a', 1), ('b', 2)")
    first = await engine.charging.prepare_call(prepare("1"))
    assert first.route_name == "a"
    await engine.charging.finish_call(finish("1", 0))
    await run(engine, "UPDATE routes SET enabled = false WHERE name = 'a'")

    second = await engine.charging.prepare_call(prepare("1", attempt=2))

    assert isinstance(second, Allowed), second
    assert second.route_name == "b"
    await engine.charging.finish_call(finish("1", 0, attempt=2))
    assert (await engine.charging.prepare_call(prepare("1", attempt=3))).reason is DeclineReason.NO_ROUTE


async def test_a_call_that_waited_for_its_route_counts_in_the_second_in_which_it_gets_it(engine, database_url):
    await run(engine, "INSERT INTO routes (name, position, max_calls_per_second) VALUES ('slow', 1, 3)")
    await engine.charging.prepare_call(prepare("1"))
    waiting = await asyncpg.connect(database_url)
    async with waiting.transaction():
        since = await waiting.fetchval("SELECT date_trunc('second', now())")  # its transaction's second for good
        await until(lambda: engine.office.fetchval("SELECT date_trunc('second', clock_timestamp()) > $1", since))
        await engine.office.fetchval("SELECT take_route(0::smallint, 1)")
        second = await engine.office.fetchval("SELECT started_in FROM route_load")
        await waiting.fetchval("SELECT take_route(0::smallint, 1)")
    await waiting.close()

    assert await engine.office.fetchval("SELECT started_in FROM route_load") >= second
    await engine.office.fetch("UPDATE route_load SET open_calls = 1")  # the other two were none


async def test_a_clock_that_was_ahead_does_not_close_a_route_that_was_full_in_a_second_of_the_future(engine):
    await add_route(engine, "only", max_calls_per_second=1)
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE route_load SET started_in = started_in + interval '1 hour'")

    assert isinstance(await engine.charging.prepare_call(prepare("2")), Allowed)
