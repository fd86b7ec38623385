"""A money call touches the rows of its own bucket alone, and is planned by its value: proved without a cluster.

Every account-scoped table is divided by bucket; somebody else holds the partitions of bucket 1 for himself alone. What
is asked for bucket 0 must not wait: on a cluster those partitions are another machine.
"""

from __future__ import annotations

import contextlib
import itertools
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from rating_engine.domain.account import Closing, NewAccount, Posting, Settlement, Subscriber
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reservation import (
    ExtendOutcome,
    ExtendRequest,
    PackageUse,
    ReserveOutcome,
    SettleOutcome,
    SettleSource,
)
from rating_engine.domain.subscription import Charge, MoneyBack, SubscriptionState
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.calls.ledger import Ledger
from rating_engine.storage.calls.open_calls import Sighting, expired_answered, note_seen, open_calls_of_channels
from rating_engine.storage.calls.package_usage import package_states
from rating_engine.storage.calls.rerates import correct_calls
from rating_engine.storage.finance import subscriptions as store
from rating_engine.storage.finance.subscriptions import Done, SubscriptionOrder
from rating_engine.storage.parties.accounts import adjust, close_account, create_account, post_entry
from rating_engine.storage.parties.offline import offline_accounts
from rating_engine.storage.parties.subscribers import SubscriberReader
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.release import schema_sql
from rating_engine.storage.tariffs.tariff_options import Change, find_party, switch
from tests.cluster.cluster_form import SCOPED, in_partitions, tables_of
from tests.support.world import Deck, details_of, publish_deck, reserve_request, settle_request, subscriber_by_login

OWN, OTHER = 0, 1  # buckets
LOCK_TIMEOUT = "300ms"  # far more than a statement needs that waits for nobody


class OneSession:
    """The doors of storage over one session, planned by the values of its arguments as on a cluster."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self.fetch = connection.fetch
        self.fetchrow = connection.fetchrow
        self.fetchval = connection.fetchval
        self.timeout_seconds = 2.0

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        yield self._connection


@dataclass
class Place:
    """A login of each bucket, a deck, and the doors of somebody who may touch bucket 0 only."""

    database: Database
    session: Any
    ledger: Ledger
    deck: Deck
    own: Subscriber
    other: Subscriber


def logins_of(bucket: int) -> Any:
    """Names whose accounts stand in a bucket, when there are two."""
    return (name for n in itertools.count(1000) if zlib.crc32((name := str(n)).encode()) % 2 == bucket)


async def add_account(database: Database, bucket: int) -> Subscriber:
    login = next(logins_of(bucket))
    async with database.transaction(OPERATOR) as tx:
        await create_account(tx, NewAccount(login, "retail", balance=Decimal(100)), buckets=2)
    subscriber = await subscriber_by_login(database, login)
    assert subscriber is not None
    assert subscriber.bucket == bucket
    return subscriber


@contextlib.asynccontextmanager
async def place_on(url: str, sql: str) -> AsyncIterator[Place]:
    """The schema of `sql` in partitions, in an empty database, with an account in each of two buckets."""
    setup = await asyncpg.connect(url)
    await setup.execute(in_partitions(sql))
    await setup.close()
    async with place_in(url) as place:
        yield place


@contextlib.asynccontextmanager
async def place_in(url: str) -> AsyncIterator[Place]:
    """An account in each of two buckets of a database that has the schema."""
    database = Database(url)
    await database.open()
    deck = await publish_deck(database)
    own, other = [await add_account(database, bucket) for bucket in (OWN, OTHER)]
    deck = replace(deck, tariff_version=await database.fetchval("SELECT version FROM tariffs"))
    settings = {"plan_cache_mode": "force_custom_plan", "lock_timeout": LOCK_TIMEOUT}
    connection = await asyncpg.connect(url, server_settings=settings)
    session = OneSession(connection)
    place = Place(database, session, Ledger(session), deck, own, other)
    try:
        yield place
    finally:
        await connection.close()
        await database.close()


@contextlib.asynccontextmanager
async def poisoned(url: str) -> AsyncIterator[None]:
    """Nobody but this block's own session may touch anything of bucket 1."""
    holder = await asyncpg.connect(url)
    try:
        async with holder.transaction():
            for table in tables_of(SCOPED):
                await holder.execute(f"LOCK TABLE {table}_{OTHER} IN ACCESS EXCLUSIVE MODE")
            yield
    finally:
        await holder.close()


# -- what is asked: made ready first, then asked while bucket 1 is held -------------------------------------------

