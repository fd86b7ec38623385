"""Whoever can write to Redis, or stands in its place, makes a lookup slower and sets no price."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import orjson
import pytest
import redis.asyncio
import uvloop
from structlog.testing import capture_logs

from rating_engine.domain.tariff import PublishedDeck
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, CandidateRate
from rating_engine.rating.rate import Rate
from rating_engine.services.facts.memory import CallMemory
from rating_engine.services.facts.rate_lookup import Level, RateDecks
from rating_engine.storage.decks.cached_answer import CachedAnswer
from rating_engine.storage.decks.rate_cache import MAX_VALUE_BYTES, RateCache
from rating_engine.storage.decks.seal import Seal
from rating_engine.storage.postgres.announcements import Announcements
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.secrets import NEW_SECRET
from tests.support.decks import cache_of, deck_now, make_tariff, match_now, replace_deck
from tests.support.hostile_redis import HostileRedis

PRICES = {"79": "0.10", "44": "0.03"}
PATIENCE_SECONDS = 20.0
FREE = CandidateRate("79", "", "", EVER_SINCE, FOR_EVER, "", False, Rate(price_1="0"))


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
async def client(redis_url: str) -> AsyncIterator[Any]:
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        yield client


async def ask(database: Database, cache: RateCache, tariff: int, number: str) -> tuple[Decimal | None, Level]:
    levels: list[Level] = []
    match = await match_now(RateDecks(database, cache, observe_lookup=levels.append), tariff, number)
    return (None if match is None else match.rate.price_1), levels[0]


async def keys(client: Any, count: int) -> dict[bytes, bytes]:
    """The keys and their values once so many are there, by region."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found := await client.keys("*")) < count:  # noqa: ASYNC110  # another process's
            await asyncio.sleep(0.01)
    return {key.rsplit(b":", 1)[1]: key for key in found}


async def opened(redis_url: str, database: Database, **options: Any) -> RateCache:
    cache = cache_of(redis_url, database, **{"timeout_seconds": 5, **options})
    await cache.open()
    return cache


async def test_a_price_that_somebody_else_wrote_is_counted_and_never_used(
    database: Database, redis_url: str, client: Any, tariff: int, deck: PublishedDeck
) -> None:
    forged: list[None] = []
    cache = await opened(redis_url, database, on_forged=lambda: forged.append(None))
    key = f"rate2:{{{deck.key}}}:79".encode()
    text = orjson.dumps([deck.key, "79", [["79", "", '{"price_1":"0"}']]])
    with capture_logs() as logs:
        for value in (text, bytes(16) + text, Seal(b"x" * 32).sealed(key, text), b"x"):
            await client.set(key, value)
            assert await ask(database, cache, tariff, "79010000001") == (Decimal("0.10"), Level.POSTGRES)
    await cache.close()
    assert len(forged) == 4
    assert len([entry for entry in logs if entry["event"] == "redis_value_not_ours"]) == 1


async def test_an_answer_moved_to_another_number_is_not_used(
    database: Database, redis_url: str, client: Any, tariff: int
) -> None:
    cache = await opened(redis_url, database)
    for number in ("79010000001", "44100000000"):
        await ask(database, cache, tariff, number)
    kept = await keys(client, 2)
    await client.copy(kept[b"44"], kept[b"79"], replace=True)
    assert await ask(database, cache, tariff, "79010000001") == (Decimal("0.10"), Level.POSTGRES)
    assert await ask(database, cache, tariff, "44100000000") == (Decimal("0.03"), Level.REDIS)
    await cache.close()


async def test_an_answer_moved_to_another_tariff_is_not_used(
    database: Database, redis_url: str, client: Any, tariff: int
) -> None:
    cache = await opened(redis_url, database)
    cheap = await make_tariff(database, "cheap")
    await replace_deck(database, cheap, {"79": "0.01"})
    await ask(database, cache, cheap, "79010000001")
    (source,) = (await keys(client, 1)).values()
    await ask(database, cache, tariff, "79010000001")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found := await client.keys("*")) < 2:  # noqa: ASYNC110  # another process's
            await asyncio.sleep(0.01)
    (target,) = set(found) - {source}
    await client.copy(source, target, replace=True)
    assert await ask(database, cache, tariff, "79010000001") == (Decimal("0.10"), Level.POSTGRES)
    await cache.close()


async def test_a_value_without_end_is_cut_by_the_server_and_costs_its_own_key_alone(
    database: Database, redis_url: str, client: Any, tariff: int
) -> None:
    cache = await opened(redis_url, database)
    for number in ("79010000001", "44100000000"):
        await ask(database, cache, tariff, number)
    kept = await keys(client, 2)
    await client.setrange(kept[b"79"], 200_000_000, b"x")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert await ask(database, cache, tariff, "79010000001") == (Decimal("0.10"), Level.POSTGRES)
    assert await ask(database, cache, tariff, "44100000000") == (Decimal("0.03"), Level.REDIS)
    assert cache.down is None
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    await cache.close()


