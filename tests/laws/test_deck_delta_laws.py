"""Laws of decks with dates: of a file the rows that conflict with no earlier one count, and at every instant a delta is
what its rows, its closings and the version before make of it (storage/decks/deck_staging, storage/decks/deck_delta)."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rating_engine.rating.matching import EVER_SINCE, FOR_EVER
from rating_engine.services.decks.file import repeats
from rating_engine.services.decks.importing import DeckFileOptions, ImportReport, import_deck
from rating_engine.storage.postgres.pool import Database
from tests.support.decks import DeckRow, make_tariff, publish_rows, write_deck

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
EVER, NEVER = -100, 100  # days, instead of -infinity and infinity
T = 0
FIRST_DAY, LAST_DAY = -3, 6
HEADER = "prefix,price,status,effective from,effective to"


@dataclass(frozen=True)
class Row:
    """A price from one day to another."""

    price: int
    starts: int
    ends: int

    def counts(self, day: float) -> bool:
        return self.starts <= day < self.ends

    @property
    def line(self) -> str:
        return f"{self.price},,{said(self.starts)},{said(self.ends)}"


@dataclass(frozen=True)
class Closing:
    """From a day on; EVER: at once."""

    day: int

    @property
    def line(self) -> str:
        return f",closed,{said(self.day)},"


def said(day: int) -> str:
    return "" if day in (EVER, NEVER) else (NOW + timedelta(days=day)).isoformat()


days = st.sampled_from([day for day in range(FIRST_DAY, LAST_DAY) if day != T])


@st.composite
def rows(draw: st.DrawFn) -> Row:
    starts, ends = draw(st.one_of(st.just(EVER), days)), draw(st.one_of(st.just(NEVER), days))
    return Row(draw(st.integers(1, 3)), starts, ends if starts < ends else NEVER)


histories = st.lists(rows(), max_size=4, unique_by=lambda row: row.starts)
files = st.lists(st.one_of(rows(), rows(), rows(), st.builds(Closing, st.one_of(st.just(EVER), days))), max_size=4)


def conflict(one: Row, other: Row) -> bool:
    first, second = sorted((one, other), key=lambda row: row.starts)
    return first.starts == second.starts or second.starts < first.ends < NEVER


def accepted(said: list[Row]) -> list[Row]:
    """The rows that count, each once."""
    found = [row for number, row in enumerate(said) if not any(conflict(row, early) for early in said[:number])]
    return list(dict.fromkeys(found))


def price_of(candidates: list[Row], day: float) -> int | None:
    counting = [row for row in candidates if row.counts(day)]
    return max(counting, key=lambda row: row.starts).price if counting else None


def price_after_delta(before: list[Row], file: list[Row | Closing], day: float) -> int | None:
    """Law by law."""
    closings = [row.day if isinstance(row, Closing) else row.ends for row in file if not is_rate(row)]
    changes = [
        Row(row.price, row.starts, min([row.ends, *(closing for closing in closings if closing > row.starts)]))
        for row in accepted([row for row in file if isinstance(row, Row) and is_rate(row)])
    ]
    if (price := price_of(changes, day)) is not None:
        return price
    if any(closing <= day for closing in closings):
        return None
    at_once = any(row.counts(T) for row in changes)
    return price_of([row for row in before if not (at_once and row.starts <= T)], day)


def is_rate(row: Row | Closing) -> bool:
    return isinstance(row, Row) and row.ends > T


class Deltas:
    """One tariff after another, each with a version that is in force; all prefixes of an example in one file."""

    def __init__(self, database: Database, database_url: str) -> None:
        self._database = database
        self._url = database_url

    async def check_delta(self, examples: list[tuple[list[Row], list[Row | Closing]]]) -> None:
        before = [deck_row(prefix, row) for prefix, (history, _) in enumerate(examples, 10) for row in history]
        lines = [f"{prefix},{row.line}" for prefix, (_, file) in enumerate(examples, 10) for row in file]
        await self._database.fetch("DELETE FROM rates")
        await self._database.fetch("DELETE FROM rate_decks")
        tariff = f"tariff {await self._database.fetchval('SELECT count(*) FROM tariffs')}"
        await publish_rows(
            self._database, await make_tariff(self._database, tariff), [DeckRow("1", "1"), *before], direction=""
        )
        report = await self._import([*lines, "1,1,,,"], tariff, delta=True)
        found = await self._stored(report.deck_id)
        for prefix, (history, file) in enumerate(examples, 10):
            for day in instants():
                expected = price_after_delta(history, file, day)
                assert price_of(found.get(str(prefix), []), day) == expected, (history, file, day)
            if any(is_rate(row) for row in file):
                stored = sorted(found.get(str(prefix), []), key=lambda row: row.starts)
                assert all(one.ends <= after.starts for one, after in pairwise(stored))

    async def check_whole(self, file: list[Row]) -> None:
        await self._database.fetch("DELETE FROM rates")
        await self._database.fetch("DELETE FROM rate_decks")
        report = await self._import([*(f"79,{row.line}" for row in file), "1,1,,,"], "whole", delta=False)
        rates = [row for row in file if is_rate(row)]
        taken = accepted(rates)
        assert sorted((await self._stored(report.deck_id)).get("79", []), key=str) == sorted(taken, key=str)
        assert report.left_out == len(file) - len(rates)
        assert len(taken) + report.rejected + report.repeated == len(rates)

    async def _import(self, lines: list[str], tariff: str, *, delta: bool) -> ImportReport:
        with tempfile.TemporaryDirectory() as directory:
            path = write_deck(Path(directory), lines, HEADER)
            # Forced: many of these files would be held back, as what makes a code cheaper than anybody may have meant.
            return await import_deck(self._url, path, tariff, options=DeckFileOptions(delta=delta, force=True))

    async def _stored(self, deck_id: int) -> dict[str, list[Row]]:
        stored: dict[str, list[Row]] = {}
        query = "SELECT prefix, price_1, effective_from, effective_to FROM rates WHERE deck_id = $1"
        for row in await self._database.fetch(query, deck_id):
            starts, ends = (row[name].replace(tzinfo=UTC) for name in ("effective_from", "effective_to"))
            stored.setdefault(row["prefix"], []).append(Row(int(row["price_1"]), day_of(starts), day_of(ends)))
        return stored


def instants() -> list[float]:
    """When something may happen, and between."""
    return [day + half for day in range(T, LAST_DAY + 1) for half in (0, 0.5) if day + half > T]


def day_of(instant: datetime) -> int:
    if instant in (EVER_SINCE, FOR_EVER):
        return EVER if instant == EVER_SINCE else NEVER
    return (instant - NOW) // timedelta(days=1)


def deck_row(prefix: int, row: Row) -> DeckRow:
    starts, ends = (NOW + timedelta(days=day) for day in (row.starts, row.ends))
    return DeckRow(
        str(prefix),
        str(row.price),
        since=EVER_SINCE if row.starts == EVER else starts,
        until=FOR_EVER if row.ends == NEVER else ends,
    )


def run_laws(database_url: str, check: str, examples: st.SearchStrategy[object], count: int) -> None:
    """One event loop and one database for all examples."""
    loop = asyncio.new_event_loop()
    database = Database(database_url, timeout_seconds=60)
    try:
        loop.run_until_complete(database.open())
        deltas = Deltas(database, database_url)

        @settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(examples)
        def law(example: object) -> None:
            loop.run_until_complete(getattr(deltas, check)(example))

        law()
    finally:
        loop.run_until_complete(database.close())  # else a law that fails fails the tests after it, too
        loop.close()


def test_a_delta_is_what_its_laws_make_of_the_version_before(database_url: str) -> None:
    run_laws(database_url, "check_delta", st.lists(st.tuples(histories, files), min_size=1, max_size=20), 60)


def test_of_rows_that_conflict_the_first_counts_whichever_way_they_come(database_url: str) -> None:
    run_laws(database_url, "check_whole", st.lists(rows(), max_size=6), 60)


def test_the_same_holds_where_every_row_is_staged(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "MIN_SLOTS", 1)
    monkeypatch.setattr(repeats, "MAX_SLOTS", 1)
    run_laws(database_url, "check_whole", st.lists(rows(), max_size=6), 60)