Asked = Callable[[], Awaitable[object]]
Case = Callable[[Place], Awaitable[tuple[Asked, object]]]


def _request(place: Place, name: str, **changes: object) -> Any:
    return replace(reserve_request(place.own, place.deck, name), **changes)


async def _limited_route(place: Place) -> int:
    route_id = await place.database.fetchval(
        "INSERT INTO routes (name, position, max_calls) VALUES ('limited', 1, 10) RETURNING route_id"
    )
    with contextlib.suppress(asyncpg.UndefinedColumnError):
        await place.database.fetch(
            "INSERT INTO route_load (bucket, route_id, lease_calls) VALUES (0, $1, 5), (1, $1, 5)", route_id
        )
    return int(route_id)


async def _package(place: Place) -> PackageUse:
    package_id = await place.database.fetchval(
        "INSERT INTO packages (tariff_id, name, kind, seconds, carry_over) VALUES ($1, 'p', 'free', 600, 'all') "
        "RETURNING package_id", place.deck.tariff_id,
    )  # fmt: skip
    return PackageUse(package_id, datetime.now(UTC).date().replace(day=1), 60)


async def _versions(place: Place) -> tuple[tuple[int, int], ...]:
    """As of now: what was added to the tariff has changed them."""
    rows = await place.database.fetch("SELECT tariff_id, version FROM tariffs")
    return tuple((row["tariff_id"], row["version"]) for row in rows)


async def reserving(place: Place) -> tuple[Asked, object]:
    async def ask() -> object:
        return (await place.ledger.reserve(_request(place, "a"))).outcome

    return ask, ReserveOutcome.RESERVED


