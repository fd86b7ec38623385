"""Limits of an account, and calls that reserve in slices, decided in the transaction that holds the money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import ExtendOutcome, ExtendRequest, ReserveOutcome
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.parties.accounts import account_state
from rating_engine.storage.postgres.pool import Database
from tests.support.world import (
    Deck,
    add_account,
    audited,
    publish_deck,
    reserve_request,
    settle_request,
    subscriber_by_login,
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with audited(Database(database_url)) as database:
        yield database


@pytest.fixture
def ledger(database: Database) -> Ledger:
    return Ledger(database)


@pytest.fixture
async def deck(database: Database) -> Deck:
    return await publish_deck(database)


async def limited(database: Database, balance: str = "100", **columns: object) -> Subscriber:
    """An account with these columns set."""
    await add_account(database, balance=balance)
    for column, value in columns.items():
        await database.fetch(f"UPDATE accounts SET {column} = $1", value)
    subscriber = await subscriber_by_login(database, "1001")
    assert subscriber is not None
    return subscriber


async def reserved(ledger: Ledger, request: object) -> tuple[ReserveOutcome, Decimal]:
    answer = await ledger.reserve(request)  # type: ignore[arg-type]
    return answer.outcome, answer.granted


async def test_open_calls_count_against_the_daily_limit_as_if_spent(database, ledger, deck):
    subscriber = await limited(database, daily_limit=Decimal(5))
    assert await reserved(ledger, reserve_request(subscriber, deck, "1", maximum="3")) == (ReserveOutcome.RESERVED, 3)
    assert await reserved(ledger, reserve_request(subscriber, deck, "2", maximum="3")) == (ReserveOutcome.RESERVED, 2)
    assert (await reserved(ledger, reserve_request(subscriber, deck, "3")))[0] is ReserveOutcome.DAILY_LIMIT


async def test_what_was_charged_today_is_spent_and_what_was_freed_is_not(database, ledger, deck):
    subscriber = await limited(database, daily_limit=Decimal(5))
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="5"))
    await ledger.settle(settle_request(subscriber, "1", seconds=10, cost="1.5"))
    assert await reserved(ledger, reserve_request(subscriber, deck, "2", maximum="9")) == (
        ReserveOutcome.RESERVED,
        Decimal("3.5"),
    )


async def test_yesterdays_spending_does_not_count_today_but_in_its_month(database, ledger, deck):
    subscriber = await limited(database, daily_limit=Decimal(5), monthly_limit=Decimal(8))
    await database.fetch(
        "UPDATE accounts SET day_spent = 5, month_spent = 5, spent_on = date_trunc('month', local_date('UTC'))::date"
    )
    await database.fetch("UPDATE accounts SET spent_on = spent_on - 1 WHERE spent_on = local_date('UTC')")
    same_month = await database.fetchval(
        "SELECT date_trunc('month', spent_on) = date_trunc('month', local_date('UTC')) FROM accounts"
    )
    outcome, granted = await reserved(ledger, reserve_request(subscriber, deck, "1", maximum="9"))
    assert (outcome, granted) == (ReserveOutcome.RESERVED, 3 if same_month else 5)


async def test_the_day_is_the_accounts_own(database, ledger, deck):
    """At any moment Kiritimati (UTC+14) and Niue (UTC-11) have different dates."""
    subscriber = await limited(database, daily_limit=Decimal(5))
    for here, there in (("Pacific/Kiritimati", "Pacific/Niue"), ("Pacific/Niue", "Pacific/Kiritimati")):
        await database.fetch("UPDATE accounts SET time_zone = $1, day_spent = 5, spent_on = local_date($1)", here)
        blocked = await reserved(ledger, reserve_request(subscriber, deck, f"{here}-a"))
        await database.fetch("UPDATE accounts SET spent_on = local_date($1)", there)
        free = await reserved(ledger, reserve_request(subscriber, deck, f"{here}-b", maximum="0.01"))
        assert (blocked[0], free[0]) == (ReserveOutcome.DAILY_LIMIT, ReserveOutcome.RESERVED)


async def test_a_time_zone_that_does_not_exist_is_refused(database, deck):
    await limited(database)
    with pytest.raises(Exception, match="time zone"):
        await database.fetch("UPDATE accounts SET time_zone = 'Mars/Olympus'")


async def test_a_monthly_limit_holds_for_parallel_calls(database, ledger, deck):
    subscriber = await limited(database, monthly_limit=Decimal(7))
    answers = await asyncio.gather(
        *(ledger.reserve(reserve_request(subscriber, deck, str(n), minimum="1", maximum="1")) for n in range(50))
    )
    outcomes = [answer.outcome for answer in answers]
    assert outcomes.count(ReserveOutcome.RESERVED) == 7
    assert outcomes.count(ReserveOutcome.MONTHLY_LIMIT) == 43


async def test_a_spend_limit_binds_unlimited_credit_too(database, ledger, deck):
    subscriber = await add_account(database, overdraft=None, postpaid=True)
    await database.fetch("UPDATE accounts SET daily_limit = 2")
    assert await reserved(ledger, reserve_request(subscriber, deck, "1", maximum="9")) == (ReserveOutcome.RESERVED, 2)
    assert (await reserved(ledger, reserve_request(subscriber, deck, "2")))[0] is ReserveOutcome.DAILY_LIMIT


async def test_a_destination_dearer_than_the_account_allows_is_declined(database, ledger, deck):
    subscriber = await limited(database, max_price=Decimal("0.59"))
    assert (await reserved(ledger, reserve_request(subscriber, deck, "1")))[0] is ReserveOutcome.PRICE_TOO_HIGH
    await database.fetch("UPDATE accounts SET max_price = 0.60")
    assert (await reserved(ledger, reserve_request(subscriber, deck, "1")))[0] is ReserveOutcome.RESERVED


@pytest.mark.parametrize(
    ("default_allowed", "rules", "allowed"),
    [
        (True, {}, True),
        (True, {"49": False}, False),
        (True, {"49": False, "49123": True}, True),
        (True, {"49": True, "491": False}, False),
        (True, {"48": False}, True),
        (False, {}, False),
        (False, {"49": True}, True),
        (False, {"48": True}, False),
    ],
)
async def test_the_longest_prefix_rule_decides_and_the_default_where_none_matches(
    database, ledger, deck, default_allowed, rules, allowed
):
    subscriber = await limited(database, default_allowed=default_allowed)
    for prefix, says in rules.items():
        await database.fetch(
            "INSERT INTO account_prefixes VALUES ($1, $2, $3, $4)", 0, subscriber.account_id, prefix, says
        )
    outcome, _ = await reserved(ledger, reserve_request(subscriber, deck, "1", destination="4912345"))
    assert outcome is (ReserveOutcome.RESERVED if allowed else ReserveOutcome.BLOCKED_DESTINATION)


async def test_a_subscribers_own_call_limit_holds_within_a_batch_and_between(database, ledger, deck):
    subscriber = await limited(database)
    await database.fetch("UPDATE subscribers SET max_calls = 2")
    subscriber = await subscriber_by_login(database, "1001")
    answers = await asyncio.gather(
        *(ledger.reserve(reserve_request(subscriber, deck, str(n), maximum="0.1")) for n in range(9))
    )
    assert [answer.outcome for answer in answers].count(ReserveOutcome.RESERVED) == 2
    assert (await reserved(ledger, reserve_request(subscriber, deck, "x")))[0] is ReserveOutcome.TOO_MANY_CALLS


async def test_a_changed_limit_of_the_account_makes_a_cached_subscriber_stale(database, ledger, deck):
    subscriber = await limited(database)
    await database.fetch("UPDATE accounts SET max_call_seconds = 60")
    assert (await reserved(ledger, reserve_request(subscriber, deck, "1")))[0] is ReserveOutcome.STALE


def extension(subscriber: Subscriber, uniqueid: str, maximum: str) -> ExtendRequest:
    return ExtendRequest(
        call_key=CallKey("test", uniqueid),
        bucket=0,
        account_id=subscriber.account_id,
        maximum=Decimal(maximum),
        lifetime_seconds=700,
        answered_at=None,
    )


async def test_an_extension_raises_what_a_call_may_cost_until_the_money_ends(database, ledger, deck):
    subscriber = await limited(database, balance="5")
    for n in ("1", "2"):
        await ledger.reserve(reserve_request(subscriber, deck, n, maximum="2", quota=True))
    answers = await asyncio.gather(*(ledger.extend(extension(subscriber, n, "4")) for n in ("1", "2")))
    assert sorted(answer.granted for answer in answers) == [2, 3]
    state = await account_state(database, "1001")
    assert state is not None
    assert (state.available, state.reserved) == (0, 5)


async def test_an_extension_that_asks_for_less_than_is_granted_changes_nothing(ledger, database, deck):
    subscriber = await limited(database, balance="5")
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="2", quota=True))
    answer = await ledger.extend(extension(subscriber, "1", "1"))
    assert (answer.outcome, answer.granted) == (ExtendOutcome.EXTENDED, 2)


async def test_an_ended_call_is_not_extended(ledger, database, deck):
    subscriber = await limited(database)
    await ledger.reserve(reserve_request(subscriber, deck, "1", quota=True))
    await ledger.settle(settle_request(subscriber, "1", seconds=1, cost="0.01"))
    assert (await ledger.extend(extension(subscriber, "1", "4"))).outcome is ExtendOutcome.UNKNOWN


async def test_a_blocked_account_may_use_up_what_it_has_and_no_more(ledger, database, deck):
    subscriber = await limited(database)
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="2", quota=True))
    await database.fetch("UPDATE accounts SET status = 'blocked'")
    answer = await ledger.extend(extension(subscriber, "1", "4"))
    assert (answer.outcome, answer.granted) == (ExtendOutcome.INACTIVE, 2)


async def test_extensions_stop_at_the_daily_limit(ledger, database, deck):
    subscriber = await limited(database, daily_limit=Decimal(3))
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="2", quota=True))
    assert (await ledger.extend(extension(subscriber, "1", "9"))).granted == 3


async def test_unlimited_credit_extends_without_holding(ledger, database, deck):
    subscriber = await add_account(database, overdraft=None, postpaid=True)
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="2", quota=True))
    assert (await ledger.extend(extension(subscriber, "1", "9"))).granted == 9
    assert (await ledger.settle(replace(settle_request(subscriber, "1", seconds=60, cost="8")))).overrun == 0
