"""Laws of edited rates: a call is priced as by a deck in which the edits of its instant stand in the place of the rows
of their keys; and a deck read whole with its edits prices every call so."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.rate_edit import EditedRate, RateKey
from rating_engine.rating.rate import Rate
from rating_engine.services.decks.edits import terms_of_edit
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.decks import rate_edits as store
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.postgres.pool import Database
from tests.support.deck_calls import DIGITS, HOURS, Call, brute_force, calls, decks
from tests.support.decks import BLOCKED, DeckRow, cache_of, make_tariff, publish_rows

REMOVED = "removed"
Answer = tuple[str, Rate] | None


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a deck: from `since` on the key has this price (or BLOCKED, or REMOVED) until its next edit."""

    key: RateKey
    price: str
    hour: int


def edits() -> st.SearchStrategy[list[Edit]]:
    """In the order in which they are made, which need not be that of their instants."""
    keys = st.one_of(
        st.builds(RateKey, st.text(DIGITS, min_size=1, max_size=4)),
        st.builds(
            RateKey,
            st.text(DIGITS, min_size=1, max_size=3),
            st.text(DIGITS, max_size=2),
            st.sampled_from(["", "day", "night"]),
        ),
    )
    prices = st.sampled_from(["0.11", "0.12", BLOCKED, REMOVED, REMOVED])
    return st.lists(st.builds(Edit, keys, prices, st.integers(0, len(HOURS) - 1)), min_size=1, max_size=12)


def edited_deck(deck: list[DeckRow], some: list[Edit], call: Call) -> list[DeckRow]:
    """The deck as it is at the call's instant: of a key what was said last of the latest instant that has come."""
    latest: dict[RateKey, Edit] = {}
    for edit in some:
        if HOURS[edit.hour] <= call.at and (edit.key not in latest or edit.hour >= latest[edit.key].hour):
            latest[edit.key] = edit
    kept = [row for row in deck if RateKey(row.prefix, row.origin, row.band) not in latest]
    said = [
        DeckRow(key.prefix, edit.price, key.origin, key.band) for key, edit in latest.items() if edit.price != REMOVED
    ]
    return kept + said


def expected(deck: list[DeckRow], some: list[Edit], call: Call) -> Answer:
    row = brute_force(edited_deck(deck, some, call), call)
    if row is None or row.price == BLOCKED:
        return None
    return row.prefix, Rate(price_1=row.price, price_unit="minute")


class Edited:
    """One tariff whose deck is edited, and looked up by processes that know nothing yet."""

    def __init__(self, database: Database, cache: RateCache, tariff_id: int) -> None:
        self.database = database
        self.cache = cache
        self.tariff_id = tariff_id

    async def check(self, deck: list[DeckRow], some: list[Edit], placed: list[Call]) -> None:
        await self.database.fetch("UPDATE rate_decks SET state = 'withdrawn'")
        since = min(call.at for call in placed)
        deck_id = await publish_rows(self.database, self.tariff_id, deck, effective_from=since)
        before = RateDecks(self.database, self.cache)
        await self.answers(before, placed)  # its memory and Redis have the deck as it was published
        for edit in some:
            await self.make(deck_id, edit)
        before.forget_tariff(self.tariff_id)
        wanted = [expected(deck, some, call) for call in placed]
        assert await self.answers(before, placed) == wanted, "an engine that had the deck in memory"
        assert await self.answers(RateDecks(self.database, self.cache), placed) == wanted, "Redis"
        assert await self.answers(RateDecks(self.database), placed) == wanted, "no Redis"
        await self.put_whole(deck_id)
        assert await self.answers(RateDecks(self.database), placed) == wanted, "the deck whole with its edits"

    async def make(self, deck_id: int, edit: Edit) -> None:
        rate = None if edit.price in (BLOCKED, REMOVED) else Rate(price_1=edit.price, price_unit="minute")
        at = HOURS[edit.hour]
        made = EditedRate(edit.key, "somewhere", rate, edit.price == BLOCKED, edit.price == REMOVED, at, None)
        target = store.EditTarget(self.tariff_id, deck_id, at, 0)
        async with self.database.transaction(OPERATOR) as tx:
            await store.put(tx, target, made, terms_of_edit(made))

    async def put_whole(self, deck_id: int) -> None:
        """Replace the deck by one that has the edits in it, in force since the same instant."""
        async with self.database.transaction(OPERATOR) as tx:
            whole = await store.whole_deck(tx.connection, deck_id)
            assert whole != deck_id
            await tx.execute(
                """UPDATE rate_decks d SET state = 'published', published_at = now(), longest_prefix = 5,
                          rate_count = (SELECT count(*) FROM rates WHERE deck_id = $1),
                          effective_from = (SELECT effective_from FROM rate_decks WHERE deck_id = $2)
                   WHERE deck_id = $1""",
                whole,
                deck_id,
            )

    async def answers(self, found: RateDecks, placed: list[Call]) -> list[Answer]:
        tariff = await found.tariff(self.tariff_id, min(call.at for call in placed))
        assert tariff is not None
        matches = [
            await found.match_rate(tariff, call.number, at=call.at, origin=call.origin, band=call.band)
            for call in placed
        ]
        return [None if match is None else (match.prefix, match.rate) for match in matches]


def test_an_edit_counts_from_its_instant_on_for_whoever_looks(database_url: str, redis_url: str) -> None:
    loop = asyncio.new_event_loop()  # one for all examples: connections live as long as it does
    database = Database(database_url)
    cache = cache_of(redis_url, database, timeout_seconds=10)

    async def start() -> Edited:
        await database.open()
        await cache.open()
        return Edited(database, cache, await make_tariff(database))

    async def stop() -> None:
        await cache.close()
        await database.close()

    try:
        tariff = loop.run_until_complete(start())

        @settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(decks(), edits(), st.lists(calls(), min_size=1, max_size=12))
        def check(deck: list[DeckRow], some: list[Edit], placed: list[Call]) -> None:
            loop.run_until_complete(tariff.check(deck, some, placed))

        check()
    finally:
        loop.run_until_complete(stop())  # else a law that fails fails the tests after it, too
        loop.close()