async def reserving_again(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a"))

    async def ask() -> object:
        return (await place.ledger.reserve(_request(place, "a"))).outcome

    return ask, ReserveOutcome.EXISTS


async def reserving_by_a_limited_route(place: Place) -> tuple[Asked, object]:
    route_id = await _limited_route(place)
    request = _request(place, "a", limited_route=route_id, tariffs=await _versions(place))

    async def ask() -> object:
        return (await place.ledger.reserve(request)).outcome

    return ask, ReserveOutcome.RESERVED


async def reserving_with_a_package(place: Place) -> tuple[Asked, object]:
    use = await _package(place)
    request = _request(place, "a", tariffs=await _versions(place))
    request = replace(request, details=replace(request.details, packages=(use,)))

    async def ask() -> object:
        return (await place.ledger.reserve(request)).outcome

    return ask, ReserveOutcome.RESERVED


async def reserving_for_a_login_with_a_limit(place: Place) -> tuple[Asked, object]:
    await place.database.fetch("UPDATE subscribers SET max_calls = 5 WHERE bucket = 0")
    subscriber = await subscriber_by_login(place.database, place.own.login)
    assert subscriber is not None
    request = _request(place, "a", subscriber_version=subscriber.version)

    async def ask() -> object:
        return (await place.ledger.reserve(request)).outcome

    return ask, ReserveOutcome.RESERVED


async def extending(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a"))
    request = ExtendRequest(CallKey("test", "a"), OWN, place.own.account_id, Decimal(3), 60, None)

    async def ask() -> object:
        return (await place.ledger.extend(request)).outcome

    return ask, ExtendOutcome.EXTENDED


async def settling(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a"))

    async def ask() -> object:
        return (await place.ledger.settle(settle_request(place.own, "a", seconds=10, cost="0.1"))).outcome

    return ask, SettleOutcome.SETTLED


async def settling_with_a_package_and_a_limited_route(place: Place) -> tuple[Asked, object]:
    use, route_id = await _package(place), await _limited_route(place)
    request = _request(place, "a", tariffs=await _versions(place), limited_route=route_id)
    request = replace(request, details=replace(request.details, packages=(use,)))
    assert (await place.ledger.reserve(request)).outcome is ReserveOutcome.RESERVED
    end = replace(settle_request(place.own, "a", seconds=70, cost="0.1"), covered_seconds=60)

    async def ask() -> object:
        return (await place.ledger.settle(end)).outcome

    return ask, SettleOutcome.SETTLED


async def settling_what_was_never_reserved(place: Place) -> tuple[Asked, object]:
    details = details_of(place.own, place.deck)
    use = await _package(place)
    end = replace(settle_request(place.own, "a", seconds=70, cost="0.1", details=details), packages=(use,))

    async def ask() -> object:
        return (await place.ledger.settle(end)).outcome

    return ask, SettleOutcome.SETTLED


async def taking_back(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a", claim=7))
    end = settle_request(place.own, "a", seconds=0, cost="0")

    async def ask() -> object:
        return (await place.ledger.settle(replace(end, source=SettleSource.ABANDONED, claim=7))).outcome

    return ask, SettleOutcome.SETTLED


async def expiring(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a", lifetime_seconds=-1))

    async def ask() -> object:
        return await place.ledger.expire(OWN)

    return ask, 1


async def finding(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a"))

    async def ask() -> object:
        found = await place.ledger.find(OWN, CallKey("test", "a"))
        return None if found is None else found.account_id

    return ask, place.own.account_id


async def asking_for_packages(place: Place) -> tuple[Asked, object]:
    use = await _package(place)

    async def ask() -> object:
        wanted = [(use.package_id, use.period_start)]
        [state] = await package_states(place.session, OWN, place.own.subscriber_id, wanted)
        return state.seconds_left

    return ask, 600


async def noting_what_was_seen(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a"))
    seen = Sighting(OWN, CallKey("test", "a"), datetime.now(UTC), datetime.now(UTC))

    async def ask() -> object:
        return await note_seen(place.session, [seen])

    return ask, {CallKey("test", "a")}


async def looking_for_channels(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a"))

    async def ask() -> object:
        return [call.bucket for call in await open_calls_of_channels(place.session, "test", ["a"], buckets=1)]

    return ask, [OWN]


async def looking_for_what_expired(place: Place) -> tuple[Asked, object]:
    await place.ledger.reserve(_request(place, "a", lifetime_seconds=-1))
    await place.database.fetch("UPDATE open_calls SET answered_at = now() - interval '1 minute'")

    async def ask() -> object:
        return len(await expired_answered(place.session, OWN, unseen_seconds=1, limit=10))

    return ask, 1


async def finding_a_subscriber(place: Place) -> tuple[Asked, object]:
    async def ask() -> object:
        return await SubscriberReader(place.session).by_login(place.own.login)

    return ask, place.own


async def finding_who_may_call_without_the_database(place: Place) -> tuple[Asked, object]:
    await place.database.fetch("UPDATE accounts SET kind = 'postpaid'")

    async def ask() -> object:
        return set(await offline_accounts(place.session, [place.own.login]))

    return ask, {place.own.login}


async def adjusting_a_balance(place: Place) -> tuple[Asked, object]:
    async def ask() -> object:
        note = note_of(OPERATOR, "account.adjust", place.own.login)
        return await adjust(place.session, place.own.login, Decimal(-5), "r", "a slip", note)

    return ask, Posting(Decimal(95), True)


async def closing_an_account(place: Place) -> tuple[Asked, object]:
    async def ask() -> object:
        note = note_of(OPERATOR, "account.close", place.own.login)
        closing = Closing(Settlement.PAID_OUT, "back to its bank")
        return await close_account(place.session, place.own.login, closing, note)

    return ask, Decimal(100)


async def posting_an_entry(place: Place) -> tuple[Asked, object]:
    async def ask() -> object:
        note = note_of(OPERATOR, "account.topup", place.own.login)
        return await post_entry(place.session, place.own.login, "topup", Decimal(5), "r", note)

    return ask, Posting(Decimal(105), True)


async def taking_a_subscription(place: Place) -> tuple[Asked, object]:
    now = datetime.now(UTC)
    begun = SubscriptionOrder(
        7, 1, place.own.login, None, "", False, now, None, now, Decimal(1), Decimal(0), None, 0, None, "fax: begun"
    )
    note = note_of(OPERATOR, "subscription.add", place.own.login)
    made = await store.subscribe(place.database, OWN, place.own.account_id, begun, note)
    await place.database.fetch(
        "INSERT INTO services (name, kind, period, currency) VALUES ('fax', 'periodic', 'day', 'EUR')"
    )
    await place.database.fetch("UPDATE service_subscriptions SET service_id = 1")
    found = await store.find_subscription(place.database, made.subscription_id or 0)

    async def ask() -> object:
        again = await store.subscribe(place.session, OWN, place.own.account_id, begun._replace(service_id=8), note)
        due = Charge(now, now + timedelta(days=1))
        taken = await store.charge(place.session, found, due, Decimal(3), "subscription:1:a", "fax: a day")
        ended = await store.end(place.session, found, SubscriptionState.ENDED, now, MoneyBack.ALL, "fax: back", note)
        return [(each.outcome, each.amount) for each in (again, taken, ended)]

    return ask, [(Done.DONE, Decimal(1)), (Done.DONE, Decimal(3)), (Done.DONE, Decimal(-4))]


async def changing_the_tariff(place: Place) -> tuple[Asked, object]:
    gold = await publish_deck(place.database, "gold")
    return (lambda: _switch(place, gold, is_option=False)), "switched"


async def taking_an_option(place: Place) -> tuple[Asked, object]:
    gold = await publish_deck(place.database, "gold")
    await place.database.fetch("UPDATE tariffs SET is_option = true WHERE name = 'gold'")
    return (lambda: _switch(place, replace(gold, tariff_version=gold.tariff_version + 1), is_option=True)), "switched"


async def _switch(place: Place, tariff: Deck, *, is_option: bool) -> object:
    party = await find_party(place.session, place.own.login)
    change = Change(tariff.tariff_id, tariff.tariff_version, is_option, Decimal(1), "r")
    outcome, _ = await switch(place.session, party, change, note_of(OPERATOR, "switch", party.login))
    return outcome


async def correcting_calls(place: Place) -> tuple[Asked, object]:
    await place.ledger.settle(
        settle_request(place.own, "a", seconds=10, cost="0.1", details=details_of(place.own, place.deck))
    )
    now = datetime.now(UTC)
    rerate_id = await place.database.fetchval(
        "INSERT INTO rerates (tariff_id, tariff_version, deck_id, deck_version, calls_from, calls_to) "
        "VALUES ($1, 1, $2, 1, $3, $4) RETURNING rerate_id",
        place.deck.tariff_id, place.deck.deck_id, now - timedelta(days=1), now + timedelta(days=1),
    )  # fmt: skip
    await place.database.fetch(
        "INSERT INTO rerate_items (bucket, rerate_id, call_key, account_id, subscriber_id, currency, destination, "
        "seconds, old_cost, new_cost, billed_seconds, rate) VALUES (0, $1, 'test/a/1', $2, $3, 'EUR', '49', 10, 0.1, "
        "0.05, 10, '{}')", rerate_id, place.own.account_id, place.own.subscriber_id,
    )  # fmt: skip
    await place.database.fetch("UPDATE rerates SET state = 'open'")
    return (lambda: correct_calls(place.session, OWN, rerate_id, ["test/a/1"])), ["corrected"]


CASES: list[Case] = [
    reserving,
    reserving_again,
    reserving_by_a_limited_route,
    reserving_with_a_package,
    reserving_for_a_login_with_a_limit,
    extending,
    settling,
    settling_with_a_package_and_a_limited_route,
    settling_what_was_never_reserved,
    taking_back,
    expiring,
    finding,
    asking_for_packages,
    noting_what_was_seen,
    looking_for_channels,
    looking_for_what_expired,
    finding_a_subscriber,
    finding_who_may_call_without_the_database,
    adjusting_a_balance,
    closing_an_account,
    posting_an_entry,
    taking_a_subscription,
    changing_the_tariff,
    taking_an_option,
    correcting_calls,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.replace("_", " "))
async def test_for_one_bucket_nothing_of_another_is_touched(empty_database_url: str, case: Case):
    async with place_on(empty_database_url, schema_sql()) as place:
        ask, expected = await case(place)
        async with poisoned(empty_database_url):
            assert await ask() == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.replace("_", " "))
async def test_every_money_call_is_served_by_a_cluster(cluster_url: str, case: Case):
    async with place_in(cluster_url) as place:
        ask, expected = await case(place)
        assert await ask() == expected


@pytest.mark.parametrize(
    ("case", "right", "wrong"),
    [
        pytest.param(
            settling, "FROM open_calls WHERE bucket = p_bucket AND call_key", "FROM open_calls WHERE call_key",
            id="an open call looked up without its bucket",
        ),
        pytest.param(
            reserving, "FROM accounts a WHERE a.bucket = p_bucket AND a", "FROM accounts a WHERE a",
            id="accounts locked without their bucket",
        ),
    ],
)  # fmt: skip
async def test_a_slip_that_touches_another_bucket_is_found(empty_database_url, case, right, wrong):
    sql = schema_sql()
    assert right in sql, f"schema.sql has changed; plant this slip anew: {right}"

    async with place_on(empty_database_url, sql.replace(right, wrong)) as place:
        ask, _ = await case(place)
        async with poisoned(empty_database_url):
            with pytest.raises(asyncpg.LockNotAvailableError):
                await ask()
