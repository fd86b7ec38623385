"""Look-ups of rates over PostgreSQL and Redis: which level answers, what is forgotten, what is shared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from decimal import Decimal

import pytest

from rating_engine.domain.errors import Unavailable
from rating_engine.services.facts import rate_lookup as rate_decks
from rating_engine.services.facts.rate_lookup import Level, RateDecks
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.postgres.pool import Database
from tests.support.decks import cache_of, deck_now, make_tariff, match_now, replace_deck

PRICES = {"7": "0.50", "79": "0.10", "7902": "0.20", "44": "0.03"}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    await database.open()
    yield database
    await database.close()


@pytest.fixture
async def cache(redis_url: str, database: Database) -> AsyncIterator[RateCache]:
    cache = cache_of(redis_url, database, timeout_seconds=5)  # so that a busy machine is not taken for a dead Redis
    await cache.open()
    yield cache
    await cache.close()


@pytest.fixture
async def tariff(database: Database) -> int:
    tariff_id = await make_tariff(database)
    await replace_deck(database, tariff_id, PRICES)
    return tariff_id


class Process:
    """An engine process's view of the decks, and the levels that answered it."""

    def __init__(self, database: Database, cache: RateCache | None = None, **options: int) -> None:
        self.levels: list[Level] = []
        self.decks = RateDecks(database, cache, observe_lookup=self.levels.append, **options)

    async def price(self, tariff_id: int, number: str) -> Decimal | None:
        match = await match_now(self.decks, tariff_id, number)
        return None if match is None else match.rate.price_1


async def written(cache: RateCache, database: Database, tariff_id: int) -> None:
    """Return when everything written to Redis so far has arrived."""
    await cache.find(await deck_now(database, tariff_id), ["-"])


async def test_the_longest_prefix_wins(database: Database, tariff: int) -> None:
    process = Process(database)
    assert await process.price(tariff, "79020000001") == Decimal("0.20")
    assert await process.price(tariff, "79010000001") == Decimal("0.10")
    assert await process.price(tariff, "74950000001") == Decimal("0.50")
    assert await process.price(tariff, "33100000000") is None


async def test_a_match_says_deck_currency_prefix_and_direction(database: Database, tariff: int) -> None:
    await database.fetch("INSERT INTO directions VALUES ('somewhere', 'Some Where', 4, 12)")
    match = await match_now(RateDecks(database), tariff, "79010000001")
    assert match is not None
    deck = await deck_now(database, tariff)
    assert (match.tariff_id, match.deck_id, match.currency, match.prefix) == (tariff, deck.deck_id, "EUR", "79")
    assert (match.direction.name, match.direction.min_len, match.direction.max_len) == ("Some Where", 4, 12)


async def test_each_level_spares_the_one_behind_it(database: Database, cache: RateCache, tariff: int) -> None:
    first, second = Process(database, cache), Process(database, cache)
    await first.price(tariff, "79010000001")
    await first.price(tariff, "79010000001")
    await written(cache, database, tariff)
    await second.price(tariff, "79010000001")
    await second.price(tariff, "79010000001")
    assert first.levels == [Level.POSTGRES, Level.MEMORY]
    assert second.levels == [Level.REDIS, Level.MEMORY]


async def test_one_lookup_serves_every_number_of_the_same_region(
    database: Database, cache: RateCache, tariff: int
) -> None:
    first, second = Process(database, cache), Process(database, cache)
    await first.price(tariff, "79010000001")
    await written(cache, database, tariff)
    assert await first.price(tariff, "79019999999") == Decimal("0.10")
    assert await second.price(tariff, "79015555555") == Decimal("0.10")
    assert (first.levels[1], second.levels[0]) == (Level.MEMORY, Level.REDIS)


async def test_that_no_rate_serves_a_number_is_remembered_too(
    database: Database, cache: RateCache, tariff: int
) -> None:
    first, second = Process(database, cache), Process(database, cache)
    await first.price(tariff, "33100000000")
    await first.price(tariff, "33100000000")
    await written(cache, database, tariff)
    await second.price(tariff, "33200000000")
    assert first.levels == [Level.NONE, Level.MEMORY]
    assert second.levels == [Level.REDIS]


