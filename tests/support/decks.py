"""Rate decks for tests: published straight into the tables, or written as a file to import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from rating_engine.storage.pool import Database

INSERT_RATES = """
    INSERT INTO rates (deck_id, prefix, direction, price_1, price_n, blocked)
    SELECT $1, prefix, direction, COALESCE(price, 0), COALESCE(price, 0), price IS NULL
    FROM unnest($2::text[], $3::text[], $4::numeric[]) AS r(prefix, direction, price)"""
BLOCKED = "blocked"  # for a price


async def make_tariff(database: Database, name: str = "retail", currency: str = "EUR") -> int:
    """A tariff without a deck."""
    return int(
        await database.fetchval(
            "INSERT INTO tariffs (name, currency) VALUES ($1, $2) RETURNING tariff_id", name, currency
        )
    )


async def replace_deck(
    database: Database, tariff_id: int, prices: Mapping[str, str], direction: str = "somewhere"
) -> int:
    """Publish a deck with these prices a minute (or BLOCKED) by prefix; returns its id."""
    async with database.connection() as connection, connection.transaction():
        deck_id: int = await connection.fetchval(
            """INSERT INTO rate_decks (tariff_id, version, state, effective_from, rate_count, longest_prefix,
                                       published_at)
               SELECT $1, 1 + COALESCE(max(version), 0), 'published', clock_timestamp(), $2, $3, clock_timestamp()
               FROM rate_decks WHERE tariff_id = $1 RETURNING deck_id""",
            tariff_id,
            len(prices),
            max(map(len, prices)),
        )
        await connection.execute(
            INSERT_RATES,
            deck_id,
            list(prices),
            [direction] * len(prices),
            [None if price == BLOCKED else Decimal(price) for price in prices.values()],
        )
    return deck_id


def write_deck(
    directory: Path, rows: Iterable[str], header: str = "prefix,direction,price", name: str = "deck.csv"
) -> Path:
    """A comma-separated deck file."""
    path = directory / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path
