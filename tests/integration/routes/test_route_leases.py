"""The limit of a route holds over all buckets, and what one does not need another comes to have."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.account import AccountKind, NewAccount, Subscriber
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reservation import ReserveOutcome
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.parties.accounts import create_account
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.route_leases import share_routes
from tests.support.world import Deck, audited, publish_deck, reserve_request, settle_request, subscriber_by_login

LIMIT = 5


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with audited(Database(database_url)) as database:
        yield database


@pytest.fixture
async def deck(database: Database) -> Deck:
    deck = await publish_deck(database)
    await database.fetch("INSERT INTO routes (name, position, max_calls) VALUES ('r', 1, $1)", LIMIT)
    return deck


async def in_buckets(database: Database, deck: Deck, buckets: int) -> list[Subscriber]:
    """One subscriber in each bucket."""
    found: dict[int, Subscriber] = {}
    for number in range(1_000):
        new = NewAccount(
            login=f"login-{number}", tariff=deck.name, currency=None, balance=Decimal(100), overdraft=Decimal(0),
            kind=AccountKind.PREPAID, max_calls=None, callerid="",
        )  # fmt: skip
        async with database.transaction(OPERATOR) as tx:
            await create_account(tx, new, buckets=buckets)
        subscriber = await subscriber_by_login(database, new.login)
        assert subscriber is not None
        found.setdefault(subscriber.bucket, subscriber)
        if len(found) == buckets:
            return [found[bucket] for bucket in range(buckets)]
    raise AssertionError("a bucket stays empty")


async def calls(ledger: Ledger, who: Subscriber, deck: Deck, name: str, number: int) -> Counter[str]:
    """So many by the limited route; how often each answer came."""
    said: Counter[str] = Counter()
    for n in range(number):
        request = reserve_request(who, deck, f"{name}-{who.bucket}-{n}", maximum="0.1")
        said[(await ledger.reserve(replace(request, limited_route=1))).outcome.value] += 1
    return said


async def test_one_bucket_has_the_whole_limit_at_once(database, deck):
    (who,) = await in_buckets(database, deck, 1)

    assert await calls(Ledger(database), who, deck, "a", LIMIT + 2) == {"reserved": LIMIT, "route_full": 2}
    assert await share_routes(database, 1) == 0


async def test_before_a_limit_is_shared_out_no_bucket_goes_beyond_it(database, deck):
    for who in await in_buckets(database, deck, 2):
        assert await calls(Ledger(database), who, deck, "a", 1) == {"route_full": 1}


async def test_the_buckets_together_keep_the_limit_and_use_it_whole(database, deck):
    ledger = Ledger(database)
    both = await in_buckets(database, deck, 2)
    assert await share_routes(database, 1) == 1

    reserved = sum([(await calls(ledger, who, deck, "a", LIMIT))["reserved"] for who in both])
    assert reserved == LIMIT


async def test_a_bucket_comes_to_have_what_the_other_does_not_need(database, deck):
    ledger = Ledger(database)
    busy, idle = await in_buckets(database, deck, 2)
    open_ = 0
    for turn in range(LIMIT):
        await share_routes(database, turn)
        open_ += (await calls(ledger, busy, deck, f"turn-{turn}", LIMIT))["reserved"]
    assert open_ == LIMIT
    assert await calls(ledger, idle, deck, "late", 1) == {"route_full": 1}

    await ledger.settle(settle_request(busy, f"turn-0-{busy.bucket}-0", seconds=0, cost="0"))
    for turn in (1, 2):
        await share_routes(database, turn)
    said = [(await calls(ledger, who, deck, "after", 1)) for who in (busy, idle)]
    assert sum(one[ReserveOutcome.RESERVED.value] for one in said) == 1


async def test_a_lease_is_not_taken_from_calls_that_are_open(database, deck):
    ledger = Ledger(database)
    first, second = await in_buckets(database, deck, 2)
    await share_routes(database, 1)
    for who in (first, second):
        await calls(ledger, who, deck, "a", LIMIT)
    await database.fetch("UPDATE routes SET max_calls = 2")
    await share_routes(database, 2)

    assert await calls(ledger, first, deck, "more", 1) == {"route_full": 1}
    rows = await database.fetch("SELECT open_calls, lease_calls FROM route_load")
    assert [row["lease_calls"] >= row["open_calls"] for row in rows] == [True, True]
