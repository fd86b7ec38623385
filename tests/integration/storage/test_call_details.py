"""The record of a call is one thing: in Python, as a type, and as the columns of both tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal

import pytest

from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import CallDetails, OpenCall, PackageUse
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.postgres.pool import Database
from tests.support.world import add_account, details_of, publish_deck, reserve_request, settle_request

ATTRIBUTES = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


async def columns(database: Database, relation: str) -> list[str]:
    return [row[0] for row in await database.fetch(ATTRIBUTES, relation)]


async def test_its_fields_are_those_of_the_type_and_columns_of_both_tables_in_their_order(database: Database) -> None:
    names = [field.name for field in fields(CallDetails)]
    kept = [{"rate": "rate_key", "carrier_rate": "carrier_rate_key"}.get(name, name) for name in names]

    assert await columns(database, "call_details_v4") == names
    assert await columns(database, "kept_details_v4") == kept
    for table in ("open_calls", "call_records"):
        found = await columns(database, table)
        first = found[found.index("subscriber_id") : found.index("channel") + 1]
        last = found[found.index("from_originate") : found.index("resellers") + 1]
        assert first + last == kept


async def test_what_is_reserved_is_found_open_and_found_ended_the_same(database: Database) -> None:
    deck = await publish_deck(database)
    subscriber = await add_account(database, balance="10")
    await database.fetch(
        "INSERT INTO packages (tariff_id, name, kind) SELECT tariff_id, 'v', 'volume' FROM tariffs RETURNING 1"
    )
    deck = replace(deck, tariff_version=await database.fetchval("SELECT version FROM tariffs"))
    details = replace(
        details_of(subscriber, deck), routing_number="4977", carrier_rate='{"price_1":"0.1"}', carrier_currency="USD",
        carrier_exchange=Decimal("0.9"), packages=(PackageUse(1, date(2026, 11, 1), 0),), channel="SIP/a-1",
        from_originate="true", source_address="10.0.0.1", originated_by="user", is_did="49301",
    )  # fmt: skip
    ledger = Ledger(database)
    await ledger.reserve(replace(reserve_request(subscriber, deck, "1"), details=details))
    found = await ledger.find(0, CallKey("test", "1"))
    assert isinstance(found, OpenCall)
    assert found.details == details

    await ledger.settle(settle_request(subscriber, "1", seconds=9, cost="0.09"))
    ended = await ledger.find(0, CallKey("test", "1"))
    assert ended is not None
    assert ended.details == replace(details, packages=(PackageUse(1, date(2026, 11, 1), 9),))


async def test_the_text_of_a_rate_is_kept_once_however_many_calls_go_by_it(database: Database) -> None:
    deck = await publish_deck(database)
    subscriber = await add_account(database, balance="10")
    ledger = Ledger(database)
    for number in range(3):
        await ledger.reserve(reserve_request(subscriber, deck, str(number), maximum="0.1"))
    await ledger.settle(settle_request(subscriber, "0", seconds=9, cost="0.09"))

    rates = [row[0] for row in await database.fetch("SELECT rate FROM frozen_rates")]
    assert rates == [details_of(subscriber, deck).rate]
    assert await database.fetchval("SELECT count(*) FROM reservations WHERE rate = $1", rates[0]) == 2
    assert await database.fetchval("SELECT count(*) FROM cdrs WHERE rate = $1", rates[0]) == 1


async def test_two_texts_of_one_hash_are_kept_apart(database: Database) -> None:
    await database.fetch("INSERT INTO frozen_rates VALUES (0, hashtextextended('new', 0), 'another')")
    key = await database.fetchval("SELECT freeze_rate(0::smallint, 'new')")

    assert await database.fetchval("SELECT rate FROM frozen_rates WHERE rate_key = $1", key) == "new"
    assert await database.fetchval("SELECT count(*) FROM frozen_rates") == 2
