"""Calls that begin and calls that end share a statement: what each of them is told, what both lock, who is left out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.reservation import ReserveAnswer, ReserveOutcome, SettleOutcome
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.parties.accounts import account_state
from rating_engine.storage.postgres.pool import Database
from tests.support.waiting import until
from tests.support.world import Deck, add_account, audited, details_of, publish_deck, reserve_request, settle_request

CALLS = 5


class Counted(Database):
    """Which functions were asked, in their order."""

    def __init__(self, url: str) -> None:
        super().__init__(url, timeout_seconds=30)
        self.asked: list[str] = []

    async def fetchval(self, query, *args):
        self.asked.append(query.removeprefix("SELECT ").partition("(")[0])
        return await super().fetchval(query, *args)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Counted]:
    async with audited(Counted(database_url)) as database:
        yield database


@pytest.fixture
async def deck(database: Database) -> Deck:
    return await publish_deck(database)


@pytest.fixture
async def open_calls(database: Counted, deck: Deck):
    """Two logins with money for eight calls each, and calls of the second that are open."""
    low, high = [await add_account(database, login, balance="8") for login in ("1001", "1002")]
    ledger = Ledger(database)
    held = [ledger.reserve(reserve_request(high, deck, f"open{n}")) for n in range(CALLS)]
    assert {answer.outcome for answer in await asyncio.gather(*held)} == {ReserveOutcome.RESERVED}
    database.asked.clear()
    return ledger, low, high


async def test_each_is_told_its_own_answer_and_one_statement_is_asked(database, deck, open_calls):
    ledger, low, high = open_calls
    begin = [ledger.reserve(reserve_request(low, deck, f"new{n}", maximum=f"{n + 1}")) for n in range(CALLS)]
    end = [ledger.settle(settle_request(high, f"open{n}", seconds=n + 1, cost=f"0.{n + 1}")) for n in range(CALLS)]
    mixed = [one for pair in zip(begin, end, strict=True) for one in pair]
    answers = await asyncio.gather(*mixed, ledger.settle(settle_request(high, "never", seconds=1, cost="0.1")))

    assert database.asked == ["reserve_and_settle_v1"]
    granted = [Decimal(n) for n in (1, 2, 3, 2)] + [Decimal(0)]  # of 8: the fourth gets what is left
    outcomes = [ReserveOutcome.RESERVED] * 4 + [ReserveOutcome.INSUFFICIENT_FUNDS]
    assert answers[0:10:2] == [ReserveAnswer(*one) for one in zip(outcomes, granted, strict=True)]
    assert [answer.outcome for answer in answers[1:10:2]] == [SettleOutcome.SETTLED] * CALLS
    assert answers[10].outcome is SettleOutcome.UNKNOWN
    state = await account_state(database, "1002")
    assert (state.balance, state.open_calls) == (Decimal("6.5"), 0)


async def test_an_end_frees_no_money_for_a_call_that_begins_in_the_same_statement(database, deck, open_calls):
    """What is held is held until its end is committed: a call is never allowed on money that may still be spent."""
    ledger, _, high = open_calls
    begin = ledger.reserve(reserve_request(high, deck, "new", minimum="4", maximum="4"))
    end = [ledger.settle(settle_request(high, f"open{n}", seconds=1, cost="0.1")) for n in range(CALLS)]
    answers = await asyncio.gather(begin, *end)

    assert database.asked == ["reserve_and_settle_v1"]
    assert answers[0].outcome is ReserveOutcome.INSUFFICIENT_FUNDS


async def test_accounts_are_locked_in_one_order_whichever_begins_and_whichever_ends(database, deck, open_calls):
    """The call that begins is of the account that is locked last: its lock comes after that of the one that ends."""
    ledger, low, high = open_calls
    await ledger.reserve(reserve_request(low, deck, "low"))
    async with database.connection() as other, other.transaction():
        await other.fetch("SELECT 1 FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE", high.account_id)
        both = asyncio.gather(
            ledger.reserve(reserve_request(high, deck, "new")),
            ledger.settle(settle_request(low, "low", seconds=1, cost="0.1")),
        )
        await until(lambda: _waits_for_a_lock(database))
        free = "SELECT 1 FROM accounts WHERE account_id = $1 FOR NO KEY UPDATE SKIP LOCKED"
        assert await other.fetch(free, low.account_id) == []  # held already, by the batch
    assert [answer.outcome for answer in await both] == [ReserveOutcome.RESERVED, SettleOutcome.SETTLED]


async def _waits_for_a_lock(database: Database) -> bool:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    rows = await database.fetch(waiting)
    return bool(rows)


async def test_what_locks_more_than_its_accounts_has_a_statement_of_its_own(database, deck, open_calls):
    ledger, low, high = open_calls
    await database.fetch("INSERT INTO route_limits (route_id, enabled, max_calls, shared) VALUES (7, true, 1, false)")
    begin = replace(reserve_request(low, deck, "by a limited route"), limited_route=7)
    made = settle_request(high, "made", seconds=1, cost="0.1", details=details_of(high, deck, "4912345"))
    ended = settle_request(high, "open0", seconds=1, cost="0.1")
    usual = ledger.reserve(reserve_request(low, deck, "new")), ledger.settle(ended)
    answers = await asyncio.gather(ledger.reserve(begin), ledger.settle(made), *usual)

    assert sorted(database.asked) == ["reserve_and_settle_v1", "reserve_v5", "settle_v5"]
    assert [answer.outcome.value for answer in answers] == ["reserved", "settled"] * 2
