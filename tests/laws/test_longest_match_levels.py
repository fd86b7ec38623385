"""Law: memory, Redis and PostgreSQL give the answer that looking at every row of the deck gives, for every call."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.rating.rate import Rate
from rating_engine.services.facts.rate_lookup import Level, RateDecks
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.postgres.pool import Database
from tests.support.deck_calls import Call, brute_force, calls, decks
from tests.support.decks import BLOCKED, DeckRow, cache_of, deck_now, make_tariff, publish_rows

Answer = tuple[str, Rate] | None


def expected_answer(deck: list[DeckRow], call: Call) -> Answer:
    row = brute_force(deck, call)
    if row is None or row.price == BLOCKED:
        return None
    return row.prefix, Rate(price_1=row.price, price_unit="minute")


class Levels:
    """One tariff, looked up through every level by processes that know nothing yet."""

    def __init__(self, database: Database, cache: RateCache, tariff_id: int) -> None:
        self.database = database
        self.cache = cache
        self.tariff_id = tariff_id
        self.seen: Counter[Level] = Counter()

    async def check(self, deck: list[DeckRow], some: list[Call]) -> None:
        await self.database.fetch("UPDATE rate_decks SET state = 'withdrawn'")
        await publish_rows(self.database, self.tariff_id, deck, effective_from=min(call.at for call in some))
        expected = [expected_answer(deck, call) for call in some]
        cold = self._process(self.cache)
        assert await self._answers(cold, some) == expected, "PostgreSQL, and what it put into memory"
        assert await self._answers(cold, some) == expected, "memory"
        await self.cache.find(await deck_now(self.database, self.tariff_id), ["-"])  # then every write has arrived
        warm = self._process(self.cache)
        assert await self._answers(warm, some) == expected, "Redis"
        assert await self._answers(warm, some) == expected, "memory that was filled from Redis"
        assert await self._answers(self._process(None), some[::-1]) == expected[::-1], "no Redis"

    def _process(self, cache: RateCache | None) -> RateDecks:
        return RateDecks(self.database, cache, observe_lookup=lambda level: self.seen.update([level]))

    async def _answers(self, decks: RateDecks, some: list[Call]) -> list[Answer]:
        tariff = await decks.tariff(self.tariff_id)
        assert tariff is not None
        found = [
            await decks.match_rate(tariff, call.number, at=call.at, origin=call.origin, band=call.band) for call in some
        ]
        return [None if match is None else (match.prefix, match.rate) for match in found]


def test_every_level_gives_the_answer_of_brute_force(database_url: str, redis_url: str) -> None:
    loop = asyncio.new_event_loop()  # one for all examples: connections live as long as it does
    database = Database(database_url)
    cache = cache_of(redis_url, database, timeout_seconds=10)

    async def start() -> Levels:
        await database.open()
        await cache.open()
        return Levels(database, cache, await make_tariff(database))

    async def stop() -> None:
        await cache.close()
        await database.close()

    try:
        levels = loop.run_until_complete(start())

        @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(decks(), st.lists(calls(), min_size=1, max_size=12))
        def check(deck: list[DeckRow], some: list[Call]) -> None:
            loop.run_until_complete(levels.check(deck, some))

        check()
        assert {Level.MEMORY, Level.REDIS, Level.POSTGRES, Level.NONE} == set(levels.seen)
        loop.run_until_complete(stop())
    finally:
        loop.close()
