"""What the size of a deck costs: look-ups in a million rates beside ten thousand, the import beside bare COPY, memory.

Look-ups are what a call asks of services/decks, one after the other, and both decks are asked for the same numbers
in turns. PostgreSQL answers all of them, then Redis, then the memory of this process. Figures are medians over rounds
of a thousand. Each deck has a database of its own, since the depth of an index is part of what size costs.

The import reads a CSV of the million, checks every row and publishes; bare COPY puts ready text into the same table;
both with fsync, in turns. Memory is that of another process, which asks until its memory of answers is full, of rates
that are all different: the most that it can come to.

python benchmarks/deck_size.py                    a million beside ten thousand, some minutes on two cores
python benchmarks/deck_size.py --rates 200000
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg
import psutil
import structlog

from rating_engine.embedded import EmbeddedServers
from rating_engine.services.decks.importing import import_deck
from rating_engine.services.facts.rate_lookup import MEMORY_ENTRIES, Level, RateDecks
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.decks.rate_decks import CANDIDATES, candidates_args
from rating_engine.storage.postgres.migrate import migrate
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.secrets import rate_cache_secret
from rating_engine.storage.tariffs.tariffs import load_named_tariff

SMALL_RATES: Final = 10_000
MAX_RATES: Final = 2_000_000  # a CSV of 90 MB
MAX_LOOKUPS: Final = 1_000_000
AIM_LOOKUPS: Final = 1.15  # of the p99 in the small deck
AIM_IMPORT: Final = 0.5  # of bare COPY
TURN: Final = 50  # look-ups before it is the other deck's turn, so that a busy moment is shared
ROUND: Final = 1_000  # look-ups whose p99 is taken at a time: the median is printed
NUMBERS_CALLED: Final = 20_000  # distinct, as popular as words are (Zipf)
SHORT_PREFIXES: Final = [str(number) for number in range(100, 1_000)]  # in every deck: no number is without a rate
TERMS: Final = 2_000  # distinct direction and price, as the demo deck has
HEADER: Final = "prefix,direction,price_1,price_n,price_unit,interval_1,interval_n,connect_fee"
CHUNK_BYTES: Final = 64 * 1024
ASKED_AT_ONCE: Final = 8


def prefixes_of(rates: int) -> list[str]:
    """So many prefixes of 3 to 9 digits in order, the same at every run; a smaller deck's are among a larger one's."""
    chance = random.Random(4)
    prefixes = dict.fromkeys(SHORT_PREFIXES)
    while len(prefixes) < rates:
        prefixes[str(chance.randrange(10**4, 10**9))] = None
    return sorted(prefixes)


def rows(prefixes: Iterable[str], separator: str, *, own_prices: bool = False) -> Iterable[str]:
    """The rows of a deck; neighbours often share their terms, unless each has a price of its own."""
    for number, prefix in enumerate(prefixes):
        terms = number if own_prices else number // 7 % TERMS
        price = f"{terms % 999_999 / 1_000_000:.6f}"
        yield separator.join((prefix, f"CountryMobile-{terms % TERMS}", price, price, "minute", "60", "1", "0"))


def write_csv(directory: Path, prefixes: Iterable[str], *, own_prices: bool = False) -> Path:
    path = directory / "deck.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        file.writelines(row + "\n" for row in rows(prefixes, ",", own_prices=own_prices))
    return path


async def bare_copy(connection: asyncpg.Connection, prefixes: list[str]) -> float:  # type: ignore[type-arg]
    """Seconds to COPY the rows into `rates`, text made before the clock starts."""
    text = "".join(f"-1\t{row}\n" for row in rows(prefixes, "\t")).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(text), CHUNK_BYTES):
            yield text[start : start + CHUNK_BYTES]

    columns = ["deck_id", *HEADER.split(",")]
    started = time.perf_counter()
    await connection.copy_to_table("rates", source=chunks(), columns=columns, format="text")
    return time.perf_counter() - started


async def import_both(url: str, directory: Path, prefixes: list[str], rounds: int) -> tuple[float, float]:
    """Median seconds of bare COPY and of the import, each into an empty table; the last import stays."""
    path = write_csv(directory, prefixes)
    bare: list[float] = []
    engine: list[float] = []
    connection = await asyncpg.connect(url)
    try:
        for _ in range(rounds):
            await connection.execute("TRUNCATE rates; CHECKPOINT")
            bare.append(await bare_copy(connection, prefixes))
            await connection.execute("TRUNCATE rates; CHECKPOINT")
            started = time.perf_counter()
            report = await import_deck(url, path, "bench")
            engine.append(time.perf_counter() - started)
            assert (report.taken, report.rejected) == (len(prefixes), 0)
    finally:
        await connection.close()
    return statistics.median(bare), statistics.median(engine)


def numbers_called(prefixes: list[str], count: int) -> list[str]:
    """Numbers of 12 digits, of prefixes that are as popular as words are."""
    chance = random.Random(5)
    popular = chance.sample(prefixes, min(NUMBERS_CALLED, len(prefixes)))
    numbers = [(prefix + f"{chance.randrange(10**9):09}")[:12] for prefix in popular]
    return chance.choices(numbers, [1 / rank for rank in range(1, len(numbers) + 1)], k=count)


@dataclass
class Asked:
    """A deck, who is asked about it, and how long each answer took."""

    decks: RateDecks
    tariff_id: int
    rounds: list[list[float]] = field(default_factory=list)

    async def ask(self, number: str) -> None:
        """As a call asks: the tariff by its id, then the rate."""
        tariff = await self.decks.tariff(self.tariff_id)
        assert tariff is not None
        match = await self.decks.match_rate(tariff, number, at=datetime.now(UTC))
        assert match is not None

    async def measure(self, numbers: list[str]) -> None:
        """Ask for every number, in the round that was begun last."""
        for number in numbers:
            started = time.perf_counter()
            await self.ask(number)
            self.rounds[-1].append(time.perf_counter() - started)

    def percentiles(self, percent: int) -> list[float]:
        """Of each round, in microseconds."""
        return [statistics.quantiles(seconds, n=100)[percent - 1] * 1e6 for seconds in self.rounds]


class Side:
    """The database of one deck."""

    def __init__(self, database: Database, redis_url: str, tariff_id: int) -> None:
        self.database = database
        self.cache = RateCache(redis_url, lambda: rate_cache_secret(database), timeout_seconds=5)
        self.tariff_id = tariff_id
        self.levels: list[Level] = []

    def asked(self, level: Level) -> Asked:
        """Somebody whose every answer comes from this level, once it has seen the numbers."""
        entries = MEMORY_ENTRIES if level is Level.MEMORY else 0
        cache = self.cache if level is Level.REDIS else None
        return Asked(
            RateDecks(self.database, cache, memory_entries=entries, observe_lookup=self.levels.append), self.tariff_id
        )


async def compare(level: Level, small: Side, large: Side, numbers: list[str]) -> None:
    """Print both decks' look-ups that one level answers."""
    pair = small.asked(level), large.asked(level)
    if level is not Level.POSTGRES:
        for asked in pair:
            await at_once(asked.ask, list(dict.fromkeys(numbers)))
    for side in (small, large):
        side.levels.clear()
    for start in range(0, len(numbers), TURN):
        for asked in pair:
            if start % ROUND == 0:
                asked.rounds.append([])
            await asked.measure(numbers[start : start + TURN])
    said = {*small.levels, *large.levels}
    assert said == {level}, said
    figures = [statistics.median(asked.percentiles(percent)) for percent in (50, 99) for asked in pair]
    theirs, mine = figures[-2:]
    columns = "".join(f"{figure:>18,.1f}" for figure in figures)
    print(f"{level.value:<12}{columns}{mine / theirs:>11.2f}{AIM_LOOKUPS:>6.2f}", flush=True)


