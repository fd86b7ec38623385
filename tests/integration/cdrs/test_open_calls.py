"""What the watcher asks of the table of open calls every second: by its key, whatever else is in the table."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from rating_engine.domain.outcomes import CallKey
from rating_engine.storage.calls import open_calls
from rating_engine.storage.calls.open_calls import Sighting, note_seen, open_calls_of, open_calls_of_channels
from rating_engine.storage.postgres.pool import Database

CALLS = 5_000
FILL = f"""
    INSERT INTO open_calls (bucket, call_key, account_id, subscriber_id, held, granted, cap_seconds, exchange, attempt,
        callerid, destination, direction, prefix, tariff_id, deck_id, route_name, route_prefix, quota, prepared_at,
        expires_at)
    SELECT 0, 'pbx' || n % 3 || '/' || n || '.7/1', n, n, 1, 1, 60, 'pbx' || n % 3, 1, '', '4912', '', '49', 1, 1,
           'default', '', false, now() - interval '1 hour', now() + interval '1 hour'
    FROM generate_series(1, {CALLS}) AS n
"""

pytestmark = pytest.mark.breaks_books


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Thousands of open calls on three exchanges."""
    database = Database(database_url)
    await database.open()
    await database.fetch(FILL)
    await database.fetch("ANALYZE open_calls")
    yield database
    await database.close()


async def plan(database: Database, query: str, *args: object) -> str:
    return "\n".join(row[0] for row in await database.fetch(f"EXPLAIN {query}", *args))


async def test_calls_of_channels_are_found_by_their_key(database):
    text = await plan(database, open_calls._OF_CHANNELS, 0, ["pbx1/7.7", "pbx1/10.7"])
    assert "open_calls_pkey" in text
    assert "Seq Scan" not in text


async def test_what_was_seen_is_written_by_the_key(database):
    now = datetime.now(UTC)
    text = await plan(database, open_calls._NOTE_SEEN, 0, ["pbx1/7.7/1"], [now], [now])
    assert re.findall(r"Seq Scan on open_calls", text) == []


async def test_every_attempt_of_a_channel_is_found_and_of_no_other(database):
    await database.fetch(
        "UPDATE reservations SET call_key = CASE account_id WHEN 1 THEN 'pbx1/7.7/2' WHEN 2 THEN 'pbx1/7.7/12'"
        " WHEN 3 THEN 'pbx1/7.70/1' WHEN 4 THEN 'pbx1/7.7x/1' END, attempt = account_id WHERE account_id <= 4"
    )
    found = await open_calls_of_channels(database, "pbx1", ["7.7"], buckets=1)
    assert {str(call.call_key).rpartition("/")[0] for call in found} == {"pbx1/7.7"}
    assert len(found) == 3


async def test_all_calls_of_an_exchange_are_read_page_by_page(database, monkeypatch):
    monkeypatch.setattr(open_calls, "PAGE", 100)
    monkeypatch.setattr(open_calls, "_OF_EXCHANGE", open_calls._OF_EXCHANGE.replace("LIMIT 2000", "LIMIT 100"))
    found = await open_calls_of(database, "pbx2")
    expected = await database.fetchval("SELECT count(*) FROM reservations WHERE exchange = 'pbx2'")
    assert len({call.call_key for call in found}) == len(found) == expected
    assert {call.call_key.exchange for call in found} == {"pbx2"}


async def test_more_calls_than_one_statement_takes_are_all_noted(database, monkeypatch):
    monkeypatch.setattr(open_calls, "PAGE", 100)
    now = datetime.now(UTC)
    sightings = [Sighting(0, call.call_key, None, now) for call in await open_calls_of(database, "pbx2")][:250]
    assert await note_seen(database, sightings) == {sighting.call_key for sighting in sightings}
    assert await database.fetchval("SELECT count(*) FROM reservations WHERE last_seen_at = $1", now) == 250


async def test_a_call_that_has_ended_is_not_noted(database):
    gone = Sighting(0, CallKey("pbx1", "nobody"), None, datetime.now(UTC))
    assert await note_seen(database, [gone]) == set()


async def test_an_earlier_sighting_does_not_undo_a_later_one(database):
    (call, *_) = await open_calls_of(database, "pbx1")
    late, early = datetime(2030, 1, 2, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    for seen_at in (late, early):
        await note_seen(database, [Sighting(0, call.call_key, None, seen_at)])
    assert await database.fetchval("SELECT max(last_seen_at) FROM reservations") == late
