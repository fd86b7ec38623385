"""The money functions look calls up by their key, also in tables that nobody has analysed yet."""

from __future__ import annotations

import pytest

from rating_engine.storage.pool import Database


@pytest.mark.parametrize("table", ["reservations", "cdrs"])
async def test_a_call_is_looked_up_by_its_key_in_a_table_without_statistics(database_url: str, table: str) -> None:
    database = Database(database_url)
    await database.open()
    try:
        rows = await database.fetch(f"EXPLAIN SELECT * FROM {table} WHERE bucket = 0::smallint AND call_key = 'x'")
    finally:
        await database.close()
    plan = "\n".join(row[0] for row in rows)

    assert f"{table}_pkey" in plan
    assert "Index Cond: ((bucket = '0'::smallint) AND (call_key = 'x'::text))" in plan
