"""What the catalogue must look like for the schema to be distributed by bucket."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.cluster.cluster_form import CATALOGUE, FACTS, MONEY, SCOPED, tables_of


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def test_every_table_is_of_one_kind(connection):
    kinds = [tables_of(kind) for kind in (CATALOGUE, FACTS, SCOPED)]
    there = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )

    named = sorted(name for names in kinds for name in names)
    # schema_version is migrate's own; engine_secrets stands before the headings and is nobody's account either.
    assert {row["relname"] for row in there} - set(named) == {"schema_version", "engine_secrets"}
    assert len(named) == len(set(named))


async def test_every_unique_key_of_a_scoped_table_begins_with_its_bucket(connection):
    rows = await connection.fetch(
        """
        SELECT i.indexrelid::regclass::text AS name FROM pg_index i
        JOIN pg_class c ON c.oid = i.indrelid LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
        WHERE c.relname = ANY ($1) AND i.indisunique AND a.attname IS DISTINCT FROM 'bucket'""",
        tables_of(SCOPED),
    )

    assert [row["name"] for row in rows] == []


async def test_every_scoped_table_has_a_key(connection):
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_class c WHERE c.relname = ANY ($1) AND c.relkind = 'r' "
        "AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)",
        tables_of(SCOPED),
    )

    assert [row["relname"] for row in rows] == []


async def test_no_foreign_key_leaves_its_kind_and_between_scoped_tables_it_names_the_bucket(connection):
    kind_of = {name: kind for kind in (CATALOGUE, FACTS, SCOPED) for name in tables_of(kind)}
    rows = await connection.fetch(
        """
        SELECT o.conname, c.relname AS referring, f.relname AS referred, a.attname AS first
        FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_class f ON f.oid = o.confrelid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = o.conkey[1] WHERE o.contype = 'f'"""
    )

    assert rows
    leaving = [r["conname"] for r in rows if kind_of[r["referring"]] != kind_of[r["referred"]]]
    bucketless = [r["conname"] for r in rows if kind_of[r["referring"]] == SCOPED and r["first"] != "bucket"]
    assert (leaving, bucketless) == ([], [])


async def test_every_money_function_takes_the_bucket_first_and_answers_one_value(connection):
    rows = await connection.fetch(
        "SELECT proname, proargnames[1] AS first, proargtypes[0]::regtype::text AS type, proretset FROM pg_proc "
        "WHERE pronamespace = 'public'::regnamespace"
    )
    money = [row for row in rows if MONEY.match(row["proname"])]

    assert len({row["proname"].rpartition("_")[0] for row in money}) == 23
    assert [
        r["proname"] for r in money if (r["first"], r["type"], r["proretset"]) != ("p_bucket", "smallint", False)
    ] == []


async def test_no_function_in_language_sql_asks_a_scoped_table(connection):
    """It is planned without the bucket's value."""
    rows = await connection.fetch(
        "SELECT proname, prosrc FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang "
        "WHERE l.lanname = 'sql' AND p.pronamespace = 'public'::regnamespace"
    )
    scoped = set(tables_of(SCOPED))

    assert [row["proname"] for row in rows if scoped & set(words(row["prosrc"]))] == []


async def test_no_function_takes_or_declares_the_row_of_a_scoped_table(connection):
    """Such a type is another one on every shard."""
    rows = await connection.fetch(
        """
        SELECT proname FROM pg_proc p, unnest(COALESCE(p.proallargtypes, p.proargtypes::oid[])) AS argument
        JOIN pg_type t ON t.oid = argument JOIN pg_class c ON c.oid = t.typrelid
        WHERE c.relname = ANY ($1) AND p.pronamespace = 'public'::regnamespace""",
        tables_of(SCOPED),
    )

    assert [row["proname"] for row in rows] == []


async def test_triggers_of_scoped_tables_ask_no_table_of_the_catalogue_and_know_no_table_by_its_name(connection):
    """They run on the node of the row, over a shard that has another name."""
    rows = await connection.fetch(
        "SELECT DISTINCT p.proname, p.prosrc FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        "JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal AND c.relname = ANY ($1)",
        tables_of(SCOPED),
    )
    catalogue = set(tables_of(CATALOGUE))

    assert rows
    assert [row["proname"] for row in rows if catalogue & set(words(row["prosrc"]))] == []
    assert [row["proname"] for row in rows if re.search(r"TG_TABLE_NAME (=|LIKE)", row["prosrc"])] == []


def words(sql: str) -> list[str]:
    """Every word of a text but its comments."""
    return re.findall(r"\w+", re.sub(r"--[^\n]*", "", sql))
