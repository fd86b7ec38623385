"""Calls on packages while what they were allowed by changes: options end, packages go, answers are lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import Allowed, Declined, Saved
from rating_engine.domain.watching import Decision
from rating_engine.engine.engine import Engine
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.open_calls import open_calls_of
from tests.support.calls import finish, key_of, prepare
from tests.support.engines import engine_on, set_watched
from tests.support.world import add_account, publish_deck

CARRIER = Rate(price_1="0.30", price_unit="minute")


@pytest.fixture
async def engine(database_url: str, redis_url: str) -> AsyncIterator[Engine]:
    """A cent a second to 49, ten minutes at most; 300 free seconds of an option, by a route for two calls at a time."""
    async with engine_on(database_url, redis_url, max_reserve_seconds=600, quota_seconds=60) as engine:
        await publish_deck(engine.office)
        await publish_deck(engine.office, "minutes", {"7": CARRIER})
        cost = await publish_deck(engine.office, "carrier", {"49": CARRIER})
        await add_account(engine.office, balance="10")
        await run(
            engine,
            "UPDATE tariffs SET is_option = true WHERE name = 'minutes'",
            "INSERT INTO subscriber_options (subscriber_id, tariff_id) "
            "SELECT subscriber_id, t.tariff_id FROM subscribers, tariffs t WHERE t.name = 'minutes'",
            "INSERT INTO packages (tariff_id, name, kind, seconds) "
            "SELECT tariff_id, 'free', 'free', 300 FROM tariffs WHERE name = 'minutes'",
            f"INSERT INTO routes (name, position, max_calls, cost_tariff_id) VALUES ('r', 1, 2, {cost.tariff_id})",
        )
        yield engine
        assert await ledger_balanced(engine.office) == []


async def run(engine: Engine, *statements: str) -> None:
    for statement in statements:
        await engine.office.fetch(statement)
    engine.memory.forget_all()


async def books(engine: Engine) -> tuple[int, int, int]:
    """(used, held) of the package, and how many calls the route carries."""
    [row] = await engine.office.fetch(
        "SELECT (SELECT sum(used) FROM package_usage), (SELECT sum(held) FROM package_usage), open_calls "
        "FROM route_load"
    )
    used, held, calls = row
    return int(used), int(held), calls


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE subscriber_options SET effective_to = now() WHERE effective_from < now()",
        "DELETE FROM subscriber_options",
        "DELETE FROM packages",
        "UPDATE packages SET seconds = 1",
        "UPDATE routes SET enabled = false",
        "UPDATE routes SET max_calls = NULL",
        "DELETE FROM routes",
        "UPDATE tariffs SET time_zone = 'Pacific/Kiritimati'",
    ],
)
async def test_a_call_keeps_the_minutes_and_the_place_it_was_allowed_with(engine, change):
    await engine.charging.prepare_call(prepare("1"))
    assert await books(engine) == (0, 300, 1)
    await run(engine, change)

    saved = await engine.charging.finish_call(finish("1", 320))

    assert (saved.cost, await books(engine)) == (Decimal("0.2"), (300, 0, 0))


async def test_a_repeated_prepare_holds_nothing_more(engine):
    first = await engine.charging.prepare_call(prepare("1"))
    again = await engine.charging.prepare_call(prepare("1"))

    assert (again.max_seconds, again.repeated) == (first.max_seconds, True)
    assert await books(engine) == (0, 300, 1)


async def test_what_was_reserved_unheard_gives_its_minutes_and_its_place_back(engine, monkeypatch):
    reserve = engine.ledger.reserve

    async def answer_lost(request):
        await reserve(request)
        raise Unavailable("the answer was lost")

    monkeypatch.setattr(engine.ledger, "reserve", answer_lost)
    assert isinstance(await engine.charging.prepare_call(prepare("1")), Declined)
    assert await books(engine) == (0, 300, 1)

    await engine.undo.turn()

    assert await books(engine) == (0, 0, 0)


async def test_a_call_that_was_abandoned_and_talked_after_all_uses_its_minutes(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.charging.abandon_call(key_of("1"), "1001")
    assert await books(engine) == (0, 0, 0)

    saved = await engine.charging.finish_call(finish("1", 60))

    assert (saved.cost, await books(engine)) == (0, (60, 0, 0))


async def test_a_late_end_corrects_what_the_carrier_costs_too(engine):
    await engine.charging.prepare_call(prepare("1"))
    await engine.office.fetch(
        "UPDATE reservations SET answered_at = now() - interval '400 seconds', last_seen_at = now()"
    )
    [call] = await open_calls_of(engine.office, "test")
    assert await engine.lasting.reconcile_call(call) is Decision.LAST_SEEN
    assert await books(engine) == (300, 0, 0)

    await engine.charging.finish_call(finish("1", 60))

    [cdr] = await engine.office.fetch("SELECT cost, carrier_cost, margin FROM cdrs")
    assert tuple(cdr) == (0, Decimal("0.3"), Decimal("-0.3"))
    assert await books(engine) == (60, 0, 0)


async def test_a_call_in_slices_is_lengthened_with_money_once_its_minutes_end(engine):
    set_watched(engine)
    await run(engine, "UPDATE accounts SET quota = true")
    allowed = await engine.charging.prepare_call(prepare("1"))
    assert isinstance(allowed, Allowed)
    assert (allowed.max_seconds, allowed.reserved) == (300, 0)
    [call] = await open_calls_of(engine.office, "test")

    extended = await engine.lasting.extend_call(call, talked_seconds=290)
    assert (extended.max_seconds, extended.granted) == (350, Decimal("0.5"))
    saved = await engine.charging.finish_call(finish("1", 350))

    assert (saved.cost, saved.overrun, await books(engine)) == (Decimal("0.5"), 0, (300, 0, 0))


async def test_a_finish_that_had_to_wait_uses_what_its_call_held(engine, monkeypatch):
    await engine.charging.prepare_call(prepare("1"))
    settle = engine.ledger.settle

    async def away(request):
        raise Unavailable("away")

    monkeypatch.setattr(engine.ledger, "settle", away)
    await engine.charging.finish_call(finish("1", 320))
    assert await books(engine) == (0, 300, 1)
    monkeypatch.setattr(engine.ledger, "settle", settle)

    await engine.finish_spool.turn()

    assert await books(engine) == (300, 0, 0)
    assert await engine.office.fetchval("SELECT cost FROM cdrs") == Decimal("0.2")


async def test_a_plain_call_asks_the_database_twice(engine, monkeypatch):
    """What it is planned by is in memory; only packages are looked at before."""
    await run(engine, "DELETE FROM subscriber_options", "DELETE FROM packages")
    for name in ("1", "2"):
        await engine.charging.prepare_call(prepare(name))
        await engine.charging.finish_call(finish(name, 1))
    asked = []
    for name in ("fetch", "fetchval", "fetchrow"):
        monkeypatch.setattr(engine.calls_door, name, _counting(getattr(engine.calls_door, name), asked))

    await engine.charging.prepare_call(prepare("3"))
    assert isinstance(await engine.charging.finish_call(finish("3", 1)), Saved)

    assert [query.split("(")[0] for query in asked if "clock" not in query] == ["SELECT reserve_v5", "SELECT settle_v5"]


def _counting(ask, asked):
    async def counted(query, *args, **options):
        asked.append(query)
        return await ask(query, *args, **options)

    return counted
