"""How a database gets from one release to the next: steps, their locks, what is cut off, what is found to be mixed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from rating_engine.storage.postgres import migrate as migrating
from rating_engine.storage.postgres.migrate import MigrationFailed, SchemaTooNew, migrate
from rating_engine.storage.postgres.release import MARK, Mode, Release, Step
from rating_engine.storage.postgres.schema_state import SchemaUnreadable, read_state
from rating_engine.storage.postgres.type_shapes import TypeChangedShape
from tests.support.waiting import until

FUNCTIONS = "CREATE OR REPLACE FUNCTION answer() RETURNS integer LANGUAGE sql AS $$ SELECT {} $$;"
TABLES = "CREATE TABLE calls (id integer PRIMARY KEY, cost integer);"

FIRST = Release(f"{TABLES}\n{MARK}\n{FUNCTIONS.format(1)}")
ADD = Step(2, "add_price", "ALTER TABLE calls ADD COLUMN price integer;")
FILL = Step(
    3,
    "fill_price",
    "UPDATE calls SET price = cost WHERE id IN (SELECT id FROM calls WHERE price IS NULL LIMIT 10);",
    Mode.BATCHES,
    "SELECT count(*) FROM calls",
)
INDEX = Step(
    4,
    "index_price",
    "DROP INDEX CONCURRENTLY IF EXISTS by_price;\nCREATE INDEX CONCURRENTLY by_price ON calls (price);",
    Mode.STATEMENTS,
)
OVER = Step(5, "drop_cost", "ALTER TABLE calls DROP COLUMN cost;", with_functions=True)
SECOND = Release(
    "CREATE TABLE calls (id integer PRIMARY KEY, price integer); CREATE INDEX by_price ON calls (price);"
    f"\n{MARK}\n{FUNCTIONS.format(2)}",
    [ADD, FILL, INDEX, OVER],
    kept={1: "CREATE OR REPLACE FUNCTION old_answer() RETURNS integer LANGUAGE sql AS $$ SELECT 1 $$;"},
    dropped={1: "DROP FUNCTION old_answer();"},
)
THIRD = replace(SECOND, steps=[*SECOND.steps, Step(6, "nothing", "SELECT 1;", with_functions=True)], kept={})


@pytest.fixture
async def connection(empty_database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(empty_database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def first(empty_database_url: str, connection: asyncpg.Connection) -> asyncpg.Connection:
    """A database of the first release, with 35 calls."""
    await migrate(empty_database_url, release=FIRST)
    await connection.execute("INSERT INTO calls SELECT n, n * 2 FROM generate_series(1, 35) AS n")
    return connection


async def test_every_step_is_run_in_its_way_and_noted(empty_database_url, first):
    said: list[str] = []

    report = await migrate(empty_database_url, release=SECOND, on_progress=said.append)

    assert (report.before, report.after, report.keeps) == (1, 5, 1)
    assert await first.fetchval("SELECT sum(price) FROM calls") == 35 * 36
    assert await first.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'by_price'::regclass")
    assert await first.fetchval("SELECT answer()") == 2
    history = await first.fetch("SELECT version, name FROM schema_version ORDER BY applied")
    steps = [(2, "add_price"), (3, "fill_price"), (4, "index_price"), (5, "drop_cost")]
    assert [tuple(row) for row in history] == [(1, "schema"), *steps]
    assert said == ["0002 add price", "0003 fill price", "0004 index price", "0005 drop cost"]


async def test_what_is_kept_for_the_last_release_goes_when_it_is_said(empty_database_url, first):
    await migrate(empty_database_url, release=SECOND)
    assert await first.fetchval("SELECT old_answer()") == 1

    report = await migrate(empty_database_url, release=SECOND, drop_previous=True)

    assert report.keeps == 5
    assert await first.fetchval("SELECT to_regproc('old_answer') IS NULL")
    assert not (await migrate(empty_database_url, release=SECOND, drop_previous=True)).dropped


async def test_the_release_after_takes_away_what_was_kept_for_the_one_before(empty_database_url, first):
    await migrate(empty_database_url, release=SECOND)

    await migrate(empty_database_url, release=THIRD)

    assert await first.fetchval("SELECT to_regproc('old_answer') IS NULL")


async def test_a_new_database_keeps_nothing_for_anybody(empty_database_url, connection):
    report = await migrate(empty_database_url, release=SECOND)

    assert report.keeps == report.after == 5
    assert await connection.fetchval("SELECT to_regproc('old_answer') IS NULL")


async def test_other_functions_of_the_same_version_are_found_and_run_whole(empty_database_url, first):
    patched = replace(FIRST, schema=FIRST.schema.replace("SELECT 1", "SELECT 7"))
    found = (await read_state(first, patched)).problem(patched)
    assert found is not None
    assert "functions are those of another build" in found.what

    report = await migrate(empty_database_url, release=patched)

    assert report.renewed
    assert await first.fetchval("SELECT answer()") == 7
    assert (await read_state(first, patched)).problem(patched) is None


async def test_functions_changed_by_hand_are_found_and_put_right(empty_database_url, first):
    await first.execute(FUNCTIONS.format(13))
    found = (await read_state(first, FIRST)).problem(FIRST)
    assert found is not None
    assert "were changed since" in found.what

    await migrate(empty_database_url, release=FIRST)

    assert await first.fetchval("SELECT answer()") == 1
    assert (await read_state(first, FIRST)).problem(FIRST) is None


async def test_a_type_that_is_there_stays_the_very_same_and_another_shape_is_refused(empty_database_url, first):
    def with_type(fields: str, number: int) -> Release:
        return replace(FIRST, schema=f"{TABLES}\n{MARK}\nCREATE TYPE request AS ({fields});{FUNCTIONS.format(number)}")

    await migrate(empty_database_url, release=with_type("id integer, cost numeric(20, 6)", 2))
    made = await first.fetchval("SELECT 'request'::regtype::oid")
    await migrate(empty_database_url, release=with_type("id integer, cost numeric(20, 6)", 3))
    assert await first.fetchval("SELECT 'request'::regtype::oid") == made

    with pytest.raises(TypeChangedShape, match="type request is there in another shape"):
        await migrate(empty_database_url, release=with_type("id integer, cost numeric(20, 8)", 4))

    assert await first.fetchval("SELECT answer()") == 3


async def test_functions_of_somebody_else_are_no_business_of_ours(empty_database_url, first):
    await first.execute("CREATE FUNCTION of_the_operator() RETURNS integer LANGUAGE sql AS 'SELECT 1'")

    assert (await read_state(first, FIRST)).problem(FIRST) is None
    assert not (await migrate(empty_database_url, release=FIRST)).renewed


async def test_a_step_that_waits_for_a_lock_says_whose_and_lets_the_others_pass(empty_database_url, first, monkeypatch):
    monkeypatch.setattr(migrating, "LOCK_PAUSE_SECONDS", 0.05)
    said: list[str] = []
    holder = await asyncpg.connect(empty_database_url, server_settings={"application_name": "a report"})
    try:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("SELECT count(*) FROM calls")
        migration = asyncio.create_task(migrate(empty_database_url, release=SECOND, on_progress=said.append))
        await until(lambda: _has(said, "(try 2 of"))
        # Between two tries nobody waits: the table can be written.
        await first.execute("INSERT INTO calls VALUES (100, 1)")
        await transaction.rollback()
        report = await migration
    finally:
        await holder.close()

    assert report.after == 5
    waits = [line for line in said if "waits for" in line]
    assert all(line.startswith("step 0002 add_price waits for session ") for line in waits)
    assert all("(a report, user " in line for line in waits)


async def test_who_never_lets_go_is_named_and_what_was_done_stays(empty_database_url, first, monkeypatch):
    monkeypatch.setattr(migrating, "LOCK_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(migrating, "LOCK_SECONDS", 0.3)
    monkeypatch.setattr(migrating, "LOCK_TRIES", 2)
    other = replace(SECOND, steps=[Step(2, "new_table", "CREATE TABLE other ();"), *map(_later, SECOND.steps)])
    holder = await asyncpg.connect(empty_database_url, server_settings={"application_name": "a report"})
    try:
        async with holder.transaction():
            await holder.execute("LOCK TABLE calls IN ACCESS SHARE MODE")
            with pytest.raises(MigrationFailed, match=r"at version 2, .*step 0003 add_price waits for .*\(a report,"):
                await migrate(empty_database_url, release=other)
    finally:
        await holder.close()

    assert (await migrate(empty_database_url, release=other)).before == 2


async def test_a_batch_that_fails_leaves_the_batches_before_it(empty_database_url, first):
    await first.execute("UPDATE calls SET cost = 0 WHERE id = 35")
    fill = replace(FILL, sql=FILL.sql.replace("price = cost", "price = 70 / cost"))

    with pytest.raises(MigrationFailed, match="division by zero"):
        await migrate(empty_database_url, release=replace(SECOND, steps=[ADD, fill, INDEX, OVER]))

    assert await first.fetchval("SELECT count(price) FROM calls") == 30
    await first.execute("UPDATE calls SET cost = 70 WHERE id = 35")
    await migrate(empty_database_url, release=SECOND)
    assert await first.fetchval("SELECT count(price) FROM calls") == 35


async def test_a_step_that_fails_leaves_nothing_of_itself(empty_database_url, first):
    broken = Step(2, "broken", "CREATE TABLE half (); SELECT 1 / 0;")

    with pytest.raises(MigrationFailed, match="nothing was migrated: division by zero"):
        await migrate(empty_database_url, release=replace(SECOND, steps=[broken]))

    assert await first.fetchval("SELECT to_regclass('half') IS NULL")
    assert (await read_state(first, FIRST)).version == 1


async def test_a_database_of_a_newer_release_is_left_alone(empty_database_url, first):
    await migrate(empty_database_url, release=SECOND)

    with pytest.raises(SchemaTooNew, match="has schema version 5, this engine knows 1"):
        await migrate(empty_database_url, release=FIRST)

    assert await first.fetchval("SELECT answer()") == 2


async def test_an_engine_under_a_newer_schema_is_told_whether_calls_go_on(empty_database_url, first):
    await migrate(empty_database_url, release=SECOND)
    kept = (await read_state(first, FIRST)).problem(FIRST)
    await migrate(empty_database_url, release=SECOND, drop_previous=True)
    gone = (await read_state(first, FIRST)).problem(FIRST)

    assert kept is not None
    assert kept.goes_on
    assert "calls go on until that engine takes over" in str(kept)
    assert gone is not None
    assert not gone.goes_on


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DELETE FROM schema_version", "schema_version is empty"),
        ("DROP TABLE schema_version; CREATE TABLE schema_version (version integer)", "schema_version is empty"),
        ("DROP TABLE schema_version; CREATE TABLE schema_version (version text)", "schema_version is empty"),
        ("DROP TABLE schema_version; CREATE TABLE schema_version (what text)", "it has no column version"),
        ("DROP TABLE schema_version; CREATE TABLE schema_version AS SELECT 'x' AS version", "says x, which no release"),
        ("DROP TABLE schema_version; CREATE TABLE schema_version AS SELECT 77 AS version", "says 77, which no release"),
    ],
)
async def test_a_history_that_says_nothing_is_one_clear_error_and_nothing_is_done(
    empty_database_url, first, change, said
):
    await first.execute(change)

    with pytest.raises(SchemaUnreadable, match=said):
        await migrate(empty_database_url, release=SECOND)

    assert await first.fetchval("SELECT answer()") == 1


async def _has(said: list[str], part: str) -> bool:
    return any(part in line for line in said)


def _later(step: Step) -> Step:
    return replace(step, version=step.version + 1)
