"""A subscriber with its options and aliases is read from indexes, whatever the planner knows of the tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from rating_engine.storage.parties.subscribers import BY_LOGINS
from rating_engine.storage.postgres.pool import Database
from tests.support.world import publish_deck

SUBSCRIBERS = 20_000
MANY = f"""
    INSERT INTO accounts (bucket, currency) SELECT 0, 'EUR' FROM generate_series(1, {SUBSCRIBERS});
    INSERT INTO logins SELECT 'login' || account_id, bucket FROM accounts;
    INSERT INTO subscribers (login, bucket, account_id, tariff_id)
        SELECT 'login' || account_id, bucket, account_id, 1 FROM accounts;
    ALTER TABLE subscriber_options DISABLE TRIGGER touch_subscriber;
    ALTER TABLE aliases DISABLE TRIGGER touch_subscriber;
    INSERT INTO subscriber_options (subscriber_id, tariff_id) SELECT subscriber_id, 1 FROM subscribers;
    INSERT INTO aliases (subscriber_id, alias, destination) SELECT subscriber_id, '1', '49' FROM subscribers;
    INSERT INTO exchanges (name, realm) VALUES ('pbx', 'pbx');
    INSERT INTO sip_accounts (bucket, subscriber_id, exchange_id) SELECT bucket, subscriber_id, exchange_id
        FROM subscribers, exchanges;
    INSERT INTO phonebook_entries (bucket, party_id, name, number, speeddial)
        SELECT 0, 1000 + n, 'name', '49', '1' FROM generate_series(1, {SUBSCRIBERS}) n;
    ALTER TABLE subscriber_options ENABLE TRIGGER touch_subscriber;
    ALTER TABLE aliases ENABLE TRIGGER touch_subscriber;
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    await publish_deck(database)
    async with database.connection() as connection:
        await connection.execute(MANY)
    yield database
    await database.close()


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every node of a plan."""
    return [plan] + [node for child in plan.get("Plans", ()) for node in nodes(child)]


@pytest.mark.parametrize("analyzed", [False, True], ids=["nothing was analyzed", "analyzed"])
async def test_one_login_is_one_probe_of_each_table(database, analyzed):
    if analyzed:
        await database.fetch("ANALYZE")

    text = await database.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {BY_LOGINS}", 0, ["login777"])

    found = nodes(orjson.loads(text)[0]["Plan"])
    assert {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"} == set()
    assert {node["Index Name"] for node in found if "Index Name" in node} == {
        "subscribers_bucket_login_key", "accounts_pkey", "subscriber_options_pkey",
        "aliases_bucket_subscriber_id_alias_key", "phonebook_by_speeddial", "sip_accounts_pkey",
    }  # fmt: skip
    assert max(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in found) <= 1


async def test_the_plan_that_is_made_once_for_all_logins_reads_the_same_indexes(database):
    async with database.connection() as connection:
        await connection.execute(f"PREPARE by_logins (smallint, text[]) AS {BY_LOGINS}")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        text = await connection.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE by_logins (0, '{login777}')")

    found = nodes(orjson.loads(text)[0]["Plan"])
    assert {node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"} == set()
