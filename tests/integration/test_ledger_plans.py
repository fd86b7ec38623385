"""The money functions look calls up by their key, also in tables that nobody has analysed yet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rating_engine.storage.past_calls import PORTION_QUERY
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


async def test_cdrs_are_gone_through_by_their_key_a_portion_at_a_time(database_url: str) -> None:
    database = Database(database_url, timeout_seconds=60)
    await database.open()
    try:
        await database.fetch(
            "INSERT INTO cdrs SELECT 0, md5(n::text), 1, 1, 'settled', 'finish', 'pbx', 1, '', '49', '', '', 1, 1, '',"
            " '', 'EUR', 1, 1, 1, 0, 0, 'ANSWER', 16, now(), NULL, now() FROM generate_series(1, 60000) n"
        )
        await database.fetch("ANALYZE cdrs")
        range_ = (1, datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), None, "")
        rows = await database.fetch(f"EXPLAIN {PORTION_QUERY}", 0, "8", *range_)
    finally:
        await database.close()
    plan = "\n".join(row[0] for row in rows)

    assert "Index Scan using cdrs_pkey on cdrs" in plan
    assert "Seq Scan on cdrs" not in plan
