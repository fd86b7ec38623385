"""Exchange rates: set from now on or ahead, read whole, and never changed behind calls that were charged by them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import asyncpg
import pytest

from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.services.tariffs.exchange import convert
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates
from tests.support.operators import Exchange

AHEAD = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


async def test_a_rate_holds_from_now_on_and_one_ahead_from_its_instant(database):
    exchange = Exchange(database)
    since = await exchange.set("EUR", "USD", "1.0812345678")
    assert await exchange.set("EUR", "USD", "1.2", "2999-01-01") == AHEAD

    rates = ExchangeRates(await load_exchange_rates(database))

    assert rates.rate_at("EUR", "USD", since) == Decimal("1.0812345678")
    assert rates.rate_at("EUR", "USD", since - timedelta(microseconds=1)) is None
    assert rates.rate_at("EUR", "USD", AHEAD) == Decimal("1.2")
    assert await exchange.list() == [
        ("EUR", "USD", AHEAD, Decimal("1.2")),
        ("EUR", "USD", since, Decimal("1.0812345678")),
    ]


async def test_a_rate_ahead_may_be_replaced_or_taken_back(database):
    exchange = Exchange(database)
    await exchange.set("EUR", "USD", "1.1", "2999-01-01")
    await exchange.set("EUR", "USD", "1.2", "2999-01-01T01:00+01:00")
    assert [row[3] for row in await exchange.list()] == [Decimal("1.2")]

    await exchange.remove("EUR", "USD", "2999-01-01")

    assert await exchange.list() == []
    with pytest.raises(NotFound):
        await exchange.remove("EUR", "USD", "2999-01-01")


async def test_what_is_in_force_stays(database):
    exchange = Exchange(database)
    since = await exchange.set("EUR", "USD", "1.1")

    with pytest.raises(InvalidRequest, match=r"^effective_from: has passed"):
        await exchange.remove("EUR", "USD", since.isoformat())
    for instant in (since.isoformat(), "2020-01-01"):
        with pytest.raises(InvalidRequest, match=r"^effective_from: is past"):
            await exchange.set("EUR", "USD", "9", instant)
    assert [row[3] for row in await exchange.list()] == [Decimal("1.1")]


@pytest.mark.parametrize(
    ("field", "arguments"),
    [
        ("currency_from", ("eur", "USD", "1")),
        ("currency_to", ("EUR", "EURO", "1")),
        ("currency_to", ("EUR", "EUR", "1")),
        ("rate", ("EUR", "USD", "0")),
        ("rate", ("EUR", "USD", "-1")),
        ("rate", ("EUR", "USD", "1.00000000001")),
        ("rate", ("EUR", "USD", "1e10")),
        ("effective_from", ("EUR", "USD", "1", "soon")),
    ],
)
async def test_a_rate_that_cannot_be_is_refused_by_name(database, field, arguments):
    with pytest.raises(InvalidRequest, match=f"^{field}: "):
        await Exchange(database).set(*arguments)


async def test_an_amount_is_converted_half_up_by_the_rate_or_by_the_opposite_one(database):
    since = await Exchange(database).set("EUR", "USD", "1.6")

    assert await convert(database, Decimal(10), "EUR", "USD", since) == 16
    assert await convert(database, Decimal("0.000004"), "USD", "EUR", since) == Decimal("0.000003")  # 2.5 millionths
    assert await convert(database, Decimal(10), "USD", "USD", since) == 10
    with pytest.raises(InvalidRequest) as refused:
        await convert(database, Decimal(1), "GBP", "EUR", since)
    assert refused.value.hint is Hint.NO_EXCHANGE_RATE
    assert refused.value.about == {"currency_from": "GBP", "currency_to": "EUR"}


async def test_every_change_is_announced(database, database_url):
    listener = await asyncpg.connect(database_url)
    heard: list[object] = []
    await listener.add_listener("rating_engine", lambda *said: heard.append(said[3]))
    await Exchange(database).set("EUR", "USD", "1.1", "2999-01-01")
    await Exchange(database).remove("EUR", "USD", "2999-01-01")
    await listener.execute("NOTIFY rating_engine, 'end'")
    await listener.close()

    assert heard == ["exchange_rates", "exchange_rates", "end"]