async def test_an_answer_too_long_to_be_read_back_is_not_written(
    database: Database, redis_url: str, client: Any, deck: PublishedDeck
) -> None:
    cache = await opened(redis_url, database)
    cache.keep(deck, CachedAnswer("79", (FREE,) * (MAX_VALUE_BYTES // 20)))
    cache.keep(deck, CachedAnswer("791", (FREE,)))
    await cache.find(deck, ["-"])
    assert [key.rsplit(b":", 1)[1] for key in await client.keys("*")] == [b"791"]
    await cache.close()


async def endless(writer: asyncio.StreamWriter) -> None:
    """A value that says it is short enough, then replies that nobody asked for, without end."""
    while True:
        writer.write(b"$5\r\nhello\r\n" * 10_000)
        await writer.drain()


async def huge(writer: asyncio.StreamWriter) -> None:
    writer.write(b"$536870912\r\n")
    while True:
        writer.write(b"x" * 1_000_000)
        await writer.drain()


async def a_line_without_end(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"+" * 100_000)
        await writer.drain()


async def another_protocol(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def nested(writer: asyncio.StreamWriter) -> None:
    writer.write(b"*1\r\n" * 100_000)


async def negative(writer: asyncio.StreamWriter) -> None:
    writer.write(b"$-5\r\nhello\r\n")


@pytest.mark.parametrize("answer", [endless, huge, a_line_without_end, another_protocol, nested, negative])
async def test_what_never_ends_or_is_not_the_protocol_is_cut_at_the_deadline_and_sets_no_price(
    database: Database, tariff: int, answer: Any
) -> None:
    async with HostileRedis(answer) as server:
        cache = await opened(server.url, database, timeout_seconds=0.05)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        async with asyncio.timeout(PATIENCE_SECONDS):
            for _ in range(3):
                assert await ask(database, cache, tariff, "79010000001") == (Decimal("0.10"), Level.POSTGRES)
        assert server.questions > 0
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # kB: what comes before a deadline
        await cache.close()


async def test_a_slow_drip_is_given_up_at_the_deadline_of_the_whole(database: Database, tariff: int) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        """A byte at a time, each well within any deadline of a single read."""
        writer.write(b"$60000\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.001)

    async with HostileRedis(drip) as server:
        cache = await opened(server.url, database, timeout_seconds=0.05)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await ask(database, cache, tariff, "79010000001") == (Decimal("0.10"), Level.POSTGRES)
        assert cache.down is None  # one late answer may be our own pause
        await cache.close()


async def test_another_secret_counts_at_once_and_what_the_old_one_sealed_is_looked_up_again(
    database: Database, database_url: str, redis_url: str, client: Any, tariff: int
) -> None:
    cache = await opened(redis_url, database)
    memory = CallMemory(database, cache)
    changes: list[str] = []

    def changed(kind: str, value: str) -> None:
        memory.changed(kind, value)
        changes.append(kind)

    announcements = Announcements(database_url, on_change=changed, on_lost=memory.forget_all)
    announcements.start()
    assert await announcements.wait_listening(PATIENCE_SECONDS)
    await ask(database, cache, tariff, "79010000001")
    await keys(client, 1)
    assert (await ask(database, cache, tariff, "79010000001"))[1] is Level.REDIS
    await database.fetch(NEW_SECRET)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not changes:  # noqa: ASYNC110  # PostgreSQL's announcement
            await asyncio.sleep(0.01)
    assert changes == ["engine_secrets"]
    await ask(database, cache, tariff, "44100000000")  # the first lookup from here on reads the secret beside it
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await ask(database, cache, tariff, "79010000001"))[1] is not Level.POSTGRES:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await cache.find(await deck_now(database, tariff), ["-"])  # what was written is there
    assert (await ask(database, cache, tariff, "79010000001"))[1] is Level.REDIS
    await announcements.stop()
    await cache.close()


async def test_without_a_secret_redis_is_neither_asked_nor_written(
    database: Database, redis_url: str, client: Any, tariff: int
) -> None:
    await database.fetch("DELETE FROM engine_secrets")
    cache = await opened(redis_url, database)
    for _ in range(2):
        assert await ask(database, cache, tariff, "79010000001") == (Decimal("0.10"), Level.POSTGRES)
    assert await client.keys("*") == []
    await cache.close()


async def test_engines_of_two_databases_share_a_redis_and_no_prices(
    database: Database, redis_url: str, client: Any, tariff: int
) -> None:
    """As after a restore: the same decks with the same names, other rates, another secret."""
    cache = await opened(redis_url, database)
    await ask(database, cache, tariff, "79010000001")
    await keys(client, 1)
    await database.fetch("UPDATE rates SET price_1 = 0.9")
    await database.fetch(NEW_SECRET)
    restored = await opened(redis_url, database)
    assert await ask(database, restored, tariff, "79010000001") == (Decimal("0.9"), Level.POSTGRES)
    await cache.close()
    await restored.close()


def test_the_loop_that_engines_run_in_shares_answers_as_asyncio_does(database_url: str, redis_url: str) -> None:
    async def work() -> list[Level]:
        database = Database(database_url)
        await database.open()
        tariff = await make_tariff(database)
        await replace_deck(database, tariff, PRICES)
        cache = await opened(redis_url, database)
        levels = [(await ask(database, cache, tariff, "79010000001"))[1]]
        await cache.find(await deck_now(database, tariff), ["-"])  # what was written is there
        levels.append((await ask(database, cache, tariff, "79010000001"))[1])
        await cache.close()
        await database.close()
        return levels

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(work()) == [Level.POSTGRES, Level.REDIS]
