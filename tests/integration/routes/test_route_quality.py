"""How calls go by the routes, measured from CDRs: those of the window alone, and only where it is asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import orjson
import pytest
import structlog

from rating_engine.domain.tariff import RouteQuality
from rating_engine.services.routes.quality import QualityMeter
from rating_engine.storage.postgres.announcements import CHANNEL
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.route_figures import MEASURED, REPORT, RouteLoad, RouteMoney, figures, loads, measure
from rating_engine.storage.routes.routes import enabled_routes
from tests.support.engines import engine_on
from tests.support.operators import Routes
from tests.support.waiting import until, until_holds
from tests.support.world import publish_deck

WINDOW = 3_600
ROWS = 60_000  # some 2,000 pages, of which a BRIN index tells 128 at a time

pytestmark = pytest.mark.breaks_books  # CDRs are written as no call would


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    await publish_deck(database)
    await database.fetch("UPDATE tariffs SET route_order = 'quality'")
    for position, name in enumerate(("good", "bad", "idle"), start=1):
        await Routes(database).add(name, {"position": str(position)})
    yield database
    await database.close()


async def calls(
    database: Database,
    route: str,
    *seconds: int,
    ago: str = "5 min",
    source: str = "finish",
    margin: str | None = None,
    currency: str = "EUR",
) -> None:
    """CDRs of calls by a route that lasted so many seconds, at a cent a second."""
    await database.fetch(
        """INSERT INTO call_records (bucket, call_key, account_id, subscriber_id, state, source, exchange, attempt,
               callerid, destination, direction, prefix, tariff_id, deck_id, route_name, currency, granted, seconds,
               billed_seconds, cost, disposition, cause, prepared_at, ended_at, margin)
           SELECT 0, gen_random_uuid()::text, n % 1000, 1, 'settled', $3, 'test', 1, '', '4912345', 'Somewhere', '49',
                  1, 1, $1, $6, 0, s, s, s * 0.01, 'ANSWER', 16, now(), now() - $4::text::interval,
                  $5::text::numeric
           FROM unnest($2::integer[]) WITH ORDINALITY AS call(s, n)""",
        route, list(seconds), source, ago, margin, currency,
    )  # fmt: skip


async def measured(database: Database) -> dict[str, RouteQuality | None]:
    return {route.name: route.quality for route in await enabled_routes(database) or ()}


async def test_attempts_those_answered_and_their_seconds_are_counted_for_each_route(database):
    await calls(database, "good", 0, 30, 60)
    await calls(database, "bad", 0, 0)
    await calls(database, "no more", 10)
    await measure(database, WINDOW)
    assert await measured(database) == {
        "good": RouteQuality(3, 2, 90),
        "bad": RouteQuality(2, 0, 0),
        "idle": None,
    }


async def test_calls_before_the_window_and_ends_that_nobody_said_are_not_attempts(database):
    await calls(database, "good", 60, ago="59 min")
    await calls(database, "good", 60, source="late")
    await calls(database, "good", 60, ago="61 min")
    for source in ("expired", "reconciled", "abandoned", "unreserved"):
        await calls(database, "good", 60, source=source)
    await measure(database, WINDOW)
    assert (await measured(database))["good"] == RouteQuality(2, 2, 120)


async def test_what_left_the_window_is_measured_as_gone(database):
    await calls(database, "good", 60)
    await measure(database, WINDOW)
    await database.fetch("UPDATE cdrs SET ended_at = now() - interval '2 hours'")
    await measure(database, WINDOW)
    assert (await measured(database))["good"] is None


async def test_a_measurement_that_changes_nothing_writes_and_announces_nothing(database, database_url):
    heard: list[str] = []
    await calls(database, "good", 60)
    await calls(database, "bad", 60)
    assert await measure(database, WINDOW) == 2
    listener = await asyncpg.connect(database_url)
    try:
        await listener.add_listener(CHANNEL, lambda _connection, _pid, _channel, payload: heard.append(str(payload)))
        before = await database.fetch("SELECT route_id, xmin::text FROM route_quality ORDER BY 1")
        assert await measure(database, WINDOW) == 0
        assert await database.fetch("SELECT route_id, xmin::text FROM route_quality ORDER BY 1") == before
        await calls(database, "good", 60)
        assert await measure(database, WINDOW) == 1
        await database.fetch(f"NOTIFY {CHANNEL}, 'end'")

        async def all_heard() -> bool:
            return "end" in heard

        await until(all_heard)
        assert heard == ["routes", "end"]
    finally:
        await listener.close()


async def test_nothing_is_measured_and_no_call_read_while_no_tariff_orders_routes_by_quality(database):
    await calls(database, "good", 60)
    await measure(database, WINDOW)
    await database.fetch("UPDATE tariffs SET route_order = 'cost'")
    await measure(database, WINDOW)
    assert (await measured(database))["good"] is None
    plan = await explained(database, MEASURED)
    assert [node["Actual Loops"] for node in nodes(plan) if node.get("Relation Name") == "call_records"] == [0]


@pytest.mark.parametrize("query", [MEASURED, REPORT], ids=["measure", "report"])
async def test_the_calls_of_the_window_alone_are_read_of_a_table_of_many(database, query):
    await calls(database, "good", *[60] * ROWS, ago="3 hours")
    await calls(database, "good", *[60] * 500)
    await database.fetch("SELECT brin_summarize_new_values('call_records_by_end')")
    await database.fetch("ANALYZE call_records")
    plan = await explained(database, query)
    read = sum(node.get("Exact Heap Blocks", 0) + node.get("Lossy Heap Blocks", 0) for node in nodes(plan))
    pages = await database.fetchval("SELECT pg_relation_size('call_records') / 8192")
    assert "call_records_by_end" in [node.get("Index Name") for node in nodes(plan)]
    assert 0 < read < pages / 4


async def test_figures_tell_what_is_left_of_calls_whose_cost_is_known_and_how_many_are_not(database):
    await calls(database, "good", 100, 0, margin="0.40")
    await calls(database, "good", 200)
    await calls(database, "good", 300, margin="-0.50", currency="USD")
    await calls(database, "gone", 10)
    gone, good = await figures(database, WINDOW)
    assert (good.name, good.quality) == ("good", RouteQuality(4, 3, 600))
    assert good.money == (
        RouteMoney("EUR", sold=Decimal(3), sold_known=Decimal(1), margin=Decimal("0.80"), unknown=1),
        RouteMoney("USD", sold=Decimal(3), sold_known=Decimal(3), margin=Decimal("-0.50"), unknown=0),
    )
    assert gone.money == (RouteMoney("EUR", Decimal("0.10"), Decimal(0), Decimal(0), unknown=1),)


async def test_the_load_is_that_of_routes_with_a_limit_and_of_the_second_that_runs(database):
    routes = Routes(database)
    await routes.change("good", {"max_calls": "3"})
    await routes.change("bad", {"max_calls_per_second": "2"})
    await database.fetch(
        "INSERT INTO route_load SELECT 0, route_id, 2, now() - interval '1 minute', 9 FROM routes WHERE name = 'good'"
    )
    assert await loads(database) == [RouteLoad("good", 3, None, 2, 0), RouteLoad("bad", None, 2, 0, 0)]


async def test_a_meter_goes_on_after_a_turn_that_failed(database, database_url):
    office = Database(database_url, pool_size=1)  # its own: a missing table marks a door down
    await office.open()
    meter = QualityMeter(office, window_seconds=WINDOW, interval_seconds=0.01)
    await database.fetch("ALTER TABLE route_quality RENAME TO away")
    with structlog.testing.capture_logs() as log:
        measuring = asyncio.create_task(meter.run())
        await until_holds(lambda: [line["event"] for line in log].count("route_quality_not_measured") > 1)
    try:
        assert not measuring.done()
        await calls(database, "good", 60)
        await database.fetch("ALTER TABLE away RENAME TO route_quality")

        async def is_measured() -> bool:
            return (await measured(database))["good"] == RouteQuality(1, 1, 60)

        await until(is_measured)
    finally:
        measuring.cancel()
        await asyncio.wait([measuring])
        await office.close()


async def test_an_engine_without_exchanges_to_watch_measures_too(database, database_url):
    await calls(database, "good", 60)
    async with engine_on(database_url):
        await until(lambda: _is_measured(database))


async def _is_measured(database: Database) -> bool:
    return (await measured(database))["good"] == RouteQuality(1, 1, 60)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node of a plan."""
    return [plan] + [node for child in plan.get("Plans", ()) for node in nodes(child)]


async def explained(database: Database, query: str) -> dict[str, Any]:
    """The plan of a query of the window, with what it read."""
    args = (WINDOW, 1_000) if query == REPORT else (WINDOW,)
    text = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *args)
    plan: dict[str, Any] = orjson.loads(text)[0]["Plan"]
    return plan
