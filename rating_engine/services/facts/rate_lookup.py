"""The rate of a destination: process memory, then Redis, then PostgreSQL.

Laws:
- The answer is that of the deck in force at the instant asked about, whichever level gave it: a tariff comes with its
  timeline of decks, and every level keeps answers by deck. Decks never change, so publishing and withdrawing make
  nothing wrong; they make caches start anew.
- What is kept of a number is every row that may price a call to it; which row does (by caller, time of day and date) is
  chosen anew for each call (rating/matching).
- A tariff is remembered until `forget_tariff` (an announcement, or `reserve` saying "stale"). Should an announcement be
  lost, a call is never priced by a timeline that was changed: `reserve` compares versions.
- Concurrent questions about one number share one lookup.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.tariff import Direction, PublishedDeck, RateMatch, Tariff
from rating_engine.rating.matching import CandidateRate, RateEdit, below_removed, choose, edited
from rating_engine.services.facts.regions import RegionMemory, region, regions_of, significant
from rating_engine.services.facts.single_flight import SingleFlight
from rating_engine.storage.decks import rate_decks as store
from rating_engine.storage.decks.cached_answer import CachedAnswer
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.tariffs.tariffs import load_tariff

# Rows a worker keeps: about 0.6 kB each, and 1 kB for each distinct rate among them. Most answers are one row.
MEMORY_ENTRIES: Final = 50_000
MAX_TARIFFS: Final = 10_000  # a worker remembers: about 2 kB each, and 0.5 kB for each deck, band, package and route
# How long a remembered tariff is believed without any announcement. Announcements come at once; this bounds how long a
# lost one can keep a *new* destination refused, which, unlike a wrong price, `reserve` cannot notice.
TARIFF_TTL_SECONDS: Final = 30.0


class Level(StrEnum):
    """Where an answer came from. `none`: PostgreSQL was asked, and no rate serves the call."""

    MEMORY = "memory"
    REDIS = "redis"
    POSTGRES = "postgresql"
    NONE = "none"


@dataclass(slots=True)
class _Answer:
    """The rows of a region. Where there is but one and it counts for every call, `match` is what it comes to.

    `match` was made with `directory`; another directory means making it again.
    """

    candidates: tuple[CandidateRate, ...]
    is_plain: bool
    match: RateMatch | None = None
    directory: Mapping[str, Direction] | None = None


@dataclass(frozen=True, slots=True)
class DeckSnapshot:
    """Tariffs as they were at some moment, by their id, and the directions then."""

    tariffs: Mapping[int, Tariff]
    directory: Mapping[str, Direction]


class RateDecks:
    """Finds rates. One for each process; made without I/O, and nothing to close."""

    def __init__(
        self,
        database: Questions,
        cache: RateCache | None = None,
        *,
        memory_entries: int = MEMORY_ENTRIES,
        observe_lookup: Callable[[Level], None] = lambda level: None,
    ) -> None:
        """`database`: a pool, or a connection that loads a deck; then only one question may be asked at a time."""
        self._database = database
        self._cache = cache
        self._observe = observe_lookup
        self._memory: RegionMemory[_Answer] = RegionMemory(memory_entries, _weight)
        self._lookups: SingleFlight[tuple[str, str], tuple[_Answer, Level]] = SingleFlight("rate-lookup")
        self._tariffs: dict[int, tuple[Tariff, float]] = {}
        self._tariff_loads: SingleFlight[int, Tariff | None] = SingleFlight("tariff-load")
        self._tariffs_forgotten = 0  # how often; a load that was overtaken by one is not remembered
        self._directory: dict[str, Direction] | None = None
        self._directory_loads: SingleFlight[None, dict[str, Direction]] = SingleFlight("directions-load")
        self._directions_forgotten = 0

    async def tariff(self, tariff_id: int, at: datetime | None = None) -> Tariff | None:
        """The tariff with its timeline of decks, or None where there is no such tariff.

        The timeline begins some time before now (storage/tariffs/tariffs.CLOCKS_APART); with `at` no later than at
        `at`, if the tariff had a deck then. Errors: Unavailable when PostgreSQL is needed and down.
        """
        remembered = self._tariffs.get(tariff_id)
        if remembered is not None and remembered[1] > time.monotonic():
            tariff: Tariff | None = remembered[0]
        else:
            tariff = await self._tariff_loads.run(tariff_id, lambda: self._load_tariff(tariff_id))
        if at is not None and tariff is not None and tariff.deck_at(at) is None:
            return await load_tariff(self._database, tariff_id, at)
        return tariff

    async def match_rate(
        self, tariff: Tariff, destination: str, *, at: datetime, origin: str = "", band: str = ""
    ) -> RateMatch | None:
        """The rate of a call to `destination` (E.164 digits) that starts at `at`: see rating/matching for the rule.

        `origin`: the caller's digits, '' where they are not known; `band`: of the tariff's schedule. None where no rate
        serves the call, the row that wins is blocked or unusable, or the tariff had no deck at `at`.
        Errors: Unavailable when PostgreSQL is needed and down.
        """
        deck = tariff.deck_at(at)
        if deck is None:
            self._observe(Level.NONE)
            return None
        number, level = significant(destination, deck.longest_prefix), Level.MEMORY
        answer = self._memory.find(deck.key, number)
        if answer is None:
            answer, level = await self._asked(deck, number)
        if deck.edits and (edits := deck.edits_of(destination)):
            rows = await self._edited(deck, destination, edits, at)
            row = choose(rows, at=at, origin=origin, band=band, destination=destination)
            return await self._match_row(tariff, deck, row, await self._directions())
        match = answer.match
        if match is None or answer.directory is not self._directory or match.currency != tariff.currency:
            row = choose(answer.candidates, at=at, origin=origin, band=band, destination=destination)
            match = await self._match(tariff, deck, answer, row)
        self._observe(Level.NONE if match is None and level is Level.POSTGRES else level)
        return match

    async def choose_row(
        self, tariff: Tariff, destination: str, *, at: datetime, origin: str = "", band: str = ""
    ) -> CandidateRate | None:
        """The row that `match_rate` goes by, which may be one that blocks the call; None where no row counts.

        Where several tariffs are compared, the longest prefix wins even if it is blocked. Counted is only what was not
        in memory, since `match_rate` is asked next. Errors: Unavailable.
        """
        deck = tariff.deck_at(at)
        if deck is None:
            return None
        answer, level = await self._answer(deck, destination)
        candidates = answer.candidates
        if edits := deck.edits_of(destination):
            candidates = await self._edited(deck, destination, edits, at)
        row = choose(candidates, at=at, origin=origin, band=band, destination=destination)
        if level is not Level.MEMORY:
            self._observe(Level.NONE if row is None and level is Level.POSTGRES else level)
        return row

    async def snapshot(self, tariff_ids: Iterable[int]) -> DeckSnapshot:
        """What `match_known` needs to know while PostgreSQL is away. Errors: Unavailable."""
        tariffs = {tariff_id: await self.tariff(tariff_id) for tariff_id in tariff_ids}
        known = {tariff_id: tariff for tariff_id, tariff in tariffs.items() if tariff is not None}
        return DeckSnapshot(known, await self._directions())

    async def match_known(
        self,
        known: DeckSnapshot,
        tariff: Tariff,
        destination: str,
        *,
        at: datetime,
        origin: str = "",
        band: str = "",
    ) -> RateMatch | None:
        """The rate as `match_rate` would have found it, from memory and Redis alone, named by `known` directions.

        None where it is known that no rate serves it. Errors: Unavailable where neither has the answer.
        """
        row = await self.choose_known(tariff, destination, at=at, origin=origin, band=band)
        deck = tariff.deck_at(at)
        if deck is None or row is None or row.rate is None:
            return None
        direction = known.directory.get(row.direction) or Direction(code=row.direction, name=row.direction)
        return RateMatch(tariff.tariff_id, deck.deck_id, tariff.currency, row.prefix, direction, row.rate, row.attempts)

    async def choose_known(
        self, tariff: Tariff, destination: str, *, at: datetime, origin: str = "", band: str = ""
    ) -> CandidateRate | None:
        """The row as `choose_row` would have found it, from memory and Redis alone.

        Errors: Unavailable where neither has the answer.
        """
        deck = tariff.deck_at(at)
        if deck is None:
            return None
        candidates = await self._known_candidates(deck, destination)
        if edits := deck.edits_of(destination):
            candidates = await self._edited(deck, destination, edits, at, self._known_candidates)
        return choose(candidates, at=at, origin=origin, band=band, destination=destination)

    def forget_tariff(self, tariff_id: int) -> None:
        """It was changed, or its timeline: ask PostgreSQL at the next call. Answers of all decks stay."""
        self._tariffs_forgotten += 1
        self._tariffs.pop(tariff_id, None)
        self._tariff_loads.forget(tariff_id)

    def forget_directions(self) -> None:
        """A direction was added or changed: load them again at the next call. Rates stay."""
        self._directions_forgotten += 1
        self._directory = None
        self._directory_loads.forget_all()

    def forget_all(self) -> None:
        """Announcements may have been missed: ask again what tariffs and directions say."""
        self._tariffs_forgotten += 1
        self._tariffs.clear()
        self._tariff_loads.forget_all()
        self.forget_directions()

    async def _load_tariff(self, tariff_id: int) -> Tariff | None:
        forgotten = self._tariffs_forgotten
        tariff = await load_tariff(self._database, tariff_id)
        if tariff is not None and forgotten == self._tariffs_forgotten:  # that there is none is not remembered at all
            self._tariffs.pop(tariff_id, None)
            if len(self._tariffs) >= MAX_TARIFFS:
                del self._tariffs[next(iter(self._tariffs))]  # the one loaded longest ago
            self._tariffs[tariff_id] = tariff, time.monotonic() + TARIFF_TTL_SECONDS
        return tariff

    async def _answer(self, deck: PublishedDeck, destination: str) -> tuple[_Answer, Level]:
        """What the deck as published says of a destination, from the first level that knows."""
        number = significant(destination, deck.longest_prefix)
        answer = self._memory.find(deck.key, number)
        return await self._asked(deck, number) if answer is None else (answer, Level.MEMORY)

    async def _asked(self, deck: PublishedDeck, number: str) -> tuple[_Answer, Level]:
        """The same of what is not in memory; `number`: its `significant` digits."""
        return await self._lookups.run((deck.key, number), lambda: self._look_up(deck, number))

    async def _candidates(self, deck: PublishedDeck, destination: str) -> tuple[CandidateRate, ...]:
        return (await self._answer(deck, destination))[0].candidates

    async def _known_candidates(self, deck: PublishedDeck, destination: str) -> tuple[CandidateRate, ...]:
        """The same without PostgreSQL. Errors: Unavailable."""
        number = significant(destination, deck.longest_prefix)
        kept = self._memory.find(deck.key, number)
        if kept is not None:
            return kept.candidates
        cached = await self._cache.find(deck, regions_of(number)) if self._cache is not None else None
        if cached is None:
            raise Unavailable("the rate is in no cache")
        return cached.candidates

    async def _edited(
        self,
        deck: PublishedDeck,
        destination: str,
        edits: Sequence[RateEdit],
        at: datetime,
        candidates: Callable[[PublishedDeck, str], Awaitable[tuple[CandidateRate, ...]]] | None = None,
    ) -> tuple[CandidateRate, ...]:
        """The rows to choose from where some were edited."""
        ask = candidates or self._candidates
        rows: set[CandidateRate] = set()
        for number in (destination, *below_removed(edits, at)):
            rows.update(await ask(deck, number))
        return edited(rows, edits, at)

    async def _look_up(self, deck: PublishedDeck, number: str) -> tuple[_Answer, Level]:
        cached = await self._cache.find(deck, regions_of(number)) if self._cache is not None else None
        level = Level.REDIS
        if cached is None:
            level = Level.POSTGRES
            said = await store.find_candidates(self._database, deck.deck_id, deck.longest_prefix, number.rstrip("$"))
            cached = CachedAnswer(region(number, said.longest, said.before, said.after), said.rows)
            if self._cache is not None:
                self._cache.keep(deck, cached)
        rows = cached.candidates
        answer = _Answer(rows, is_plain=len(rows) == 1 and rows[0].is_unconditional)
        self._memory.keep(deck.key, cached.region, answer)
        return answer, level

    async def _match(
        self, tariff: Tariff, deck: PublishedDeck, answer: _Answer, row: CandidateRate | None
    ) -> RateMatch | None:
        """What a row comes to; kept where every call of the region has it."""
        if row is None or row.rate is None:
            return None
        directory = await self._directions()
        match = await self._match_row(tariff, deck, row, directory)
        if answer.is_plain:
            answer.match, answer.directory = match, directory
        return match

    async def _match_row(
        self, tariff: Tariff, deck: PublishedDeck, row: CandidateRate | None, directory: dict[str, Direction]
    ) -> RateMatch | None:
        """What a row comes to, named by the directions as they are now."""
        if row is None or row.rate is None:
            return None
        direction = directory.get(row.direction) or await self._unknown_direction(directory, row.direction)
        return RateMatch(tariff.tariff_id, deck.deck_id, tariff.currency, row.prefix, direction, row.rate, row.attempts)

    async def _directions(self) -> dict[str, Direction]:
        if self._directory is not None:
            return self._directory
        return await self._directory_loads.run(None, self._load_directory)

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


def _weight(answer: _Answer) -> int:
    return len(answer.candidates) or 1
