"""Law: memory, Redis and PostgreSQL give the answer that trying every prefix gives."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.rating.rate import Rate
from rating_engine.services.rate_decks import Level, RateDecks
from rating_engine.storage.pool import Database
from rating_engine.storage.rate_cache import RateCache
from rating_engine.storage.rate_decks import published_deck
from tests.support.decks import BLOCKED, make_tariff, replace_deck

DIGITS = "0123"  # few digits, so that prefixes meet often
DECKS = st.dictionaries(
    st.text(DIGITS, min_size=1, max_size=6), st.sampled_from(["0.01", "0.02", BLOCKED]), min_size=1, max_size=20
)
NUMBERS = st.lists(st.text(DIGITS, min_size=1, max_size=9), min_size=1, max_size=12)

Answer = tuple[str, Rate] | None


def brute_force(prices: dict[str, str], number: str) -> Answer:
    """Every prefix of the deck is tried."""
    matching = [prefix for prefix in prices if number.startswith(prefix)]
    if not matching:
        return None
    prefix = max(matching, key=len)
    return None if prices[prefix] == BLOCKED else (prefix, Rate(price_1=prices[prefix], price_unit="minute"))


class Levels:
    """One tariff, looked up through every level by processes that know nothing yet."""

    def __init__(self, database: Database, cache: RateCache, tariff_id: int) -> None:
        self.database = database
        self.cache = cache
        self.tariff_id = tariff_id
        self.seen: Counter[Level] = Counter()

    async def check(self, prices: dict[str, str], numbers: list[str]) -> None:
        await replace_deck(self.database, self.tariff_id, prices)
        expected = [brute_force(prices, number) for number in numbers]
        cold = self._process(self.cache)
        assert await self._answers(cold, numbers) == expected, "PostgreSQL, and what it put into memory"
        assert await self._answers(cold, numbers) == expected, "memory"
        deck = await published_deck(self.database, self.tariff_id)
        assert deck is not None
        await self.cache.find(deck, ["-"])  # when this is answered, every write before it has arrived
        assert await self._answers(self._process(self.cache), numbers) == expected, "Redis"
        assert await self._answers(self._process(None), numbers) == expected, "no Redis"

    def _process(self, cache: RateCache | None) -> RateDecks:
        return RateDecks(self.database, cache, observe_lookup=lambda level: self.seen.update([level]))

    async def _answers(self, decks: RateDecks, numbers: list[str]) -> list[Answer]:
        found = [await decks.match_rate(self.tariff_id, number) for number in numbers]
        return [None if match is None else (match.prefix, match.rate) for match in found]


def test_every_level_gives_the_answer_of_brute_force(database_url: str, redis_url: str) -> None:
    loop = asyncio.new_event_loop()  # one for all examples: connections live as long as it does
    database, cache = Database(database_url), RateCache(redis_url, timeout_seconds=10)

    async def start() -> Levels:
        await database.open()
        await cache.open()
        return Levels(database, cache, await make_tariff(database))

    async def stop() -> None:
        await cache.close()
        await database.close()

    try:
        levels = loop.run_until_complete(start())

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(DECKS, NUMBERS)
        def check(prices: dict[str, str], numbers: list[str]) -> None:
            loop.run_until_complete(levels.check(prices, numbers))

        check()
        assert {Level.MEMORY, Level.REDIS, Level.POSTGRES, Level.NONE} == set(levels.seen)
        loop.run_until_complete(stop())
    finally:
        loop.close()
