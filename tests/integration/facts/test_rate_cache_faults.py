"""Redis down, cut, silent, slow, flushed, full of garbage or of another database's decks: slower, never wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import redis.asyncio

from rating_engine.domain.tariff import PublishedDeck
from rating_engine.embedded import EmbeddedServers
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, CandidateRate
from rating_engine.rating.rate import Rate
from rating_engine.services.facts.rate_lookup import Level, RateDecks
from rating_engine.storage.decks import rate_cache
from rating_engine.storage.decks.cached_answer import CachedAnswer
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.decks.seal import Seal
from rating_engine.storage.postgres.migrate import migrate
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.secrets import rate_cache_secret
from tests.support import waiting
from tests.support.decks import cache_of, deck_now, make_tariff, match_now, replace_deck
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import until_holds

PRICES = {"79": "0.10", "44": "0.03", "1": "0.01"}
NUMBER, PRICE = "79010000001", Decimal("0.10")
PATIENCE_SECONDS = 20.0


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def tariff(database: Database) -> int:
    tariff_id = await make_tariff(database)
    await replace_deck(database, tariff_id, PRICES)
    return tariff_id


@pytest.fixture
async def deck(database: Database, tariff: int) -> PublishedDeck:
    return await deck_now(database, tariff)


@pytest.fixture
async def cache(redis_url: str, database: Database) -> AsyncIterator[RateCache]:
    cache = cache_of(redis_url, database, timeout_seconds=5)
    await cache.open()
    yield cache
    await cache.close()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Any]:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[TcpProxy]:
    address = urlsplit(redis_url)
    assert address.hostname is not None
    assert address.port is not None
    async with TcpProxy(address.hostname, address.port) as proxy:
        yield proxy


@pytest.fixture
async def proxied(redis_url: str, database: Database, proxy: TcpProxy) -> AsyncIterator[RateCache]:
    cache = cache_of(proxy.url(redis_url), database, timeout_seconds=0.2, connect_timeout_seconds=1)
    await cache.open()
    yield cache
    await cache.close()


async def ask(database: Database, cache: RateCache, tariff: int, number: str = NUMBER) -> tuple[Decimal | None, Level]:
    """What a process that knows nothing yet finds, and at which level."""
    levels: list[Level] = []
    match = await match_now(RateDecks(database, cache, observe_lookup=levels.append), tariff, number)
    return (None if match is None else match.rate.price_1), levels[0]


async def until(cache: RateCache, *, up: bool) -> None:
    await until_holds(lambda: (cache.down is None) == up)


async def stored(client: Any) -> bytes:
    """The only key there is, once it is there."""
    (key,) = await waiting.until(lambda: client.keys("*"))
    return bytes(key)


async def test_a_flushed_redis_is_filled_again(database: Database, cache: RateCache, client: Any, tariff: int) -> None:
    await ask(database, cache, tariff)
    await stored(client)
    assert await ask(database, cache, tariff) == (PRICE, Level.REDIS)
    await client.flushdb()
    assert await ask(database, cache, tariff) == (PRICE, Level.POSTGRES)
    await stored(client)
    assert await ask(database, cache, tariff) == (PRICE, Level.REDIS)


NINE = '{"price_1":"9"}'
NIGHT = ("", "night", None, None)  # origin, band, since, until
JUNE = "2026-06-01T00:00:00+00:00"


def _told(deck: PublishedDeck, region: str, *candidates: object) -> bytes:
    return orjson.dumps([deck.key, region, candidates])


GARBAGE = {
    "nothing": lambda deck: b"",
    "no JSON": lambda deck: b"\xff\x00garbage",
    "JSON of another shape": lambda deck: b'{"price": 1}',
    "null": lambda deck: b"null",
    "another deck's answer": lambda deck: orjson.dumps(["0.0", "79", [["79", "somewhere", NINE]]]),
    "another region's answer": lambda deck: _told(deck, "44", ("44", "somewhere", NINE)),
    "the answer of a wider region": lambda deck: _told(deck, "7", ("7", "somewhere", NINE)),
    "an answer of before rows had conditions": lambda deck: orjson.dumps([deck.key, "79", "79", "somewhere", NINE]),
    "a prefix outside its region": lambda deck: _told(deck, "79", ("44", "somewhere", NINE)),
    "an empty prefix": lambda deck: _told(deck, "79", ("", "somewhere", NINE)),
    "no rate": lambda deck: _told(deck, "79", ("79", "somewhere", "{}")),
    "a rate that is no text": lambda deck: _told(deck, "79", ("79", "somewhere", {"price_1": "9"})),
    "a negative price": lambda deck: _told(deck, "79", ("79", "somewhere", '{"price_1":"-9"}')),
    "a price that is null": lambda deck: _told(deck, "79", ("79", "somewhere", '{"price_1":null}')),
    "a direction that is no text": lambda deck: _told(deck, "79", ("79", 1, NINE)),
    "a candidate that is no list": lambda deck: _told(deck, "79", 9),
    "a field too many": lambda deck: _told(deck, "79", ("79", "somewhere", NINE, "1")),
    "another field beside the candidates": lambda deck: orjson.dumps([deck.key, "79", [], 1]),
    "conditions that say nothing": lambda deck: _told(deck, "79", ("79", "somewhere", NINE, "", "", None, None)),
    "a band that is no text": lambda deck: _told(deck, "79", ("79", "somewhere", NINE, "", 1, None, None)),
    "a moment that is none": lambda deck: _told(deck, "79", ("79", "somewhere", NINE, "", "", "June", None)),
    "a moment of no time zone": lambda deck: _told(deck, "79", ("79", "somewhere", NINE, "", "", JUNE[:-6], None)),
    "a moment of another zone": lambda deck: _told(deck, "79", ("79", "", NINE, "", "", JUNE[:-5] + "01:00", None)),
    "a good row and a bad one": lambda deck: _told(deck, "79", ("79", "", NINE, *NIGHT), ("79", "", "{}")),
    "a good answer with a space": lambda deck: _told(deck, "79", ("79", "somewhere", NINE)).replace(b",", b", "),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
async def test_a_value_that_does_not_read_back_exactly_counts_as_not_there(
    database: Database, cache: RateCache, client: Any, tariff: int, deck: PublishedDeck, garbage: Any
) -> None:
    await ask(database, cache, tariff)
    key = await stored(client)
    assert key == f"rate2:{{{deck.key}}}:79".encode()
    secret = await rate_cache_secret(database)
    assert secret is not None
    await client.set(key, Seal(secret).sealed(key, garbage(deck)))  # as an engine with a fault might write it
    assert await ask(database, cache, tariff) == (PRICE, Level.POSTGRES)


async def test_a_key_of_another_type_counts_as_not_there(
    database: Database, cache: RateCache, client: Any, tariff: int
) -> None:
    await ask(database, cache, tariff)
    key = await stored(client)
    await client.delete(key)
    await client.lpush(key, "x")
    assert await ask(database, cache, tariff) == (PRICE, Level.POSTGRES)


async def test_a_database_made_anew_beside_an_old_redis_gets_none_of_its_answers(
    database: Database, cache: RateCache, client: Any, tariff: int, deck: PublishedDeck
) -> None:
    await ask(database, cache, tariff)
    await stored(client)
    # What a restored database does: the same deck id comes again, with other rates.
    await database.fetch("UPDATE rates SET price_1 = 0.9 WHERE deck_id = $1", deck.deck_id)
    await database.fetch("UPDATE rate_decks SET published_at = clock_timestamp() WHERE deck_id = $1", deck.deck_id)
    assert await ask(database, cache, tariff) == (Decimal("0.9"), Level.POSTGRES)


async def test_without_redis_from_the_start_lookups_go_to_postgresql_and_later_to_redis(
    database: Database, redis_url: str, proxy: TcpProxy, tariff: int
) -> None:
    await proxy.refuse()
    cache = cache_of(proxy.url(redis_url), database, timeout_seconds=5)
    await cache.open()
    assert cache.down is not None
    assert await ask(database, cache, tariff) == (PRICE, Level.POSTGRES)
    await proxy.accept()
    await until(cache, up=True)
    await ask(database, cache, tariff)
    await cache.close()
    assert cache.down == "closed"


async def test_a_cut_connection_costs_one_lookup_its_redis_and_is_mended(
    database: Database, proxied: RateCache, proxy: TcpProxy, tariff: int
) -> None:
    assert proxied.down is None
    proxy.cut()
    assert (await ask(database, proxied, tariff))[0] == PRICE
    await until(proxied, up=True)
    assert (await ask(database, proxied, tariff, "44100000000"))[0] == Decimal("0.03")


async def test_a_silent_redis_is_asked_a_few_times_and_then_no_more(
    database: Database, proxied: RateCache, proxy: TcpProxy, tariff: int
) -> None:
    proxy.silence()
    assert proxied.down is None
    for _ in range(rate_cache.MAX_TIMEOUTS):
        assert await ask(database, proxied, tariff) == (PRICE, Level.POSTGRES)
    assert proxied.down is not None
    assert await ask(database, proxied, tariff) == (PRICE, Level.POSTGRES)
    proxy.speak()
    await until(proxied, up=True)


async def test_a_late_answer_is_never_taken_for_the_answer_to_the_next_question(
    database: Database, proxied: RateCache, proxy: TcpProxy, tariff: int
) -> None:
    for number in ("79010000001", "44100000000"):
        await ask(database, proxied, tariff, number)
    proxy.silence()
    await ask(database, proxied, tariff, "79010000001")  # given up; the answer comes when the proxy speaks
    proxy.speak()
    assert (await ask(database, proxied, tariff, "44100000000"))[0] == Decimal("0.03")
    assert (await ask(database, proxied, tariff, "79010000001"))[0] == PRICE


async def test_hundreds_of_lookups_at_once_get_each_its_own_answer(
    database: Database, cache: RateCache, tariff: int, deck: PublishedDeck
) -> None:
    answers = await asyncio.gather(
        *(ask(database, cache, tariff, number) for number in ["79010000001", "44100000000", "33100000000"] * 100)
    )
    assert [price for price, _ in answers] == [PRICE, Decimal("0.03"), None] * 100


async def test_while_redis_is_down_nothing_waits_to_be_written(
    proxied: RateCache, proxy: TcpProxy, deck: PublishedDeck
) -> None:
    await proxy.refuse()
    proxy.cut()
    await proxied.find(deck, ["7"])
    assert proxied.down is not None
    for number in range(5_000):
        proxied.keep(deck, CachedAnswer(str(number), ()))
    assert len(proxied._writes) == 0


async def test_what_waits_to_be_written_is_bounded(cache: RateCache, deck: PublishedDeck) -> None:
    for number in range(5_000):
        cache.keep(deck, CachedAnswer(str(number), ()))
    assert len(cache._writes) == rate_cache.MAX_PENDING_WRITES


async def test_closing_answers_whoever_still_waits(
    database: Database, redis_url: str, proxy: TcpProxy, deck: PublishedDeck
) -> None:
    cache = cache_of(proxy.url(redis_url), database, timeout_seconds=60)
    await cache.open()
    proxy.silence()
    waiting = [asyncio.create_task(cache.find(deck, ["7"])) for _ in range(200)]
    await asyncio.sleep(0)
    await cache.close()
    assert await asyncio.gather(*waiting) == [None] * 200


async def test_a_killed_redis_in_the_middle_of_calls_changes_no_price(private_servers: EmbeddedServers) -> None:
    await migrate(private_servers.database_url)
    database = Database(private_servers.database_url)
    await database.open()
    states: list[bool] = []
    cache = cache_of(private_servers.redis_url, database, timeout_seconds=5, on_state=states.append)
    await cache.open()
    try:
        tariff = await make_tariff(database)
        await replace_deck(database, tariff, {f"{number}": f"0.{number}" for number in range(100, 400)})

        async def call(number: int) -> tuple[Decimal | None, int]:
            price, _ = await ask(database, cache, tariff, f"{number}5550000")
            return price, number

        answers = [await call(number) for number in range(100, 200)]
        private_servers.valkey.kill()
        answers += [await call(number) for number in range(200, 300)]
        assert cache.down is not None
        await asyncio.to_thread(private_servers.valkey.start)
        await until(cache, up=True)
        answers += [await call(number) for number in range(300, 400)]
        assert answers == [(Decimal(f"0.{number}"), number) for number in range(100, 400)]
        assert states == [True, False, True]
    finally:
        await cache.close()
        await database.close()


async def test_answers_read_back_as_they_were_written(cache: RateCache, deck: PublishedDeck) -> None:
    rate = Rate(price_1="0.1", price_n="0.05", price_unit="minute", interval_1=60, connect_fee="0.01", grace_period=3)
    plain = CandidateRate("79", "", "", EVER_SINCE, FOR_EVER, "Россия; «моб»", False, rate)
    june = datetime(2026, 6, 1, 0, 0, 0, 1, tzinfo=UTC)
    conditional = (
        CandidateRate("790", "4420", "night", june, FOR_EVER, "", True, None),
        CandidateRate("790", "", "night", EVER_SINCE, june, "x", False, rate),
        CandidateRate("79", "49", "", EVER_SINCE, FOR_EVER, "x", False, rate),
    )
    answers = [
        CachedAnswer("790", (*conditional, plain)),
        CachedAnswer("791", (plain,)),
        CachedAnswer("792", (replace(plain, blocked=True, rate=None),)),
        CachedAnswer("33", ()),
    ]
    for answer in answers:
        cache.keep(deck, answer)
    await cache.find(deck, ["-"])
    assert [await cache.find(deck, [answer.region]) for answer in answers] == answers


async def test_a_row_that_this_engine_can_make_no_rate_of_is_not_passed_on(
    cache: RateCache, deck: PublishedDeck
) -> None:
    unusable = CandidateRate("79", "", "", EVER_SINCE, FOR_EVER, "", False, None)
    cache.keep(deck, CachedAnswer("79", (unusable,)))
    await cache.find(deck, ["-"])
    assert await cache.find(deck, ["79"]) is None
