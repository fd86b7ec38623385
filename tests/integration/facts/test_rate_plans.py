"""The hot path's questions about decks are answered from an index, whatever the planner knows of the table."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from rating_engine.storage.decks.rate_decks import CANDIDATES, candidates_args
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import BY_ID
from tests.support.decks import make_tariff, replace_deck

PREFIXES = 20_000
DESTINATION = "100500000"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def deck_id(database: Database) -> int:
    """The second deck of a tariff, so that deck ids don't say everything about a row."""
    tariff_id = await make_tariff(database)
    prices = {str(number): "0.1" for number in range(100_000, 100_000 + PREFIXES)}
    await replace_deck(database, tariff_id, prices)
    return await replace_deck(database, tariff_id, prices)


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node of a plan."""
    return [plan] + [node for child in plan.get("Plans", ()) for node in nodes(child)]


async def explained(database: Database, deck_id: int) -> dict[str, Any]:
    """The plan, made for these arguments, with what it read."""
    args = candidates_args(deck_id, DESTINATION, 9)
    text = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {CANDIDATES}", *args)
    plan: dict[str, Any] = orjson.loads(text)[0]["Plan"]
    return plan


def assert_from_the_index(plan: dict[str, Any], rows: int = 1) -> None:
    """Three probes of the primary key and nothing else of the table; by bitmap where the planner knows little."""
    found = nodes(plan)
    assert [node["Index Name"] for node in found if "Index Name" in node] == ["rates_pkey"] * 3
    assert "Seq Scan" not in {node["Node Type"] for node in found}
    assert {node.get("Rows Removed by Filter", 0) for node in found} == {0}
    assert max(node.get("Actual Rows", 0) for node in found) <= rows


async def test_candidates_are_read_from_three_places_of_the_index_where_nothing_was_analyzed(
    database: Database, deck_id: int
) -> None:
    assert_from_the_index(await explained(database, deck_id))


async def test_candidates_are_read_from_three_places_of_the_index_where_the_table_was_analyzed(
    database: Database, deck_id: int
) -> None:
    await database.fetch("ANALYZE rates")
    assert_from_the_index(await explained(database, deck_id))


async def test_candidates_are_read_from_the_index_in_a_deck_that_came_after_the_table_was_analyzed(
    database: Database, deck_id: int
) -> None:
    await database.fetch("ANALYZE rates")
    wholesale = await make_tariff(database, "wholesale")
    newest = await replace_deck(database, wholesale, {str(number): "0.1" for number in range(100_000, 120_000)})
    assert_from_the_index(await explained(database, newest))


async def test_the_plan_that_a_prepared_statement_settles_on_reads_the_index(database: Database, deck_id: int) -> None:
    async with database.connection() as connection:
        await connection.execute(f"PREPARE found (bigint, text[], text) AS {CANDIDATES}")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        execute = f"EXECUTE found ({deck_id}, '{{1005,10050,100500}}', '{DESTINATION}')"
        text = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {execute}")
    assert_from_the_index(orjson.loads(text)[0]["Plan"])


@pytest.mark.breaks_books  # rates are added to a deck by hand
async def test_of_rows_with_conditions_those_of_the_numbers_own_prefixes_are_read(
    database: Database, deck_id: int
) -> None:
    """Five bands for each of twenty thousand prefixes, and five for a shorter prefix of the number."""
    await database.fetch(
        """INSERT INTO rates (deck_id, prefix, band, price_1, price_n)
           SELECT $1, prefix, 'band' || n, 1, 1
           FROM (SELECT prefix FROM rates WHERE deck_id = $1 UNION SELECT '1005') AS p, generate_series(1, 5) AS n""",
        deck_id,
    )
    for _ in ("not analyzed", "analyzed"):
        assert_from_the_index(await explained(database, deck_id), rows=6 + 5)
        await database.fetch("ANALYZE rates")


async def test_a_tariff_with_its_timeline_is_found_by_indexes_among_thousands(database: Database) -> None:
    await database.fetch(
        """WITH made AS (
               INSERT INTO tariffs (name, currency) SELECT 'tariff ' || n, 'EUR' FROM generate_series(1, 5000) n
               RETURNING tariff_id
           )
           INSERT INTO rate_decks (tariff_id, version, state, effective_from)
           SELECT tariff_id, 1, 'published', now() FROM made"""
    )
    await database.fetch("ANALYZE tariffs, rate_decks")
    tariff_id = await database.fetchval("SELECT min(tariff_id) FROM tariffs")
    args = (tariff_id, datetime.now(UTC))
    text = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {BY_ID}", *args)
    found = nodes(orjson.loads(text)[0]["Plan"])
    scanned = {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"}
    assert scanned.isdisjoint({"tariffs", "rate_decks"})
    assert "tariffs_pkey" in {node.get("Index Name") for node in found}
    assert max(node["Actual Rows"] for node in found) <= 1
