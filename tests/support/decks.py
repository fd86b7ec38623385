"""Rate decks for tests: published straight into the tables, or written as a file to import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from rating_engine.domain.tariff import PublishedDeck, RateMatch
from rating_engine.services.rate_decks import RateDecks
from rating_engine.storage.pool import Database
from rating_engine.storage.tariffs import load_named_tariff, load_tariff

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


async def match_now(decks: RateDecks, tariff_id: int, number: str) -> RateMatch | None:
    """The rate of a call that starts now, on a tariff as `decks` knows it."""
    tariff = await decks.tariff(tariff_id)
    return None if tariff is None else await decks.match_rate(tariff, number, at=datetime.now(UTC))


async def deck_now(database: Database, tariff: int | str) -> PublishedDeck:
    """The deck in force of a tariff (its id or name)."""
    found = await (load_named_tariff(database, tariff) if isinstance(tariff, str) else load_tariff(database, tariff))
    assert found is not None
    deck = found.deck_at(datetime.now(UTC))
    assert deck is not None
    return deck


def write_deck(
    directory: Path, rows: Iterable[str], header: str = "prefix,direction,price", name: str = "deck.csv"
) -> Path:
    """A comma-separated deck file."""
    path = directory / name
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path
