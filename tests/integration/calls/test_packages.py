"""Free minutes and volumes on a real PostgreSQL: what a call uses of a package is its own, however many ask at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import Allowed, DeclineReason
from rating_engine.domain.watching import Decision
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.open_calls import open_calls_of
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on, set_time
from tests.support.world import add_account, publish_deck

FEE = Rate(price_1="0.60", price_unit="minute", connect_fee="0.05")


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """A cent a second to 49, calls of ten minutes at most, and account 1001 with 1 EUR; the laws hold afterwards."""
    async with engine_on(database_url, redis_url, max_reserve_seconds=600) as engine:
        await publish_deck(engine.office)
        await add_account(engine.office, balance="1")
        yield engine
        assert await ledger_balanced(engine.office) == []


async def add_package(engine: Engine, name: str = "minutes", *, seconds: int | None = 300, **columns: object) -> int:
    """A package of the tariff retail; `seconds` None: a volume."""
    values = {"kind": "volume" if seconds is None else "free", "seconds": seconds, **columns}
    package_id = await engine.office.fetchval(
        f"INSERT INTO packages (tariff_id, name, {', '.join(values)}) "
        f"SELECT tariff_id, $1, {', '.join(f'${n}' for n in range(2, 2 + len(values)))} FROM tariffs "
        "WHERE name = 'retail' RETURNING package_id",
        name, *values.values(),
    )  # fmt: skip
    engine.memory.forget_all()
    return int(package_id)


async def usage(engine: Engine) -> list[tuple[int, int]]:
    """(used, held) of each package."""
    rows = await engine.office.fetch("SELECT used, held FROM package_usage ORDER BY package_id, period_start")
    return [tuple(row) for row in rows]


async def balance(engine: Engine) -> Decimal:
    return (await engine.charging.balance("1001")).balance


async def test_a_call_within_the_free_minutes_costs_nothing_and_uses_them(engine):
    await add_package(engine)

    allowed = await engine.charging.prepare_call(prepare("1"))
    assert (allowed.max_seconds, await usage(engine)) == (400, [(0, 300)])  # 300 free, and 100 that 1 EUR pays

    saved = await engine.charging.finish_call(finish("1", 60))
    assert (saved.cost, saved.billed_seconds) == (0, 60)
    assert (await usage(engine), await balance(engine)) == ([(60, 0)], 1)


async def test_a_call_longer_than_the_free_minutes_pays_for_the_rest_alone(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))

    saved = await engine.charging.finish_call(finish("1", 340))

    assert (saved.cost, await usage(engine), await balance(engine)) == (Decimal("0.4"), [(300, 0)], Decimal("0.6"))


async def test_an_account_without_money_may_call_on_its_free_minutes(engine):
    await add_package(engine)
    await add_account(engine.office, "1002")

    allowed = await engine.charging.prepare_call(prepare("1", login="1002"))

    assert allowed.max_seconds == 300


async def test_fifty_calls_at_once_never_get_the_same_free_second_twice(engine):
    await add_package(engine, seconds=1_500)
    await add_account(engine.office, "1002")

    outcomes = await asyncio.gather(*(engine.charging.prepare_call(prepare(f"{n}", login="1002")) for n in range(50)))

    allowed = [outcome for outcome in outcomes if isinstance(outcome, Allowed)]
    assert sorted(outcome.max_seconds for outcome in allowed) == [300, 600, 600]
    assert {outcome.reason for outcome in outcomes if outcome not in allowed} == {DeclineReason.INSUFFICIENT_FUNDS}
    assert await usage(engine) == [(0, 1_500)]


async def test_two_engines_share_a_package(engine, database_url, redis_url):
    await add_package(engine, seconds=1_500)
    await add_account(engine.office, "1002")
    async with engine_on(database_url, redis_url, max_reserve_seconds=600) as other:
        outcomes = await asyncio.gather(
            *(
                one.charging.prepare_call(prepare(f"{n}-{id(one)}", login="1002"))
                for n in range(20)
                for one in (engine, other)
            )
        )

    granted = [outcome.max_seconds for outcome in outcomes if isinstance(outcome, Allowed)]
    assert sorted(granted) == [300, 600, 600]


async def test_minutes_that_another_call_held_and_gave_back_are_used_before_money_when_a_call_ends(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))  # holds all 300
    await engine.charging.prepare_call(prepare("2"))
    await engine.charging.finish_call(finish("1", 10))

    saved = await engine.charging.finish_call(finish("2", 60))

    assert (saved.cost, await usage(engine)) == (0, [(70, 0)])


async def test_calls_that_end_at_once_share_what_is_left_and_pay_for_the_rest(engine):
    await add_package(engine, seconds=100)
    await add_account(engine.office, "1002", balance="100", tariff="retail")
    for n in range(6):  # the first holds all of it
        await engine.charging.prepare_call(prepare(f"{n}", login="1002"))
    await engine.charging.finish_call(finish("0", 0, login="1002"))

    ended = await asyncio.gather(*(engine.charging.finish_call(finish(f"{n}", 60, login="1002")) for n in range(1, 6)))

    assert sum(saved.cost for saved in ended) == Decimal("2.00")  # 300 seconds, of which 100 are free
    assert await usage(engine) == [(100, 0)]


async def test_a_call_that_nobody_answered_gives_its_minutes_back(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))

    await engine.charging.finish_call(finish("1", 0))

    assert await usage(engine) == [(0, 0)]


async def test_an_expired_call_gives_its_minutes_back_and_its_late_finish_uses_them_after_all(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    assert await engine.ledger.expire(0) == 1
    assert await usage(engine) == [(0, 0)]

    saved = await engine.charging.finish_call(finish("1", 320))

    assert (saved.cost, await usage(engine)) == (Decimal("0.2"), [(300, 0)])


async def test_a_late_finish_after_others_used_the_minutes_pays(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    await engine.ledger.expire(0)
    await engine.charging.prepare_call(prepare("2"))
    await engine.charging.finish_call(finish("2", 250))

    saved = await engine.charging.finish_call(finish("1", 60))

    assert (saved.cost, await usage(engine)) == (Decimal("0.1"), [(300, 0)])


async def test_a_finish_that_knows_better_than_reconciliation_moves_its_minutes(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch(
        "UPDATE reservations SET answered_at = now() - interval '100 seconds', last_seen_at = now()"
    )
    [call] = await open_calls_of(engine.office, "test")
    assert await engine.lasting.reconcile_call(call) is Decision.LAST_SEEN
    assert await usage(engine) == [(100, 0)]

    saved = await engine.charging.finish_call(finish("1", 40))

    assert (saved.cost, await usage(engine)) == (0, [(40, 0)])


async def test_a_finish_whose_prepare_never_came_uses_what_is_left(engine):
    await add_package(engine)

    saved = await engine.charging.finish_call(finish("1", 310))

    assert (saved.cost, await usage(engine)) == (Decimal("0.1"), [(300, 0)])


async def test_a_repeated_finish_uses_nothing_more(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))
    first = await engine.charging.finish_call(finish("1", 60))

    again = await engine.charging.finish_call(finish("1", 60))

    assert (again.cost, again.repeated, await usage(engine)) == (first.cost, True, [(60, 0)])


async def test_fees_are_paid_on_free_minutes_unless_the_package_waives_them(engine):
    await publish_deck(engine.office, rates={"49": FEE})
    package_id = await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))
    assert (await engine.charging.finish_call(finish("1", 60))).cost == Decimal("0.05")

    await engine.office.fetch("UPDATE packages SET waives_fees = true WHERE package_id = $1", package_id)
    engine.memory.forget_all()
    await engine.charging.prepare_call(prepare("2"))

    assert (await engine.charging.finish_call(finish("2", 60))).cost == 0


async def test_a_package_covers_its_directions_alone(engine):
    await engine.office.fetch("INSERT INTO direction_groups VALUES ('far', 'elsewhere')")
    await add_package(engine, direction_group="far")

    allowed = await engine.charging.prepare_call(prepare("1"))

    assert (allowed.max_seconds, await usage(engine)) == (100, [])


async def test_packages_are_used_up_in_their_order(engine):
    await add_package(engine, "second", seconds=200, position=2)
    await add_package(engine, "first", seconds=100, position=1)
    await engine.charging.prepare_call(prepare("1"))

    await engine.charging.finish_call(finish("1", 150))

    assert await usage(engine) == [(50, 0), (100, 0)]


async def test_a_new_period_begins_with_all_its_minutes(engine):
    await add_package(engine)
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.finish_call(finish("1", 300))
    await engine.office.fetch("UPDATE package_usage SET period_start = period_start - 31")
    await engine.office.fetch(
        "UPDATE cdrs SET packages = ARRAY[(packages[1].package_id, packages[1].period_start - 31, packages[1].seconds)"
        "::package_use]"
    )

    allowed = await engine.charging.prepare_call(prepare("2"))

    assert (allowed.max_seconds, await usage(engine)) == (400, [(300, 0), (0, 300)])


async def test_what_was_carried_into_the_next_period_is_not_used_by_a_late_finish_of_the_last_one(engine):
    await add_package(engine, carry_over="next", created_at=datetime.now(UTC) - timedelta(days=90))
    await engine.office.fetch("UPDATE subscribers SET tariff_since = now() - interval '90 days'")
    await engine.office.fetch("UPDATE rate_decks SET effective_from = now() - interval '90 days'")
    engine.memory.forget_all()
    now = datetime.now(UTC)
    set_time(engine, now - timedelta(days=31))
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch("UPDATE reservations SET expires_at = now()")
    await engine.ledger.expire(0)
    set_time(engine, now)
    await engine.charging.prepare_call(prepare("2"))
    assert await usage(engine) == [(0, 0), (0, 600)]  # 300 of its own and 300 carried

    late = await engine.charging.finish_call(finish("1", 60))

    assert (late.cost, await usage(engine)) == (Decimal("0.6"), [(0, 0), (0, 600)])


async def test_the_price_falls_with_the_volume_that_ended_calls_used(engine):
    package_id = await add_package(engine, "volume", seconds=None)
    await engine.office.fetch("INSERT INTO package_steps VALUES ($1, 60, 0.5), ($1, 120, 0.1)", package_id)
    costs = []
    for n in range(4):
        await engine.charging.prepare_call(prepare(f"{n}"))
        costs.append((await engine.charging.finish_call(finish(f"{n}", 40))).cost)

    assert costs == [Decimal("0.4"), Decimal("0.4"), Decimal("0.2"), Decimal("0.04")]
    assert await usage(engine) == [(160, 0)]
