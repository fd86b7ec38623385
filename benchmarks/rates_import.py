"""How many rates a second `rates import` publishes, beside bare COPY of the same rows in the same run.

Bare COPY puts ready text into the same table: no file is read, no row is checked, nothing is published. The import
reads the CSV, checks every row, finds prefixes said twice, stores, adds directions and publishes in one transaction.
Both commit durably (fsync on), in turns, on a server of their own that is gone afterwards.

python benchmarks/rates_import.py                     200,000 rates, about a minute on two cores
python benchmarks/rates_import.py --rows 1000000 --rounds 1
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import asyncpg

from rating_engine.embedded import EmbeddedServers
from rating_engine.services.decks.importing import import_deck
from rating_engine.storage.postgres.migrate import migrate

AIM: Final = 0.4  # of bare COPY
MAX_ROWS: Final = 2_000_000  # a file of 120 MB, and as much again in memory for bare COPY
MAX_ROUNDS: Final = 9
TERMS: Final = 2_000  # distinct direction and price, as the demo deck has; "own" gives every row its own price
CHUNK_BYTES: Final = 64 * 1024
HEADER: Final = "prefix,direction,price_1,price_n,price_unit,interval_1,interval_n,connect_fee\n"
COLUMNS: Final = HEADER.strip().split(",")

Rows = list[list[str]]


def make_rows(count: int, *, ordered: bool, own_prices: bool) -> Rows:
    """Prefixes of 6 to 9 digits, the same at every run; with the terms a carrier's deck has."""
    randomness = random.Random(4)
    prefixes: dict[str, None] = {}
    while len(prefixes) < count:
        prefixes[str(randomness.randrange(10**5, 10**9))] = None
    rows = []
    for number, prefix in enumerate(sorted(prefixes) if ordered else prefixes):
        terms = number if own_prices else number // 7 % TERMS  # neighbours in a deck often share their terms
        price = f"{terms % 999_999 / 1_000_000:.6f}"
        rows.append([prefix, f"CountryMobile-{terms % TERMS}", price, price, "minute", "60", "1", "0"])
    return rows


async def bare_copy(connection: asyncpg.Connection, rows: Rows, deck_id: int) -> float:  # type: ignore[type-arg]
    """Seconds to COPY the rows into `rates`, text made before the clock starts."""
    text = "".join(f"{deck_id}\t" + "\t".join(row) + "\n" for row in rows).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(text), CHUNK_BYTES):
            yield text[start : start + CHUNK_BYTES]

    started = time.perf_counter()
    await connection.copy_to_table("rates", source=chunks(), columns=["deck_id", *COLUMNS], format="text")
    return time.perf_counter() - started


async def engine_import(database_url: str, path: Path, tariff: str, expected: int) -> float:
    """Seconds of `rates import`, from opening the file to the published deck."""
    started = time.perf_counter()
    report = await import_deck(database_url, path, tariff)
    seconds = time.perf_counter() - started
    assert (report.taken, report.rejected) == (expected, 0)
    return seconds


async def measure(database_url: str, directory: Path, rows: Rows, name: str, rounds: int) -> tuple[float, float]:
    """Median seconds of bare COPY and of the import, in turns, each on an emptied table after a checkpoint."""
    path = directory / "deck.csv"
    path.write_text(HEADER + "".join(",".join(row) + "\n" for row in rows), encoding="utf-8")
    bare: list[float] = []
    engine: list[float] = []
    connection = await asyncpg.connect(database_url)
    try:
        for number in range(rounds):
            await connection.execute("TRUNCATE rates")
            await connection.execute("CHECKPOINT")
            bare.append(await bare_copy(connection, rows, -1))
            await connection.execute("TRUNCATE rates")
            await connection.execute("CHECKPOINT")
            engine.append(await engine_import(database_url, path, f"{name} {number}", len(rows)))
    finally:
        await connection.close()
    return statistics.median(bare), statistics.median(engine)


async def run(rows: int, rounds: int) -> None:
    decks: dict[str, Rows] = {
        "sorted by prefix": make_rows(rows, ordered=True, own_prices=False),
        "in no order": make_rows(rows, ordered=False, own_prices=False),
        "every price different": make_rows(rows, ordered=True, own_prices=True),
    }
    print(f"{'rates import':<24}{'rows/s':>12}{'bare COPY':>12}{'ratio':>8}{'aim':>7}")
    with EmbeddedServers() as servers, tempfile.TemporaryDirectory() as directory:
        await migrate(servers.database_url)
        for name, deck in decks.items():
            bare, engine = await measure(servers.database_url, Path(directory), deck, name, rounds)
            print(f"{name:<24}{rows / engine:>12,.0f}{rows / bare:>12,.0f}{bare / engine:>8.2f}{AIM:>7.2f}", flush=True)
    print(f"medians of {rounds} rounds of {rows:,} rows; both with fsync, in one transaction")


def at_most(limit: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not 1 <= number <= limit:
            raise argparse.ArgumentTypeError(f"must be from 1 to {limit}")
        return number

    return parse


def main() -> None:
    parser = argparse.ArgumentParser(description="Rates imported a second, beside bare COPY of the same rows.")
    parser.add_argument("--rows", type=at_most(MAX_ROWS), default=200_000, help="rates in the deck (200,000)")
    parser.add_argument("--rounds", type=at_most(MAX_ROUNDS), default=3, help="the median is printed (3)")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.rows, arguments.rounds))


if __name__ == "__main__":
    main()
