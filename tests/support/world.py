"""A small world for tests: a tariff with a published deck, and accounts that call on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from rating_engine.domain.account import AccountKind, NewAccount, Subscriber
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.reservation import CallDetails, ReserveRequest, SettleRequest
from rating_engine.rating.rate import Rate
from rating_engine.services.doctor import ledger_balanced
from rating_engine.storage.parties.accounts import create_account
from rating_engine.storage.parties.subscribers import SubscriberReader
from rating_engine.storage.postgres.pool import Database

AnyDatabase = TypeVar("AnyDatabase", bound=Database)
CENT_A_SECOND = Rate(price_1="0.60", price_unit="minute", interval_1=1, interval_n=1)


@asynccontextmanager
async def audited(database: AnyDatabase) -> AsyncIterator[AnyDatabase]:
    """A database that is open while a test lasts; then its ledger has to be balanced."""
    await database.open()
    yield database
    assert await ledger_balanced(database) == []
    await database.close()


@dataclass(frozen=True, slots=True)
class Deck:
    """A published deck of a tariff, and the tariff's version by it."""

    tariff_id: int
    deck_id: int
    name: str
    tariff_version: int


async def publish_deck(database: Database, name: str = "retail", rates: dict[str, Rate] | None = None) -> Deck:
    """A tariff of that name (created if need be) with these rates, published as its next version."""
    rates = {"49": CENT_A_SECOND} if rates is None else rates
    tariff_id = await database.fetchval(
        "INSERT INTO tariffs (name, currency) VALUES ($1, 'EUR') ON CONFLICT (name) DO UPDATE SET name = $1 "
        "RETURNING tariff_id",
        name,
    )
    deck_id = await database.fetchval(
        "INSERT INTO rate_decks (tariff_id, version, state, effective_from, rate_count, longest_prefix, published_at) "
        "SELECT $1, COALESCE(max(version), 0) + 1, 'published', now(), $2, $3, now() FROM rate_decks "
        "WHERE tariff_id = $1 RETURNING deck_id",
        tariff_id, len(rates), max(map(len, rates)),
    )  # fmt: skip
    await database.fetch("INSERT INTO directions (code, name) VALUES ('somewhere', 'Somewhere') ON CONFLICT DO NOTHING")
    for prefix, rate in rates.items():
        await database.fetch(
            "INSERT INTO rates (deck_id, prefix, direction, price_1, price_n, price_unit, interval_1, interval_n, "
            "connect_fee, free_seconds, grace_period, postcall_surcharge) "
            "VALUES ($1, $2, 'somewhere', $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            deck_id, prefix, rate.price_1, rate.price_n, rate.price_unit.value, rate.interval_1, rate.interval_n,
            rate.connect_fee, rate.free_seconds, rate.grace_period, rate.postcall_surcharge,
        )  # fmt: skip
    version = await database.fetchval("SELECT version FROM tariffs WHERE tariff_id = $1", tariff_id)
    return Deck(tariff_id, deck_id, name, version)


async def subscriber_by_login(database: Database, login: str) -> Subscriber | None:
    """The subscriber of a login as the call path reads it now."""
    return await SubscriberReader(database).by_login(login)


async def add_account(
    database: Database,
    login: str = "1001",
    *,
    balance: str = "0",
    overdraft: str | None = "0",
    postpaid: bool = False,
    max_calls: int | None = None,
    tariff: str = "retail",
    callerid: str = "",
) -> Subscriber:
    """An account of one subscriber; `overdraft` None is unlimited credit."""
    new = NewAccount(
        login=login,
        tariff=tariff,
        currency=None,
        balance=Decimal(balance),
        overdraft=None if overdraft is None else Decimal(overdraft),
        kind=AccountKind.POSTPAID if postpaid else AccountKind.PREPAID,
        max_calls=max_calls,
        callerid=callerid,
    )
    async with database.transaction(OPERATOR) as tx:
        await create_account(tx, new)
    subscriber = await subscriber_by_login(database, login)
    assert subscriber is not None
    return subscriber


def details_of(subscriber: Subscriber, deck: Deck, destination: str = "4912345") -> CallDetails:
    """Details of a call at CENT_A_SECOND."""
    return CallDetails(
        subscriber_id=subscriber.subscriber_id,
        exchange="test",
        attempt=1,
        callerid="100",
        destination=destination,
        direction="Somewhere",
        prefix="49",
        tariff_id=deck.tariff_id,
        deck_id=deck.deck_id,
        rate=CENT_A_SECOND.to_json(),
        route_name="default",
    )


def reserve_request(
    subscriber: Subscriber,
    deck: Deck,
    uniqueid: str,
    *,
    minimum: str = "0.01",
    maximum: str = "1",
    destination: str = "4912345",
    lifetime_seconds: int = 700,
    quota: bool = False,
) -> ReserveRequest:
    """A request to hold between `minimum` and `maximum`."""
    return ReserveRequest(
        call_key=CallKey("test", uniqueid),
        bucket=subscriber.bucket,
        account_id=subscriber.account_id,
        subscriber_version=subscriber.version,
        minimum=Decimal(minimum),
        maximum=Decimal(maximum),
        price_per_minute=Decimal("0.60"),
        quota=quota,
        steered=quota,
        cap_seconds=100,
        lifetime_seconds=lifetime_seconds,
        route_prefix="",
        details=details_of(subscriber, deck, destination),
        tariffs=((deck.tariff_id, deck.tariff_version),),
        prepared_at=datetime.now(UTC),
    )


def settle_request(
    subscriber: Subscriber, uniqueid: str, *, seconds: int, cost: str, details: CallDetails | None = None
) -> SettleRequest:
    """A request to charge `cost` for an answered call of `seconds`."""
    return SettleRequest(
        call_key=CallKey("test", uniqueid),
        bucket=subscriber.bucket,
        account_id=subscriber.account_id,
        seconds=seconds,
        billed_seconds=seconds,
        cost=Decimal(cost),
        disposition="ANSWER" if seconds else "NOANSWER",
        cause=16,
        details=details,
    )
