"""The money laws over two buckets: on the plain server in every run, and on a cluster where one is named."""

from __future__ import annotations

import asyncio
import itertools
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.account import NewAccount
from rating_engine.domain.outcomes import Allowed, CallKey, DeclineReason
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reservation import ReserveOutcome, SettleOutcome
from rating_engine.engine.engine import Engine
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.parties.accounts import create_account
from tests.support.calls import finish, prepare
from tests.support.engines import engine_on
from tests.support.world import Deck, publish_deck, reserve_request, settle_request, subscriber_by_login

BUCKETS = 3
USED = (0, 2)  # their shards are on different nodes of a cluster of two
ASKED = 40  # calls at once for the money of a few


def logins_of(bucket: int) -> list[str]:
    """Three logins whose accounts stand in a bucket."""
    names = (str(n) for n in itertools.count(1000))
    return list(itertools.islice((n for n in names if zlib.crc32(n.encode()) % BUCKETS == bucket), 3))


LOGINS = {bucket: logins_of(bucket) for bucket in USED}
FIRST = [logins[0] for logins in LOGINS.values()]  # one of each bucket


@pytest.fixture
async def engine(money_url: str) -> AsyncIterator[Engine]:
    """Three buckets, two of them used, a cent a second, calls of a hundred seconds at most; the laws hold."""
    async with engine_on(money_url, ledger_buckets=BUCKETS, max_reserve_seconds=100) as engine:
        await publish_deck(engine.office)
        yield engine
        assert await ledger_balanced(engine.office) == []


async def open_accounts(engine: Engine, balance: str, **settings: object) -> None:
    """The first login of each bucket, with a balance; `settings` are columns of its account."""
    for login in FIRST:
        new = NewAccount(login, "retail", balance=Decimal(balance))
        async with engine.office.transaction(OPERATOR) as tx:
            await create_account(tx, new, buckets=BUCKETS)
        subscriber = await subscriber_by_login(engine.office, login)
        assert subscriber is not None
        assert login in LOGINS[subscriber.bucket]
        for column, value in settings.items():
            await engine.office.fetch(
                f"UPDATE accounts SET {column} = $3 WHERE bucket = $1 AND account_id = $2",
                subscriber.bucket, subscriber.account_id, value,
            )  # fmt: skip


async def ask(engine: Engine, login: str, calls: int = ASKED) -> Counter[str]:
    """So many calls at once; what was answered."""
    outcomes = await asyncio.gather(
        *(engine.charging.prepare_call(prepare(f"{login}-{n}", login=login)) for n in range(calls))
    )
    return Counter("allowed" if isinstance(o, Allowed) else o.reason.value for o in outcomes)


async def test_calls_at_once_in_both_buckets_never_spend_more_than_there_is(engine):
    await open_accounts(engine, "7")  # of seven calls

    answers = await asyncio.gather(*(ask(engine, login) for login in FIRST))

    no_money = DeclineReason.INSUFFICIENT_FUNDS.value
    assert answers == [Counter({"allowed": 7, no_money: ASKED - 7})] * len(USED)


async def test_one_call_asked_and_ended_many_times_is_charged_once(engine):
    await open_accounts(engine, "10")
    for login in FIRST:
        asked = await asyncio.gather(*(engine.charging.prepare_call(prepare(login, login=login)) for _ in range(10)))
        ended = await asyncio.gather(*(engine.charging.finish_call(finish(login, 60, login=login)) for _ in range(10)))

        assert {type(outcome) for outcome in asked} == {Allowed}
        assert {outcome.cost for outcome in ended} == {Decimal("0.6")}
    balances = await engine.office.fetch("SELECT balance FROM accounts")
    assert [row["balance"] for row in balances] == [Decimal("9.4")] * len(USED)


async def test_one_batch_of_the_ledger_may_have_both_buckets(engine):
    await open_accounts(engine, "100")
    deck_id, tariff_id = await engine.office.fetchrow("SELECT deck_id, tariff_id FROM rate_decks")
    subscribers = [await subscriber_by_login(engine.office, login) for login in FIRST]
    version = await engine.office.fetchval("SELECT version FROM tariffs")
    asks = []
    for number, subscriber in enumerate(subscribers * 10):
        request = reserve_request(subscriber, Deck(tariff_id, deck_id, "retail", version), f"call-{number}")
        asks.append(engine.ledger.reserve(replace(request, maximum=Decimal(1))))
    reserved = await asyncio.gather(*asks)
    ends = [
        engine.ledger.settle(settle_request(subscriber, f"call-{number}", seconds=10, cost="0.1"))
        for number, subscriber in enumerate(subscribers * 10)
    ]
    last = [engine.ledger.reserve(replace(request, call_key=CallKey("test", f"late-{n}"))) for n in range(3)]
    answers = await asyncio.gather(*ends, *last)
    settled, reserved = answers[: len(ends)], [*reserved, *answers[len(ends) :]]

    assert {answer.outcome for answer in reserved} == {ReserveOutcome.RESERVED}
    assert {answer.outcome for answer in settled} == {SettleOutcome.SETTLED}
    assert [row["balance"] for row in await engine.office.fetch("SELECT balance FROM accounts")] == [99] * len(USED)


async def test_entries_of_an_account_are_numbered_in_their_order_whoever_posts_them(engine):
    await open_accounts(engine, "50")
    for login in FIRST:
        await ask(engine, login, 20)
        subscriber = await subscriber_by_login(engine.office, login)
        posting = "SELECT post_entry_v2($1, $2, 'topup', 1, $3)"
        ends = [engine.charging.finish_call(finish(f"{login}-{n}", 30, login=login)) for n in range(20)]
        account = subscriber.bucket, subscriber.account_id
        top_ups = [engine.office.fetchval(posting, *account, f"r{n}") for n in range(20)]
        await asyncio.gather(*ends, *top_ups)

        entries = await engine.office.fetch(
            "SELECT entry_id, amount, balance_after FROM ledger_entries WHERE bucket = $1 AND account_id = $2 "
            "ORDER BY entry_id", subscriber.bucket, subscriber.account_id,
        )  # fmt: skip
        assert [entry["entry_id"] for entry in entries] == list(range(1, 42))
        assert [entry["balance_after"] for entry in entries] == list(
            itertools.accumulate(entry["amount"] for entry in entries)
        )


async def test_limits_of_calls_at_a_time_hold_in_both_buckets(engine):
    await open_accounts(engine, "100", max_calls=3)

    answers = await asyncio.gather(*(ask(engine, login) for login in FIRST))

    too_many = DeclineReason.TOO_MANY_CALLS.value
    assert answers == [Counter({"allowed": 3, too_many: ASKED - 3})] * len(USED)


async def test_a_daily_limit_holds_in_both_buckets(engine):
    await open_accounts(engine, "100", daily_limit=Decimal(4))

    answers = await asyncio.gather(*(ask(engine, login) for login in FIRST))

    assert answers == [Counter({"allowed": 4, DeclineReason.DAILY_LIMIT.value: ASKED - 4})] * len(USED)


async def test_the_limit_of_a_route_holds_over_both_buckets_together(engine):
    await engine.office.fetch("INSERT INTO routes (name, position, max_calls) VALUES ('narrow', 1, 6)")
    await open_accounts(engine, "100")
    engine.memory.forget_all()

    answers = await asyncio.gather(*(ask(engine, login) for login in FIRST))

    assert sum(answer["allowed"] for answer in answers) <= 6
    assert await engine.office.fetchval("SELECT sum(open_calls) FROM route_load") <= 6
