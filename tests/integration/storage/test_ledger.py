"""The money transitions on a real PostgreSQL: what reserve, settle and expire promise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reservation import (
    EndedCall,
    OpenCall,
    ReserveOutcome,
    SettleOutcome,
    SettleSource,
)
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.parties.accounts import account_state, post_entry, statement
from rating_engine.storage.postgres.pool import Database
from tests.support.world import Deck, add_account, details_of, publish_deck, reserve_request, settle_request

TOP_UP = note_of(OPERATOR, "account.topup", "1001")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
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
    yield await add_account(database, balance="10")
    assert await ledger_balanced(database) == []  # every test of this file leaves the laws whole


async def money(database: Database) -> tuple[Decimal, Decimal, int]:
    state = await account_state(database, "1001")
    assert state is not None
    return state.balance, state.reserved, state.open_calls


async def test_a_reservation_holds_its_maximum_when_there_is_money(database, ledger, deck, subscriber):
    answer = await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    assert (answer.outcome, answer.granted) == (ReserveOutcome.RESERVED, 4)
    assert await money(database) == (10, 4, 1)


async def test_a_reservation_takes_what_is_left_when_that_covers_its_minimum(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="7"))
    answer = await ledger.reserve(reserve_request(subscriber, deck, "2", minimum="3", maximum="7"))
    assert (answer.outcome, answer.granted) == (ReserveOutcome.RESERVED, 3)
    assert await money(database) == (10, 10, 2)


async def test_a_call_whose_minimum_is_not_there_is_declined_and_holds_nothing(database, ledger, deck, subscriber):
    answer = await ledger.reserve(reserve_request(subscriber, deck, "1", minimum="10.000001", maximum="20"))
    assert answer.outcome is ReserveOutcome.INSUFFICIENT_FUNDS
    assert await money(database) == (10, 0, 0)


async def test_a_destination_that_costs_nothing_needs_no_money(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="10"))
    answer = await ledger.reserve(reserve_request(subscriber, deck, "2", minimum="0", maximum="0"))
    assert (answer.outcome, answer.granted) == (ReserveOutcome.RESERVED, 0)


@pytest.mark.parametrize("batch_max", [1, 7, 256])
async def test_money_for_seven_allows_exactly_seven_of_three_hundred(database, deck, batch_max):
    subscriber = await add_account(database, balance="7.50")
    ledgers = [Ledger(database, batch_max=batch_max) for _ in range(2)]
    answers = await asyncio.gather(
        *(
            ledgers[n % 2].reserve(reserve_request(subscriber, deck, str(n), minimum="1", maximum="1"))
            for n in range(300)
        )
    )
    assert [a.outcome for a in answers].count(ReserveOutcome.RESERVED) == 7
    assert await money(database) == (Decimal("7.5"), 7, 7)


async def test_the_same_key_twice_in_one_breath_is_reserved_once(database, ledger, deck, subscriber):
    request = reserve_request(subscriber, deck, "1", maximum="2")
    outcomes = {a.outcome for a in await asyncio.gather(*(ledger.reserve(request) for _ in range(10)))}
    assert outcomes == {ReserveOutcome.RESERVED, ReserveOutcome.EXISTS}
    assert await money(database) == (10, 2, 1)


async def test_the_same_key_to_another_destination_is_a_conflict(ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1"))
    answer = await ledger.reserve(reserve_request(subscriber, deck, "1", destination="4999"))
    assert answer.outcome is ReserveOutcome.CONFLICT


async def test_the_same_key_for_another_account_is_a_conflict_and_takes_nothing(database, ledger, deck, subscriber):
    other = await add_account(database, "1002", balance="10")
    await ledger.reserve(reserve_request(subscriber, deck, "1"))
    answer = await ledger.reserve(reserve_request(other, deck, "1"))
    assert answer.outcome is ReserveOutcome.CONFLICT
    state = await account_state(database, "1002")
    assert state is not None
    assert state.reserved == 0


async def test_the_same_key_for_two_accounts_at_once_goes_to_one(database, deck, subscriber):
    other = await add_account(database, "1002", balance="10")
    for n in range(20):
        requests = [reserve_request(who, deck, str(n), maximum="0.1") for who in (subscriber, other)]
        answers = await asyncio.gather(*(Ledger(database).reserve(request) for request in requests))
        assert sorted(a.outcome for a in answers) == [ReserveOutcome.CONFLICT, ReserveOutcome.RESERVED]


async def test_a_replaced_deck_or_a_changed_subscriber_is_told_stale(database, ledger, deck, subscriber):
    await publish_deck(database)
    assert (await ledger.reserve(reserve_request(subscriber, deck, "1"))).outcome is ReserveOutcome.STALE
    fresh = await publish_deck(database)
    await database.fetch("UPDATE subscribers SET callerid = '7' WHERE login = '1001'")
    assert (await ledger.reserve(reserve_request(subscriber, fresh, "1"))).outcome is ReserveOutcome.STALE


@pytest.mark.parametrize("table", ["accounts", "subscribers"])
async def test_a_blocked_account_or_subscriber_starts_no_call(database, ledger, deck, subscriber, table):
    await database.fetch(f"UPDATE {table} SET status = 'blocked'")
    version = await database.fetchval("SELECT version FROM subscribers")
    request = reserve_request(subscriber, deck, "1")
    object.__setattr__(request, "subscriber_version", version)
    assert (await ledger.reserve(request)).outcome is ReserveOutcome.INACTIVE


async def test_no_more_calls_at_a_time_than_the_account_may_have(database, ledger, deck):
    subscriber = await add_account(database, balance="10", max_calls=2)
    answers = await asyncio.gather(
        *(ledger.reserve(reserve_request(subscriber, deck, str(n), maximum="0.1")) for n in range(5))
    )
    assert [a.outcome for a in answers].count(ReserveOutcome.TOO_MANY_CALLS) == 3
    await ledger.settle(settle_request(subscriber, "0", seconds=0, cost="0"))
    assert (await ledger.reserve(reserve_request(subscriber, deck, "9"))).outcome is ReserveOutcome.RESERVED


async def test_unlimited_credit_holds_nothing_and_is_charged(database, ledger, deck):
    subscriber = await add_account(database, overdraft=None, postpaid=True)
    answer = await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="1000"))
    assert (answer.outcome, answer.granted) == (ReserveOutcome.RESERVED, 1000)
    assert await money(database) == (0, 0, 1)
    settled = await ledger.settle(settle_request(subscriber, "1", seconds=30, cost="1200"))
    assert (settled.outcome, settled.overrun) == (SettleOutcome.SETTLED, 0)
    assert await money(database) == (-1200, 0, 0)


async def test_a_credit_limit_holds_for_postpaid_as_overdraft_does_for_prepaid(ledger, database, deck):
    subscriber = await add_account(database, overdraft="5", postpaid=True)
    first = await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    second = await ledger.reserve(reserve_request(subscriber, deck, "2", minimum="1", maximum="4"))
    third = await ledger.reserve(reserve_request(subscriber, deck, "3", minimum="1", maximum="4"))
    assert [first.granted, second.granted] == [4, 1]
    assert third.outcome is ReserveOutcome.INSUFFICIENT_FUNDS


async def test_a_settle_charges_once_and_frees_the_rest(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    request = settle_request(subscriber, "1", seconds=90, cost="0.90")
    outcomes = [a.outcome for a in await asyncio.gather(*(ledger.settle(request) for _ in range(5)))]
    assert sorted(outcomes) == [SettleOutcome.REPEATED] * 4 + [SettleOutcome.SETTLED]
    assert await money(database) == (Decimal("9.1"), 0, 0)
    charges = [entry for entry in (await statement(database, "1001", Cursor(10))).items if entry.kind == "charge"]
    assert [(entry.amount, entry.balance_after) for entry in charges] == [(Decimal("-0.9"), Decimal("9.1"))]


async def test_a_repeated_finish_with_other_seconds_is_a_conflict_and_changes_nothing(
    database, ledger, deck, subscriber
):
    await ledger.reserve(reserve_request(subscriber, deck, "1"))
    await ledger.settle(settle_request(subscriber, "1", seconds=10, cost="0.1"))
    answer = await ledger.settle(settle_request(subscriber, "1", seconds=11, cost="0.11"))
    assert answer.outcome is SettleOutcome.CONFLICT
    assert (await money(database))[0] == Decimal("9.9")


async def test_a_call_past_its_reservation_is_charged_in_full_and_counted(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="10"))
    answer = await ledger.settle(settle_request(subscriber, "1", seconds=1200, cost="12"))
    assert (answer.outcome, answer.overrun) == (SettleOutcome.SETTLED, 2)
    assert await money(database) == (-2, 0, 0)


async def test_settles_of_one_batch_leave_a_running_balance(database, ledger, deck, subscriber):
    for n in range(20):
        await ledger.reserve(reserve_request(subscriber, deck, str(n), maximum="0.5"))
    ends = [settle_request(subscriber, str(n), seconds=9, cost="0.5") for n in range(20)]
    await asyncio.gather(*map(ledger.settle, ends[:-1]))
    await ledger.settle(ends[-1])  # which takes the other form, of an account each, in the same session
    entries = (await statement(database, "1001", Cursor(30))).items
    assert [entry.balance_after for entry in entries] == [Decimal(n) / 2 for n in range(21)]


async def test_an_unanswered_call_leaves_a_cdr_and_no_ledger_entry(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1"))
    await ledger.settle(settle_request(subscriber, "1", seconds=0, cost="0"))
    assert await money(database) == (10, 0, 0)
    assert await database.fetchval("SELECT state::text FROM cdrs") == "voided"
    assert len((await statement(database, "1001", Cursor(10))).items) == 1  # the opening balance


async def test_an_expired_call_frees_its_money_and_a_late_finish_still_charges(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", lifetime_seconds=0))
    await ledger.reserve(reserve_request(subscriber, deck, "2", lifetime_seconds=900))
    assert await ledger.expire(0) == 1
    assert await money(database) == (10, 1, 1)
    found = await ledger.find(0, CallKey("test", "1"))
    assert isinstance(found, EndedCall)
    assert found.provisional
    late = settle_request(subscriber, "1", seconds=50, cost="0.5")
    assert (await ledger.settle(late)).outcome is SettleOutcome.SETTLED
    assert (await ledger.settle(late)).outcome is SettleOutcome.REPEATED
    assert (await money(database))[0] == Decimal("9.5")
    row = await database.fetchrow("SELECT state::text, source, seconds FROM cdrs")
    assert tuple(row) == ("settled", "late", 50)


async def test_where_nothing_is_left_to_expire_nothing_is_settled(database, subscriber):
    # the calls ended between expire_v2()'s looking for their accounts and its looking for them
    assert await database.fetchval("SELECT settle_v5(0::smallint, NULL)") == []


async def test_a_late_finish_corrects_a_reconciled_call_by_the_difference(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    estimate = settle_request(subscriber, "1", seconds=60, cost="0.6")
    assert (await ledger.settle(replace(estimate, source=SettleSource.RECONCILED))).outcome is SettleOutcome.SETTLED
    assert (await ledger.settle(replace(estimate, source=SettleSource.RECONCILED))).outcome is SettleOutcome.REPEATED
    exact = settle_request(subscriber, "1", seconds=50, cost="0.5")
    assert (await ledger.settle(exact)).outcome is SettleOutcome.SETTLED
    assert (await ledger.settle(exact)).outcome is SettleOutcome.REPEATED
    assert (await money(database))[0] == Decimal("9.5")
    row = await database.fetchrow("SELECT source, seconds, cost FROM cdrs")
    assert tuple(row) == ("late", 50, Decimal("0.5"))


async def test_a_finish_of_a_call_given_up_as_abandoned_is_charged_all_the_same(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    nothing = settle_request(subscriber, "1", seconds=0, cost="0")
    await ledger.settle(replace(nothing, source=SettleSource.ABANDONED))
    assert (
        await ledger.settle(settle_request(subscriber, "1", seconds=50, cost="0.5"))
    ).outcome is SettleOutcome.SETTLED
    assert (await money(database)) == (Decimal("9.5"), 0, 0)


async def test_a_finish_that_agrees_with_reconciliation_changes_nothing(database, ledger, deck, subscriber):
    await ledger.reserve(reserve_request(subscriber, deck, "1", maximum="4"))
    request = settle_request(subscriber, "1", seconds=60, cost="0.6")
    await ledger.settle(replace(request, source=SettleSource.RECONCILED))
    assert (await ledger.settle(request)).outcome is SettleOutcome.REPEATED
    assert await database.fetchval("SELECT source FROM cdrs") == "reconciled"


async def test_a_finish_without_a_prepare_is_charged_and_marked(database, ledger, deck, subscriber):
    details = details_of(subscriber, deck)
    answer = await ledger.settle(settle_request(subscriber, "1", seconds=50, cost="0.5", details=details))
    assert (answer.outcome, answer.overrun) == (SettleOutcome.SETTLED, Decimal("0.5"))
    assert await database.fetchval("SELECT source FROM cdrs") == "unreserved"


async def test_a_settle_without_reservation_and_details_is_unknown(ledger, subscriber):
    answer = await ledger.settle(settle_request(subscriber, "1", seconds=50, cost="0.5"))
    assert answer.outcome is SettleOutcome.UNKNOWN


async def test_an_open_call_is_found_as_it_was_reserved(ledger, deck, subscriber):
    request = reserve_request(subscriber, deck, "1", maximum="4")
    await ledger.reserve(request)
    found = await ledger.find(0, CallKey("test", "1"))
    assert found == OpenCall(subscriber.account_id, Decimal(4), False, 100, "", request.details)
    assert await ledger.find(0, CallKey("test", "2")) is None


async def test_one_impossible_item_spoils_nobody_elses(ledger, deck, subscriber):
    impossible = settle_request(subscriber, "1", seconds=2**40, cost="1")
    good = [ledger.reserve(reserve_request(subscriber, deck, str(n), maximum="0.1")) for n in range(5)]
    settles = [ledger.settle(r) for r in (impossible, settle_request(subscriber, "2", seconds=1, cost="1"))]
    answers = await asyncio.gather(*good, *settles, return_exceptions=True)
    assert isinstance(answers[5], Exception)
    assert answers[6].outcome in (SettleOutcome.SETTLED, SettleOutcome.UNKNOWN)


async def test_a_top_up_with_a_reference_is_posted_once(database, subscriber):
    posts = [post_entry(database, "1001", "topup", Decimal(5), "invoice 1", TOP_UP) for _ in range(4)]
    assert sorted(posting.posted for posting in await asyncio.gather(*posts)) == [False, False, False, True]
    assert (await money(database))[0] == 15
    assert [
        row["subject"] for row in await database.fetch("SELECT subject FROM audit_log WHERE action LIKE '%topup'")
    ] == ["1001"]


async def test_ledger_entries_cannot_be_changed_or_deleted(database, subscriber):
    for statement_ in ("UPDATE ledger_entries SET amount = 1", "DELETE FROM ledger_entries"):
        with pytest.raises(Exception, match="append-only"):
            await database.fetch(statement_)