async def at_once(ask: Callable[[str], Awaitable[None]], numbers: list[str]) -> None:
    """Ask for every number, some at a time."""

    async def some(first: int) -> None:
        for number in numbers[first::ASKED_AT_ONCE]:
            await ask(number)

    await asyncio.gather(*(some(first) for first in range(ASKED_AT_ONCE)))


async def assert_indexed(database: Database, deck_id: int, number: str) -> None:
    """That the answer is read from the primary key at this size too."""
    plan = "\n".join(
        row[0] for row in await database.fetch(f"EXPLAIN {CANDIDATES}", *candidates_args(deck_id, number, 9))
    )
    assert plan.count("rates_pkey") == 3, plan
    assert "Seq Scan" not in plan, plan


async def side_of(url: str, redis_url: str) -> Side:
    """A published deck, its table vacuumed as it is some minutes after an import."""
    connection = await asyncpg.connect(url)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()
    database = Database(url)
    await database.open()
    tariff = await load_named_tariff(database, "bench")
    assert tariff is not None
    await assert_indexed(database, tariff.decks[0].deck_id, "100500000001")
    side = Side(database, redis_url, tariff.tariff_id)
    await side.cache.open()
    return side


async def remember(url: str, entries: int) -> None:
    """In a process of its own: ask for a number of every rate, and print how much memory the answers took."""
    database = Database(url)
    await database.open()
    tariff = await load_named_tariff(database, "memory")
    assert tariff is not None
    numbers = [f"{row[0]}0000" for row in await database.fetch("SELECT prefix FROM rates WHERE deck_id = $1",
                                                               tariff.decks[0].deck_id)]  # fmt: skip
    asked = Asked(RateDecks(database, memory_entries=entries), tariff.tariff_id)
    await at_once(asked.ask, numbers[:ASKED_AT_ONCE])  # connections, and the code itself
    before = psutil.Process().memory_info().rss
    await at_once(asked.ask, numbers)
    after = psutil.Process().memory_info().rss
    await database.close()
    print(json.dumps({"before": before, "after": after, "asked": len(numbers)}))


