"""What the old release wrote is kept by an upgrade: row by row in its own shapes, and as the new code reads it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rating_engine.domain.outcomes import CallKey, FinishCall
from rating_engine.domain.reservation import EndedCall, OpenCall
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.postgres.migrate import migrate
from rating_engine.storage.postgres.pool import Database
from tests.support.engines import engine_on
from tests.upgrade.catalogue import catalogue, differences
from tests.upgrade.old_release import OldRelease

FILL = Path(__file__).with_name("fill.py")

# Everything that version 1 has rows of. Columns that were not there then are left out of the comparison.
TABLES = (
    *("accounts", "account_prefixes", "subscribers", "subscriber_options", "aliases", "package_usage", "reservations"),
    *("cdrs", "ledger_entries", "rerates", "rerate_items", "tariffs", "rate_decks", "rates", "packages", "directions"),
    *("routes", "route_load"),
)


@pytest.fixture
async def database(old_release: OldRelease, old_database_url: str) -> AsyncIterator[Database]:
    """Filled by the old release."""
    old_release.run(FILL, old_database_url)
    database = Database(old_database_url)
    await database.open()
    yield database
    await database.close()


async def rows_of(database: Database, columns: dict[str, list[str]]) -> dict[str, list[dict[str, Any]]]:
    """Every row of the tables, with these columns, in the order of what they say."""
    found = {}
    for table, names in columns.items():
        wanted = ", ".join(f"t.{name}" for name in names)
        rows = await database.fetch(f"SELECT to_jsonb(r)::text AS row FROM (SELECT {wanted} FROM {table} t) r")
        found[table] = sorted((json.loads(row["row"]) for row in rows), key=lambda row: json.dumps(row, sort_keys=True))
    return found


async def columns_of(database: Database) -> dict[str, list[str]]:
    rows = await database.fetch(
        "SELECT attrelid::regclass::text AS place, array_agg(attname::text ORDER BY attnum) AS names FROM pg_attribute "
        "WHERE attrelid = ANY ($1::text[]::regclass[]) AND attnum > 0 AND NOT attisdropped GROUP BY 1",
        TABLES,
    )
    return {row["place"]: row["names"] for row in rows}


async def test_every_row_is_there_and_says_what_it_said(database, old_database_url):
    columns = await columns_of(database)
    before = await rows_of(database, columns)
    assert min(map(len, before.values())) > 0, {table for table, rows in before.items() if not rows}

    await migrate(old_database_url)

    assert await rows_of(database, columns) == before


async def test_the_rates_are_not_rewritten_and_the_directory_is_made_of_them(database, old_database_url):
    was = await database.fetchval("SELECT pg_relation_filenode('rates')")

    await migrate(old_database_url)

    assert await database.fetchval("SELECT pg_relation_filenode('rates')") == was
    wrong = await database.fetchval(
        "SELECT count(*) FROM rates r JOIN tariffs t ON r.deck_id = deck_at(t.tariff_id, now()) AND r.direction <> '' "
        "LEFT JOIN direction_prefixes p USING (prefix, direction) "
        "WHERE p.prefix IS NULL AND NOT EXISTS (SELECT FROM routes c WHERE c.cost_tariff_id = t.tariff_id)"
    )
    assert (wrong, await database.fetchval("SELECT count(*) > 0 FROM direction_prefixes")) == (0, True)


# What money functions read of the catalogue, and the question whose answer it must be.
FACTS = {
    "SELECT tariff_id, name, version, is_option, time_zone FROM tariff_terms":
        "SELECT tariff_id, name, version, is_option, time_zone FROM tariffs",
    "SELECT package_id, tariff_id, seconds, carry_over, period, created_at FROM package_terms":
        "SELECT package_id, tariff_id, seconds, carry_over, period, created_at FROM packages",
    "SELECT route_id, enabled, max_calls, max_calls_per_second, shared FROM route_limits":
        "SELECT route_id, enabled, max_calls, max_calls_per_second, false FROM routes",
    "SELECT login, bucket FROM logins": "SELECT login, bucket FROM subscribers",
    "SELECT rerate_id, bucket FROM open_rerates": "SELECT DISTINCT rerate_id, bucket FROM rerate_items",
    "SELECT bucket, subscriber_id FROM subscriber_options": "SELECT bucket, subscriber_id FROM subscribers "
        "WHERE login = '1001'",
}  # fmt: skip


async def test_what_money_functions_read_of_the_catalogue_is_filled(database, old_database_url):
    await migrate(old_database_url)

    for facts, catalogue_of_them in FACTS.items():
        rows = {tuple(row) for row in await database.fetch(facts)}
        assert rows == {tuple(row) for row in await database.fetch(catalogue_of_them)}, facts
        assert rows, facts


async def test_the_money_laws_hold_before_and_after_the_old_shapes_are_dropped(database, old_database_url):
    await migrate(old_database_url)
    kept = await ledger_balanced(database)
    await migrate(old_database_url, drop_previous=True)
    dropped = await ledger_balanced(database)

    # The fill has one call that nobody could price, which the doctor names, as it did before.
    assert [finding.what for finding in kept] == [finding.what for finding in dropped]
    assert ["without a rate" in finding.what for finding in dropped] == [True]


async def test_a_filled_database_is_the_same_as_a_new_one_too(database, old_database_url, database_url):
    await migrate(old_database_url)
    await migrate(old_database_url, drop_previous=True)

    new = Database(database_url)
    await new.open()
    async with database.connection() as one, new.connection() as other:
        assert differences(await catalogue(other), await catalogue(one)) == []
    await new.close()


async def test_a_frozen_rate_is_kept_once_and_found_with_its_calls(database, old_database_url):
    rates = await database.fetch(
        "SELECT call_key, rate, carrier_rate FROM cdrs UNION ALL SELECT call_key, rate, carrier_rate FROM reservations"
    )
    await migrate(old_database_url)

    ledger = Ledger(database)
    for row in rates:
        exchange, uniqueid, attempt = row["call_key"].split("/")
        call = await ledger.find(0, CallKey(exchange, uniqueid, int(attempt)))
        assert isinstance(call, OpenCall | EndedCall)
        assert (call.details.rate, call.details.carrier_rate) == (row["rate"], row["carrier_rate"])
    texts = {text for row in rates for text in (row["rate"], row["carrier_rate"]) if text}
    assert {row["rate"] for row in await database.fetch("SELECT rate FROM frozen_rates")} == texts
    assert await database.fetchval("SELECT count(*) FROM frozen_rates") == len(texts)


async def test_calls_that_were_open_over_the_upgrade_end_at_their_frozen_price_and_entries_go_on_in_order(
    database, old_database_url
):
    open_calls = await database.fetch("SELECT call_key, account_id, destination FROM reservations")
    subscribers = await database.fetch("SELECT account_id, login FROM subscribers")
    logins = {row["account_id"]: row["login"] for row in subscribers}
    assert open_calls
    await migrate(old_database_url)
    await migrate(old_database_url, drop_previous=True)

    async with engine_on(old_database_url) as engine:
        for row in open_calls:
            exchange, uniqueid, _ = row["call_key"].split("/")
            finish = FinishCall(
                CallKey(exchange, uniqueid, 1), logins[row["account_id"]], row["destination"], 700, "ANSWER", 16
            )
            assert type(await engine.charging.finish_call(finish)).__name__ == "Saved"

    assert await database.fetchval("SELECT count(*) FROM reservations") == 0
    assert await database.fetchval("SELECT sum(open_calls) FROM route_load") == 0
    entries = await database.fetch(
        "SELECT account_id, entry_id, balance_after - amount AS before, "
        "lag(balance_after, 1, 0) OVER (PARTITION BY account_id ORDER BY entry_id) AS last FROM ledger_entries"
    )
    assert all(entry["before"] == entry["last"] for entry in entries)
    assert await database.fetchval("SELECT bool_and(last_entry IS NULL OR last_entry = (SELECT max(entry_id) FROM "
                                   "ledger_entries e WHERE e.account_id = a.account_id)) FROM accounts a")  # fmt: skip
    assert len(await ledger_balanced(database)) == 1  # the call without a rate


async def test_an_operator_of_the_old_release_works_on_the_new_schema_and_the_new_one_sees_it(
    old_release, database, old_database_url
):
    await migrate(old_database_url)

    old_release.run(FILL, "manage", old_database_url)

    there = await database.fetchrow(
        "SELECT a.balance, a.max_calls FROM accounts a JOIN subscribers s USING (bucket, account_id) "
        "WHERE s.login = '2002'"
    )
    assert tuple(there) == (10, 3)
    assert await database.fetchval("SELECT count(*) FROM logins WHERE login IN ('2001', '2002')") == 2
    assert await database.fetchval("SELECT max_calls FROM route_limits JOIN routes USING (route_id, max_calls) "
                                   "WHERE name = 'another'") == 5  # fmt: skip
    assert len(await ledger_balanced(database)) == 1  # the call without a rate
