"""Law: a call is priced by the deck in force at its instant and by no other, whatever is published or withdrawn.

The instants are around the seconds at which decks are switched. An engine that was told of a change goes by the
timeline as it is now; one that was not told goes by one that was true, whole; while a change is made, an engine goes by
the timeline before or after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.postgres.pool import Database
from tests.support.decks import DeckRow, cache_of, make_tariff, publish_rows

FIRST = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)  # decks are published ahead
SWITCHES = [FIRST + timedelta(seconds=second) for second in range(4)]
LITTLE = timedelta(microseconds=1)
PREFIXES = ("7", "79", "790", "44")
NUMBERS = ("79012345", "7912345", "7112345", "4412345", "331")


@dataclass(frozen=True, slots=True)
class Publish:
    """A deck from a switch on, or from long ago (None), with some of the prefixes."""

    since: datetime | None
    prefixes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Withdraw:
    """One of the decks that are published."""

    which: int


@dataclass(frozen=True, slots=True)
class Asked:
    number: str
    at: datetime


CHANGES = st.one_of(
    st.builds(Publish, st.sampled_from([None, *SWITCHES]), st.frozensets(st.sampled_from(PREFIXES), min_size=1)),
    st.builds(Withdraw, st.integers(0, 5)),
)
QUESTIONS = st.lists(
    st.builds(
        Asked,
        st.sampled_from(NUMBERS),
        st.sampled_from([switch + shift for switch in SWITCHES for shift in (-LITTLE, 0 * LITTLE, LITTLE)]),
    ),
    min_size=1,
    max_size=5,
)
Answer = tuple[int, str] | None  # the deck, and the prefix that matched


@dataclass(frozen=True, slots=True)
class Deck:
    """A published deck. Its prices are its own: that of each prefix says which deck and which prefix it is of."""

    deck_id: int
    since: datetime
    prefixes: frozenset[str]

    def price(self, prefix: str) -> str:
        return f"{self.deck_id}.{PREFIXES.index(prefix)}"


Timeline = tuple[Deck, ...]  # in the order of publishing


def answer_of(timeline: Timeline, asked: Asked) -> Answer:
    """What a person would say with the timeline in front of them."""
    in_force: Deck | None = None
    for deck in timeline:
        if deck.since <= asked.at and (in_force is None or deck.since >= in_force.since):
            in_force = deck
    if in_force is None:
        return None
    matching = [prefix for prefix in in_force.prefixes if asked.number.startswith(prefix)]
    return (in_force.deck_id, max(matching, key=len)) if matching else None


@dataclass
class Stage:
    """A tariff, the timeline it has and had, and engines: some are told of its changes and some are not."""

    database: Database
    cache: RateCache
    tariff_id: int
    timelines: list[Timeline] = field(default_factory=lambda: [()])
    told: list[RateDecks] = field(default_factory=list)
    untold: list[RateDecks] = field(default_factory=list)
    decks: dict[int, Deck] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.told = [RateDecks(self.database, self.cache), RateDecks(self.database, None, memory_entries=2)]
        self.untold = [RateDecks(self.database, self.cache), RateDecks(self.database, None)]

    async def change(self, change: Publish | Withdraw) -> None:
        """Make it in the database; afterwards the newest timeline is the one that is true."""
        timeline = self.timelines[-1]
        if isinstance(change, Publish):
            since = change.since or FIRST - timedelta(days=30)
            number = 1 + int(await self.database.fetchval("SELECT COALESCE(max(deck_id), 0) FROM rate_decks"))
            deck = Deck(number, since, change.prefixes)
            self.decks[number] = deck
            self.timelines.append((*timeline, deck))
            rows = [DeckRow(prefix, deck.price(prefix)) for prefix in change.prefixes]
            assert await publish_rows(self.database, self.tariff_id, rows, effective_from=since) == number
        elif timeline:
            gone = timeline[change.which % len(timeline)]
            self.timelines.append(tuple(deck for deck in timeline if deck is not gone))
            await self.database.fetch("UPDATE rate_decks SET state = 'withdrawn' WHERE deck_id = $1", gone.deck_id)

    def tell(self) -> None:
        for engine in self.told:
            engine.forget_tariff(self.tariff_id)

    async def ask(self, engine: RateDecks, asked: Asked) -> Answer:
        tariff = await engine.tariff(self.tariff_id)
        assert tariff is not None
        match = await engine.match_rate(tariff, asked.number, at=asked.at)
        if match is None:
            return None
        deck = self.decks[match.deck_id]
        assert match.rate.price_1 == Decimal(deck.price(match.prefix)), "a price of another deck or prefix"
        return match.deck_id, match.prefix

    async def ask_all(self, engine: RateDecks, questions: Sequence[Asked], first: int) -> None:
        """Ask, some of it at once. All answers are of timelines from the `first` to the one there is by then."""
        for asked in questions:
            answers = await asyncio.gather(self.ask(engine, asked), self.ask(engine, asked))
            possible = [answer_of(timeline, asked) for timeline in self.timelines[first:]]
            assert all(answer in possible for answer in answers), (asked, answers, possible)

    async def play(self, change: Publish | Withdraw, questions: Sequence[Asked]) -> None:
        """Engines ask while the change is made, and again when some were told of it."""
        before = len(self.timelines) - 1

        async def meanwhile() -> None:
            for engine in self.told:
                await self.ask_all(engine, questions, before)

        await asyncio.gather(self.change(change), meanwhile())
        self.tell()
        for engine in self.told:
            await self.ask_all(engine, questions, len(self.timelines) - 1)
        for engine in self.untold:
            await self.ask_all(engine, questions, 0)


def test_whatever_is_published_and_withdrawn_a_call_has_the_deck_of_its_instant(
    database_url: str, redis_url: str
) -> None:
    loop = asyncio.new_event_loop()  # one for all examples: connections live as long as it does
    database = Database(database_url)
    cache = cache_of(redis_url, database, timeout_seconds=10)
    example = 0

    async def play(changes: list[tuple[Publish | Withdraw, list[Asked]]]) -> None:
        nonlocal example
        example += 1
        stage = Stage(database, cache, await make_tariff(database, f"tariff {example}"))
        for change, questions in changes:
            await stage.play(change, questions)

    async def stop() -> None:
        await cache.close()
        await database.close()

    try:
        loop.run_until_complete(database.open())
        loop.run_until_complete(cache.open())

        @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.lists(st.tuples(CHANGES, QUESTIONS), min_size=1, max_size=6))
        def check(changes: list[tuple[Publish | Withdraw, list[Asked]]]) -> None:
            loop.run_until_complete(play(changes))

        check()
        loop.run_until_complete(stop())
    finally:
        loop.close()