async def test_the_memory_of_a_process_is_bounded_and_an_answer_that_left_is_looked_up_again(
    database: Database, tariff: int
) -> None:
    process = Process(database, memory_entries=1)
    await process.price(tariff, "79010000001")
    await process.price(tariff, "44100000000")
    assert await process.price(tariff, "79010000001") == Decimal("0.10")
    assert process.levels == [Level.POSTGRES] * 3


async def test_a_process_may_be_told_to_remember_nothing(database: Database, tariff: int) -> None:
    process = Process(database, memory_entries=0)
    assert [await process.price(tariff, "79010000001") for _ in range(2)] == [Decimal("0.10")] * 2
    assert process.levels == [Level.POSTGRES] * 2


async def test_a_tariff_without_a_deck_serves_nothing_until_it_gets_one(database: Database) -> None:
    process, tariff = Process(database), await make_tariff(database)
    assert await process.price(tariff, "79010000001") is None
    await replace_deck(database, tariff, PRICES)
    process.decks.forget_tariff(tariff)
    assert await process.price(tariff, "79010000001") == Decimal("0.10")


async def test_an_unknown_tariff_serves_nothing(database: Database) -> None:
    assert await match_now(RateDecks(database), 4711, "79010000001") is None


async def test_a_published_deck_is_seen_at_once_by_every_process_that_is_told(
    database: Database, cache: RateCache, tariff: int
) -> None:
    processes = [Process(database, cache), Process(database, cache)]
    for process in processes:
        assert await process.price(tariff, "79010000001") == Decimal("0.10")
    await replace_deck(database, tariff, {"79": "0.70"})
    for process in processes:
        process.decks.forget_tariff(tariff)
        assert await process.price(tariff, "79010000001") == Decimal("0.70")


async def test_a_process_that_was_not_told_can_be_caught_by_the_deck_it_names(
    database: Database, cache: RateCache, tariff: int
) -> None:
    """What charging does when reserve() answers stale: forget the tariff, ask again."""
    process = Process(database, cache)
    await process.price(tariff, "79010000001")
    published = await replace_deck(database, tariff, {"79": "0.70"})
    stale = await match_now(process.decks, tariff, "79010000001")
    assert stale is not None
    assert stale.deck_id != published
    process.decks.forget_tariff(tariff)
    fresh = await match_now(process.decks, tariff, "79010000001")
    assert fresh is not None
    assert (fresh.deck_id, fresh.rate.price_1) == (published, Decimal("0.70"))


async def test_a_lost_announcement_is_made_good_when_what_is_remembered_gets_old(
    database: Database, tariff: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_decks, "TARIFF_TTL_SECONDS", 0)
    process = Process(database)
    assert await process.price(tariff, "33100000000") is None
    await replace_deck(database, tariff, {"33": "0.70"})
    assert await process.price(tariff, "33100000000") == Decimal("0.70")


async def test_the_tariffs_a_process_remembers_are_bounded(
    database: Database, tariff: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_decks, "MAX_TARIFFS", 1)
    other = await make_tariff(database, "wholesale")
    await replace_deck(database, other, {"79": "0.07"})
    process = Process(database)
    prices = [await process.price(tariff_id, "79010000001") for tariff_id in (tariff, other, tariff)]
    assert prices == [Decimal("0.10"), Decimal("0.07"), Decimal("0.10")]
    assert len(process.decks._tariffs) == 1


