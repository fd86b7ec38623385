"""The rate of a destination: process memory, then Redis, then PostgreSQL.

Laws:
- The answer is that of the longest prefix in the deck published when it was asked, whichever level gave it. Decks never
  change and every level keeps answers by deck, so publishing makes nothing wrong; it makes caches start anew.
- Which deck a tariff has is remembered until `forget_tariff` (an announcement, or `reserve` saying "stale"). Should an
  announcement be lost, a call is never priced by a replaced deck: `reserve` compares deck ids.
- Concurrent questions about one number share one lookup.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.tariff import Direction, RateMatch
from rating_engine.services.deck_regions import RegionMemory, region, regions_of, significant
from rating_engine.services.single_flight import SingleFlight
from rating_engine.storage import rate_decks as store
from rating_engine.storage.pool import Database
from rating_engine.storage.rate_cache import CachedAnswer, RateCache
from rating_engine.storage.rate_decks import FoundRate, PublishedDeck

MEMORY_ENTRIES: Final = 50_000  # answers a worker keeps: about 0.6 kB each, and 1 kB for each distinct rate among them
MAX_TARIFFS: Final = 10_000  # whose deck a worker remembers: about 400 bytes each
# How long a remembered deck is believed without any announcement. Announcements come at once; this bounds how long a
# lost one can keep a *new* destination refused, which, unlike a wrong price, `reserve` cannot notice.
TARIFF_TTL_SECONDS: Final = 30.0


class Level(StrEnum):
    """Where an answer came from. `none`: PostgreSQL was asked, and no rate serves the destination."""

    MEMORY = "memory"
    REDIS = "redis"
    POSTGRES = "postgresql"
    NONE = "none"


@dataclass(slots=True)
class _Answer:
    """A kept answer. `match` was made with `directory`; another directory means making it again."""

    deck: PublishedDeck
    found: FoundRate | None
    match: RateMatch | None
    directory: dict[str, Direction]


@dataclass(frozen=True, slots=True)
class DeckSnapshot:
    """Which decks were published at some moment (by tariff), and the directions then."""

    decks: Mapping[int, PublishedDeck]
    directory: Mapping[str, Direction]


class RateDecks:
    """Finds rates. One for each process; made without I/O, and nothing to close."""

    def __init__(
        self,
        database: Database,
        cache: RateCache | None = None,
        *,
        memory_entries: int = MEMORY_ENTRIES,
        observe_lookup: Callable[[Level], None] = lambda level: None,
    ) -> None:
        self._database = database
        self._cache = cache
        self._observe = observe_lookup
        self._memory: RegionMemory[_Answer] = RegionMemory(memory_entries)
        self._lookups: SingleFlight[tuple[str, str], tuple[_Answer, Level]] = SingleFlight("rate-lookup")
        self._decks: dict[int, tuple[PublishedDeck, float]] = {}
        self._deck_loads: SingleFlight[int, PublishedDeck | None] = SingleFlight("deck-load")
        self._decks_forgotten = 0  # how often; a load that was overtaken by one is not remembered
        self._directory: dict[str, Direction] | None = None
        self._directory_loads: SingleFlight[None, dict[str, Direction]] = SingleFlight("directions-load")
        self._directions_forgotten = 0

    async def match_rate(self, tariff_id: int, destination: str) -> RateMatch | None:
        """The rate of the longest prefix of `destination` (E.164 digits) in the tariff's published deck.

        None where no rate serves it, the deck blocks its prefix, the tariff has no deck, or there is no such tariff.
        Errors: Unavailable when PostgreSQL is needed and down.
        """
        deck = self._remembered(tariff_id) or await self._deck(tariff_id)
        if deck is None:
            self._observe(Level.NONE)
            return None
        number = significant(destination, deck.longest_prefix)
        answer = self._memory.find(deck.key, number)
        level = Level.MEMORY
        if answer is None:
            answer, level = await self._lookups.run((deck.key, number), lambda: self._look_up(deck, number))
        self._observe(level)
        if answer.directory is not self._directory and answer.found is not None:
            await self._name(answer)
        return answer.match

    async def snapshot(self, tariff_ids: Iterable[int]) -> DeckSnapshot:
        """What `match_known` needs to know while PostgreSQL is away. Errors: Unavailable."""
        decks = {tariff_id: await self._deck(tariff_id) for tariff_id in tariff_ids}
        directory = self._directory
        if directory is None:
            directory = await self._directory_loads.run(None, self._load_directory)
        return DeckSnapshot({tariff_id: deck for tariff_id, deck in decks.items() if deck is not None}, directory)

    async def match_known(self, known: DeckSnapshot, tariff_id: int, destination: str) -> RateMatch | None:
        """The rate as `match_rate` would have found it then, from memory and Redis alone.

        None where it is known that no rate serves it. Errors: Unavailable where neither has the answer.
        """
        deck = known.decks.get(tariff_id)
        if deck is None:
            raise Unavailable("the tariff's deck is not known")
        number = significant(destination, deck.longest_prefix)
        kept = self._memory.find(deck.key, number)
        cached = None
        if kept is None and self._cache is not None:
            cached = await self._cache.find(deck, regions_of(number))
        if kept is None and cached is None:
            raise Unavailable("the rate is in no cache")
        found = kept.found if kept is not None else cached.found if cached is not None else None
        if found is None:
            return None
        direction = known.directory.get(found.direction) or Direction(code=found.direction, name=found.direction)
        return RateMatch(deck.tariff_id, deck.deck_id, deck.currency, found.prefix, direction, found.rate)

    def forget_tariff(self, tariff_id: int) -> None:
        """A deck was published: ask PostgreSQL which one at the next call. Answers of other decks stay."""
        self._decks_forgotten += 1
        self._decks.pop(tariff_id, None)
        self._deck_loads.forget(tariff_id)

    def forget_directions(self) -> None:
        """A direction was added or changed: load them again at the next call. Rates stay."""
        self._directions_forgotten += 1
        self._directory = None
        self._directory_loads.forget_all()

    def forget_all(self) -> None:
        """Announcements may have been missed: ask again which decks are published and what directions say."""
        self._decks_forgotten += 1
        self._decks.clear()
        self._deck_loads.forget_all()
        self.forget_directions()

    def _remembered(self, tariff_id: int) -> PublishedDeck | None:
        deck, until = self._decks.get(tariff_id, (None, 0.0))
        return deck if until > time.monotonic() else None

    async def _deck(self, tariff_id: int) -> PublishedDeck | None:
        deck = self._remembered(tariff_id)
        return deck or await self._deck_loads.run(tariff_id, lambda: self._load_deck(tariff_id))

    async def _load_deck(self, tariff_id: int) -> PublishedDeck | None:
        forgotten = self._decks_forgotten
        deck = await store.published_deck(self._database, tariff_id)
        if deck is not None and forgotten == self._decks_forgotten:  # that there is none is not remembered at all
            self._decks.pop(tariff_id, None)
            if len(self._decks) >= MAX_TARIFFS:
                del self._decks[next(iter(self._decks))]  # the one loaded longest ago
            self._decks[tariff_id] = deck, time.monotonic() + TARIFF_TTL_SECONDS
        return deck

    async def _look_up(self, deck: PublishedDeck, number: str) -> tuple[_Answer, Level]:
        cached = await self._cache.find(deck, regions_of(number)) if self._cache is not None else None
        if cached is not None:
            level = Level.REDIS
        else:
            match = await store.longest_match(self._database, deck, number.rstrip("$"))
            cached = CachedAnswer(region(number, match.matched, match.before, match.after), match.found)
            level = Level.NONE if match.found is None else Level.POSTGRES
            if self._cache is not None:
                self._cache.keep(deck, cached)
        answer = _Answer(deck, cached.found, None, {})
        self._memory.keep(deck.key, cached.region, answer)
        return answer, level

    async def _name(self, answer: _Answer) -> None:
        """Make the match of an answer with the directions as they are now."""
        found, deck = answer.found, answer.deck
        assert found is not None
        directory = self._directory
        if directory is None:
            directory = await self._directory_loads.run(None, self._load_directory)
        direction = directory.get(found.direction)
        if direction is None:
            direction = await self._unknown_direction(directory, found.direction)
        answer.match = RateMatch(deck.tariff_id, deck.deck_id, deck.currency, found.prefix, direction, found.rate)
        answer.directory = directory

    async def _load_directory(self) -> dict[str, Direction]:
        forgotten = self._directions_forgotten
        directory = await store.load_directions(self._database)
        if forgotten == self._directions_forgotten:
            self._directory = directory
        return directory

    async def _unknown_direction(self, directory: dict[str, Direction], code: str) -> Direction:
        """A direction that came after the directory was loaded, or that nobody described: then its code is its name."""
        direction = await store.load_direction(self._database, code) or Direction(code=code, name=code)
        if len(directory) < store.MAX_DIRECTIONS:
            directory[code] = direction
        return direction
