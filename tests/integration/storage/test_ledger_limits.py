"""What the ledger may not get wrong at its edges: days that are over, counters, amounts that no column holds, calls
that look like one another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.reservation import ReserveOutcome, SettleOutcome, SettleSource
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.laws import LAWS, breaches_of
from rating_engine.storage.postgres.pool import Database
from tests.support.world import Deck, add_account, details_of, publish_deck, reserve_request, settle_request

MOST = Decimal("99999999999999.999999")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, timeout_seconds=30)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
async def deck(database: Database) -> Deck:
    return await publish_deck(database)


@pytest.fixture
async def subscriber(database: Database, deck: Deck) -> AsyncIterator[Subscriber]:
    yield await add_account(database, balance="100")
    broken = [found for law in LAWS if law.name != "charged_whole" for found in await breaches_of(database, law)]
    assert broken == []


async def spent(database: Database) -> tuple[Decimal, Decimal]:
    row = await database.fetchrow("SELECT day_spent, month_spent FROM accounts")
    assert row is not None
    return row[0], row[1]


async def talk(ledger: Ledger, subscriber: Subscriber, deck: Deck, name: str, cost: str, **how: Any) -> None:
    await ledger.reserve(reserve_request(subscriber, deck, name, maximum=cost))
    answer = await ledger.settle(replace(settle_request(subscriber, name, seconds=60, cost=cost), **how))
    assert answer.outcome is SettleOutcome.SETTLED


# -- days ------------------------------------------------------------------------------------------------------------


async def test_what_is_given_back_of_yesterdays_call_lets_nobody_spend_more_today(database, ledger, deck, subscriber):
    await database.fetch("UPDATE accounts SET daily_limit = 5")
    await talk(ledger, subscriber, deck, "1", "4.60", source=SettleSource.RECONCILED)
    # That was yesterday, in this month or the last.
    await database.fetch("UPDATE call_records SET charged_on = charged_on - 1")
    await database.fetch("UPDATE accounts SET spent_on = spent_on - 1")

    late = settle_request(subscriber, "1", seconds=1, cost="0")
    assert (await ledger.settle(late)).outcome is SettleOutcome.SETTLED
    assert (await spent(database))[0] == 0
    answer = await ledger.reserve(reserve_request(subscriber, deck, "2", minimum="5.01", maximum="9.60"))
    assert answer.outcome is ReserveOutcome.DAILY_LIMIT
    answer = await ledger.reserve(reserve_request(subscriber, deck, "3", maximum="9.60"))
    assert answer.granted == 5


async def test_what_is_given_back_of_todays_call_can_be_spent_today(database, ledger, deck, subscriber):
    await talk(ledger, subscriber, deck, "1", "4.60", source=SettleSource.RECONCILED)
    await ledger.settle(settle_request(subscriber, "1", seconds=1, cost="0.60"))

    assert await spent(database) == (Decimal("0.60"), Decimal("0.60"))


async def test_what_was_charged_in_another_month_is_not_of_this_one(database, ledger, deck, subscriber):
    await talk(ledger, subscriber, deck, "1", "4.60", source=SettleSource.RECONCILED)
    await database.fetch("UPDATE call_records SET charged_on = charged_on - 32")
    await database.fetch("UPDATE accounts SET spent_on = spent_on - 32")
    await ledger.settle(settle_request(subscriber, "1", seconds=1, cost="5.60"))

    assert await spent(database) == (0, 0)


async def test_a_call_that_was_charged_nothing_counts_on_the_day_it_is_charged(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", lifetime_seconds=0))
    assert await ledger.expire(0) == 1
    await database.fetch("UPDATE call_records SET charged_on = charged_on - 1")
    await ledger.settle(settle_request(subscriber, "1", seconds=60, cost="0.60"))

    assert await spent(database) == (Decimal("0.60"), Decimal("0.60"))


# -- calls of one login ----------------------------------------------------------------------------------------------


async def test_a_login_has_as_many_calls_as_it_may_however_many_come_at_once(database, ledger, deck, subscriber):
    await database.fetch("UPDATE subscribers SET max_calls = 3")
    subscriber = replace(subscriber, version=await database.fetchval("SELECT version FROM subscribers"))
    rows = await ledger._reserve_batch(
        [reserve_request(subscriber, deck, str(number), maximum="0.1") for number in range(8)]
    )
    assert [row.outcome for row in rows].count(ReserveOutcome.RESERVED) == 3
    assert await database.fetchval("SELECT open_calls FROM subscriber_load") == 3
    await ledger.settle(settle_request(subscriber, "0", seconds=0, cost="0"))
    outcomes = [
        (await ledger.reserve(reserve_request(subscriber, deck, f"more-{number}", maximum="0.1"))).outcome
        for number in range(2)
    ]
    assert outcomes == [ReserveOutcome.RESERVED, ReserveOutcome.TOO_MANY_CALLS]


async def test_calls_that_were_open_before_a_limit_came_count_for_it(database, ledger, deck, subscriber):
    for number in range(4):
        await ledger.reserve(reserve_request(subscriber, deck, str(number), maximum="0.1"))
    await database.fetch("UPDATE subscribers SET max_calls = 4")
    subscriber = replace(subscriber, version=await database.fetchval("SELECT version FROM subscribers"))
    answer = await ledger.reserve(reserve_request(subscriber, deck, "5", maximum="0.1"))
    assert answer.outcome is ReserveOutcome.TOO_MANY_CALLS
    await ledger.settle(settle_request(subscriber, "0", seconds=9, cost="0.09"))
    answer = await ledger.reserve(reserve_request(subscriber, deck, "6", maximum="0.1"))
    assert answer.outcome is ReserveOutcome.RESERVED


async def test_a_call_of_a_login_with_very_many_open_ones_reads_a_few_rows(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "model", maximum="0"))
    await database.fetch(
        "INSERT INTO open_calls SELECT (jsonb_populate_record(o, jsonb_build_object('call_key', 'x/' || n || '/1'))).* "
        "FROM open_calls o, generate_series(1, 20000) n"
    )
    await database.fetch("UPDATE accounts SET open_calls = 20001, reserved = (SELECT sum(held) FROM open_calls)")
    await database.fetch("UPDATE subscribers SET max_calls = 30000")
    subscriber = replace(subscriber, version=await database.fetchval("SELECT version FROM subscribers"))
    await ledger.reserve(reserve_request(subscriber, deck, "counts", minimum="0", maximum="0"))

    async def read() -> int:
        async with database.connection() as connection:
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            return int(
                await connection.fetchval(
                    "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'open_calls'"
                )
            )

    before = await read()
    for number in range(5):
        answer = await ledger.reserve(reserve_request(subscriber, deck, str(number), minimum="0", maximum="0"))
        assert answer.outcome is ReserveOutcome.RESERVED
    assert await read() - before < 100


# -- calls that look like one ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({}, ReserveOutcome.EXISTS),
        ({"channel": ""}, ReserveOutcome.EXISTS),
        ({"channel": "SIP/b-1"}, ReserveOutcome.CONFLICT),
        ({"callerid": "200"}, ReserveOutcome.CONFLICT),
    ],
)
async def test_a_repetition_is_one_only_if_channel_and_caller_agree(ledger, deck, subscriber, change, outcome):
    details = replace(details_of(subscriber, deck), channel="SIP/a-1")
    request = replace(reserve_request(subscriber, deck, "1"), details=details)
    await ledger.reserve(request)

    assert (await ledger.reserve(replace(request, details=replace(details, **change)))).outcome is outcome
    await ledger.settle(settle_request(subscriber, "1", seconds=9, cost="0.09"))
    assert (await ledger.reserve(replace(request, details=replace(details, **change)))).outcome is outcome


async def test_the_end_of_another_channel_is_a_conflict_and_ends_nothing(database, ledger, deck, subscriber):
    details = replace(details_of(subscriber, deck), channel="SIP/a-1")
    await ledger.reserve(replace(reserve_request(subscriber, deck, "1"), details=details))
    end = settle_request(subscriber, "1", seconds=9, cost="0.09")

    assert (await ledger.settle(replace(end, channel="SIP/b-1"))).outcome is SettleOutcome.CONFLICT
    assert await database.fetchval("SELECT count(*) FROM open_calls") == 1
    assert (await ledger.settle(replace(end, channel="SIP/a-1"))).outcome is SettleOutcome.SETTLED


# -- amounts ---------------------------------------------------------------------------------------------------------


@pytest.mark.breaks_books
async def test_a_cost_that_no_amount_holds_is_charged_as_far_as_can_be_and_listed(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1"))
    end = settle_request(subscriber, "1", seconds=60, cost="123456789012345678.5")
    assert (await ledger.settle(end)).outcome is SettleOutcome.SETTLED

    row = await database.fetchrow("SELECT cost, uncharged FROM cdrs")
    assert tuple(row) == (MOST, Decimal("123456789012345678.5") - MOST)
    (breach,) = await breaches_of(database, next(law for law in LAWS if law.name == "charged_whole"))
    assert "test/1/1" in breach.what
    assert await database.fetchval("SELECT balance FROM accounts") == 100 - MOST


@pytest.mark.breaks_books
async def test_a_cost_that_the_balance_cannot_bear_is_charged_down_to_the_least_there_is(database, ledger, deck):
    who = await add_account(database, overdraft=None, postpaid=True)
    for name in ("1", "2"):
        await ledger.reserve(reserve_request(who, deck, name))
    ends = [settle_request(who, name, seconds=60, cost=str(MOST - 1)) for name in ("1", "2")]
    assert [(await ledger.settle(end)).outcome for end in ends] == [SettleOutcome.SETTLED] * 2

    assert await database.fetchval("SELECT balance FROM accounts") == -MOST
    rows = await database.fetch("SELECT cost, uncharged FROM cdrs ORDER BY call_key")
    assert [tuple(row) for row in rows] == [(MOST - 1, 0), (1, MOST - 2)]


# -- the catalogue ---------------------------------------------------------------------------------------------------


async def test_a_file_of_a_thousand_holidays_is_one_step_of_the_tariff(database, deck):
    await database.fetch("UPDATE tariffs SET holiday_calendar = 'state'")
    before = await database.fetchval("SELECT version FROM tariffs")
    await database.fetch(
        "INSERT INTO holidays SELECT 'state', date '2026-01-01' + n, '' FROM generate_series(0, 999) AS n"
    )

    assert await database.fetchval("SELECT version FROM tariffs") == before + 1
    await database.fetch("UPDATE holidays SET calendar = 'other'")
    assert await database.fetchval("SELECT version FROM tariffs") == before + 2
    assert await database.fetchval("SELECT version FROM tariff_terms") == before + 2