async def test_a_deck_published_while_the_tariff_is_being_read_is_not_missed(
    database: Database, tariff: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Process(database)
    original = Database.fetchrow

    async def published_just_after_the_read(self: Database, query: str, *args: object) -> object:
        row = await original(self, query, *args)
        monkeypatch.setattr(Database, "fetchrow", original)
        await replace_deck(database, tariff, {"79": "0.70"})
        process.decks.forget_tariff(tariff)
        return row

    monkeypatch.setattr(Database, "fetchrow", published_just_after_the_read)
    await process.price(tariff, "79010000001")
    assert await process.price(tariff, "79010000001") == Decimal("0.70")


async def test_forgetting_everything_finds_new_decks_and_directions(database: Database, tariff: int) -> None:
    decks = RateDecks(database)
    await match_now(decks, tariff, "79010000001")
    await replace_deck(database, tariff, {"79": "0.70"})
    await database.fetch("INSERT INTO directions VALUES ('somewhere', 'Now Named')")
    decks.forget_all()
    match = await match_now(decks, tariff, "79010000001")
    assert match is not None
    assert (match.rate.price_1, match.direction.name) == (Decimal("0.70"), "Now Named")


async def test_a_changed_direction_is_seen_without_looking_the_rate_up_again(database: Database, tariff: int) -> None:
    await database.fetch("INSERT INTO directions VALUES ('somewhere', 'Old')")
    process = Process(database)
    await process.price(tariff, "79010000001")
    await database.fetch("UPDATE directions SET name = 'New', max_len = 11")
    process.decks.forget_directions()
    match = await match_now(process.decks, tariff, "79010000001")
    assert match is not None
    assert (match.direction.name, match.direction.max_len) == ("New", 11)
    assert process.levels == [Level.POSTGRES, Level.MEMORY]


async def test_a_direction_that_came_after_the_others_were_loaded_is_found(database: Database, tariff: int) -> None:
    decks = RateDecks(database)
    await match_now(decks, tariff, "79010000001")
    await database.fetch("INSERT INTO directions VALUES ('elsewhere', 'Else Where')")
    other = await make_tariff(database, "wholesale")
    await replace_deck(database, other, {"79": "0.70"}, direction="elsewhere")
    match = await match_now(decks, other, "79010000001")
    assert match is not None
    assert match.direction.name == "Else Where"


async def test_a_direction_that_nobody_described_is_called_by_its_code(database: Database, tariff: int) -> None:
    match = await match_now(RateDecks(database), tariff, "79010000001")
    assert match is not None
    assert (match.direction.code, match.direction.name) == ("somewhere", "somewhere")


async def test_concurrent_calls_to_one_number_share_one_lookup(
    database: Database, tariff: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counting(original: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def counted(self: Database, query: str, *args: object) -> object:
            asked.append(query)
            return await original(self, query, *args)

        return counted

    monkeypatch.setattr(Database, "fetch", counting(Database.fetch))
    monkeypatch.setattr(Database, "fetchrow", counting(Database.fetchrow))
    process = Process(database)
    prices = await asyncio.gather(*(process.price(tariff, "79010000001") for _ in range(50)))
    assert prices == [Decimal("0.10")] * 50
    assert sum("FROM rates" in query for query in asked) == 1
    assert sum("rate_decks" in query for query in asked) == 1


async def test_a_caller_who_hangs_up_does_not_cut_off_those_who_ask_the_same(database: Database, tariff: int) -> None:
    process = Process(database)
    first = asyncio.create_task(process.price(tariff, "79010000001"))
    second = asyncio.create_task(process.price(tariff, "79010000001"))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == Decimal("0.10")
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_without_postgresql_what_is_remembered_is_still_answered_and_the_rest_is_unavailable(
    database: Database, tariff: int
) -> None:
    process = Process(database)
    await process.price(tariff, "79010000001")
    await database.close()
    assert await process.price(tariff, "79010000001") == Decimal("0.10")
    with pytest.raises(Unavailable):
        await process.price(tariff, "44100000000")


async def test_equal_rates_are_one_object(database: Database, tariff: int) -> None:
    await replace_deck(database, tariff, {"1": "0.1", "2": "0.1"})
    decks = RateDecks(database)
    one, two = await match_now(decks, tariff, "1555"), await match_now(decks, tariff, "2555")
    assert one is not None
    assert two is not None
    assert one.rate is two.rate
