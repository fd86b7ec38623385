"""The money functions look calls up by their key, also in tables that nobody has analysed since they were empty."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.reservation import PackageUse, SettleOutcome
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.calls.package_usage import package_states
from rating_engine.storage.calls.past_calls import PORTION_QUERY
from rating_engine.storage.postgres.pool import Database
from tests.support.world import Deck, add_account, details_of, publish_deck, reserve_request, settle_request

THIS_MONTH = datetime.now(UTC).date().replace(day=1)
CALLS = 100_000
FEW = 1_000  # rows, those of indexes and of the table: eight calls of some statements each

_FILL_RESERVATIONS = f"""
    INSERT INTO open_calls
    SELECT (jsonb_populate_record(r, jsonb_build_object('call_key', 'test/filling-' || n || '/1', 'held', 0))).*
    FROM open_calls r, generate_series(1, {CALLS}) n"""
_FILL_CDRS = f"""
    INSERT INTO call_records
    SELECT (jsonb_populate_record(c, jsonb_build_object('call_key', 'test/ended-' || n || '/1'))).*
    FROM call_records c, generate_series(1, {CALLS}) n"""
_FILL_USAGE = f"""
    INSERT INTO package_usage SELECT 0, 1, 1000 + n, 1, '{THIS_MONTH}', 100 FROM generate_series(1, {CALLS}) n"""
_READ = """
    SELECT relname, seq_tup_read + COALESCE(idx_tup_fetch, 0) + COALESCE(
        (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid), 0) AS rows
    FROM pg_stat_user_tables t"""


@pytest.fixture(params=[True, False], ids=["planned once", "planned for each value"])
async def database(database_url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=120, generic_plans=request.param)
    await database.open()
    yield database
    await database.close()


async def rows_read(database: Database) -> dict[str, int]:
    """So far, by table, from the table itself and from its indexes."""
    async with database.connection() as connection:
        await connection.execute("SELECT pg_stat_force_next_flush()")
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        return {row["relname"]: row["rows"] for row in await connection.fetch(_READ)}


@pytest.mark.parametrize("table", ["open_calls", "call_records"])
async def test_a_call_is_looked_up_by_its_key_in_a_table_without_statistics(database: Database, table: str) -> None:
    rows = await database.fetch(f"EXPLAIN SELECT * FROM {table} WHERE bucket = 0::smallint AND call_key = 'x'")
    plan = "\n".join(row[0] for row in rows)

    assert f"{table}_pkey" in plan
    assert "Index Cond: ((bucket = '0'::smallint) AND (call_key = 'x'::text))" in plan


async def test_what_is_asked_for_each_call_goes_into_the_query_that_asks(database: Database) -> None:
    """Called by itself, a function of SQL is planned, begun and ended anew for each row."""
    asked = "local_date day_left month_left is_unlimited amount_granted same_call contradicts end_of_call amount_due"
    for name in asked.split():
        types = await database.fetchval("SELECT proargtypes::regtype[]::text[] FROM pg_proc WHERE proname = $1", name)
        places = [f"a{place}" for place in range(len(types))]
        values = ", ".join(f"NULL::{kind} AS {place}" for kind, place in zip(types, places, strict=True))
        rows = await database.fetch(
            f"EXPLAIN (VERBOSE) SELECT {name}({', '.join(places)}) FROM (SELECT {values} OFFSET 0)"
        )
        assert f"{name}(" not in "\n".join(row[0] for row in rows)


async def test_the_accounts_of_calls_are_found_by_their_ids_among_few_that_nobody_has_analysed(
    database: Database,
) -> None:
    deck = await publish_deck(database)
    subscriber = await add_account(database, balance="1000")
    await database.fetch("ALTER TABLE accounts SET (autovacuum_enabled = off)")
    await database.fetch(
        "INSERT INTO accounts"
        " SELECT (jsonb_populate_record(a, jsonb_build_object('account_id', 1000 + n, 'balance', 0))).*"
        " FROM accounts a, generate_series(1, 100) n"
    )
    ledger = Ledger(database)

    before = await rows_read(database)
    await ledger.reserve(reserve_request(subscriber, deck, "one"))
    await ledger.settle(settle_request(subscriber, "one", seconds=1, cost="0.01"))
    after = await rows_read(database)

    assert after["accounts"] - before["accounts"] < 50


async def test_cdrs_are_gone_through_by_their_key_a_portion_at_a_time(database: Database) -> None:
    await database.fetch(
        "INSERT INTO call_records (bucket, call_key, account_id, subscriber_id, state, source, exchange, attempt,"
        " callerid, destination, direction, prefix, tariff_id, deck_id, route_name, currency, granted, seconds,"
        " billed_seconds, cost, disposition, cause, prepared_at, ended_at)"
        " SELECT 0, md5(n::text), 1, 1, 'settled', 'finish', 'pbx', 1, '', '49', '', '', 1, 1,"
        " '', 'EUR', 1, 1, 1, 0, 'ANSWER', 16, now(), now() FROM generate_series(1, 60000) n"
    )
    await database.fetch("ANALYZE call_records")
    range_ = (1, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), None, "")
    rows = await database.fetch(f"EXPLAIN {PORTION_QUERY}", 0, "8", *range_)
    plan = "\n".join(row[0] for row in rows)

    assert "Index Scan using call_records_pkey on call_records" in plan
    assert "Seq Scan on call_records" not in plan


@pytest.mark.breaks_books
@pytest.mark.parametrize("analysed", ["before", "after"])
async def test_calls_on_packages_and_limited_routes_read_a_few_rows_of_full_tables(
    database: Database, analysed: str
) -> None:
    deck = await publish_deck(database)
    subscriber = await add_account(database, balance="1000")
    await database.fetch(
        "INSERT INTO packages (tariff_id, name, kind, seconds) SELECT tariff_id, 'p', 'free', 100000 FROM tariffs"
    )
    await database.fetch("INSERT INTO routes (name, position, max_calls) VALUES ('r', 1, 1000)")
    deck = replace(deck, tariff_version=await database.fetchval("SELECT version FROM tariffs"))
    await fill(database, subscriber, deck, analysed)
    ledger = Ledger(database)

    before = await rows_read(database)
    await prepare_and_end(ledger, database, subscriber, deck)
    after = await rows_read(database)

    read = {table: after[table] - before.get(table, 0) for table in ("open_calls", "call_records", "package_usage")}
    assert {table for table, rows in read.items() if rows > FEW} == set(), read


async def fill(database: Database, subscriber: Subscriber, deck: Deck, analysed: str) -> None:
    """Tables of a busy evening, with the statistics of an empty morning, or of now."""
    for table in ("open_calls", "call_records", "package_usage"):
        await database.fetch(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
        await database.fetch(f"ANALYZE {table}")
    await database.fetch("ALTER INDEX call_records_by_end SET (autosummarize = off)")  # it reads the whole table, too
    ledger = Ledger(database)
    for name in ("model", "model-ended"):
        await ledger.reserve(reserve_request(subscriber, deck, name))
    await ledger.settle(settle_request(subscriber, "model-ended", seconds=1, cost="0.01"))
    for statement in (_FILL_RESERVATIONS, _FILL_CDRS, _FILL_USAGE):
        await database.fetch(statement)
    if analysed == "after":
        await database.fetch("ANALYZE")


async def prepare_and_end(ledger: Ledger, database: Database, subscriber: Subscriber, deck: Deck) -> None:
    """Eight calls that hold minutes of a package, ask for more of them when they end, and are ended twice."""
    package = PackageUse(1, THIS_MONTH, 60)
    for number in range(8):
        request = reserve_request(subscriber, deck, f"{number}")
        details = replace(details_of(subscriber, deck), packages=(package,))
        await ledger.reserve(replace(request, details=details, limited_route=1))
        await package_states(database, 0, subscriber.subscriber_id, [(1, THIS_MONTH)])
        end = settle_request(subscriber, f"{number}", seconds=90, cost="0")
        end = replace(end, covered_seconds=90, packages=(replace(package, seconds=90),))
        assert (await ledger.settle(end)).outcome is SettleOutcome.SETTLED
        assert (await ledger.settle(end)).outcome is SettleOutcome.REPEATED