async def measure_memory(url: str, directory: Path, entries: int) -> None:
    """Import as many rates as fill a process's memory of answers one and a half times, and let one process do so."""
    path = write_csv(directory, prefixes_of(max(entries * 3 // 2, len(SHORT_PREFIXES))), own_prices=True)
    await import_deck(url, path, "memory")
    command = [sys.executable, __file__, "--remember", url, "--entries", str(entries)]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    said = json.loads(output)
    before, after = said["before"] / 2**20, said["after"] / 2**20
    print(
        f"memory of a process: {before:.0f} MB before and {after:.0f} MB after {said['asked']:,} different rates were"
    )
    print(f"asked for; it keeps {entries:,} of them: {(after - before) * 1024 / entries:.1f} kB each")


async def run(rates: int, rounds: int, lookups: int, entries: int) -> None:
    with EmbeddedServers() as servers, tempfile.TemporaryDirectory() as name:
        directory, large_url = Path(name), servers.database_url
        servers.psql("CREATE DATABASE small")
        small_url = large_url.rsplit("/", 1)[0] + "/small"
        prefixes = prefixes_of(rates)
        for url in (large_url, small_url):
            await migrate(url)
        bare, engine = await import_both(large_url, directory, prefixes, rounds)
        await import_deck(small_url, write_csv(directory, prefixes_of(SMALL_RATES)), "bench")
        print(f"import of {rates:,} rates: {engine:.1f} s, bare COPY {bare:.1f} s; ratio {bare / engine:.2f}", end=" ")
        print(f"(aim {AIM_IMPORT:.2f})\n")
        redis_url = servers.redis_url.rsplit("/", 1)[0]
        small, large = await side_of(small_url, f"{redis_url}/1"), await side_of(large_url, f"{redis_url}/2")
        sizes = f"{SMALL_RATES:,}", f"{rates:,}"
        print(f"{'µs':<12}" + "".join(f"{f'{p} of {size}':>18}" for p in ("p50", "p99") for size in sizes), end="")
        print(f"{'p99 ratio':>11}{'aim':>6}")
        numbers = numbers_called(prefixes, lookups)
        for level in (Level.POSTGRES, Level.REDIS, Level.MEMORY):
            await compare(level, small, large, numbers)
        for side in (small, large):
            await side.cache.close()
            await side.database.close()
        print()
        await measure_memory(small_url, directory, entries)


def at_most(limit: int, least: int = 1) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not least <= number <= limit:
            raise argparse.ArgumentTypeError(f"must be from {least} to {limit}")
        return number

    return parse


def main() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    parser = argparse.ArgumentParser(description="Look-ups in a large deck beside a small one, its import, memory.")
    parser.add_argument(
        "--rates", type=at_most(MAX_RATES, SMALL_RATES), default=1_000_000, help="in the large deck (1,000,000)"
    )
    parser.add_argument("--rounds", type=at_most(9), default=1, help="of the import; the median is printed (1)")
    parser.add_argument(
        "--lookups", type=at_most(MAX_LOOKUPS, TURN), default=20_000, help="for each level and deck (20,000)"
    )
    parser.add_argument("--entries", type=at_most(MEMORY_ENTRIES), default=MEMORY_ENTRIES, help="rows kept (50,000)")
    parser.add_argument("--remember", metavar="URL", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.remember:
        asyncio.run(remember(arguments.remember, arguments.entries))
    else:
        asyncio.run(run(arguments.rates, arguments.rounds, arguments.lookups, arguments.entries))


if __name__ == "__main__":
    main()
