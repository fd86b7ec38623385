"""Rate decks for tests: published straight into the tables, or written as a file to import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rating_engine.domain.tariff import PublishedDeck, RateMatch
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.storage.decks.rate_cache import RateCache
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.secrets import rate_cache_secret
from rating_engine.storage.tariffs.tariffs import load_named_tariff, load_tariff

INSERT_RATES = """
    INSERT INTO rates (deck_id, prefix, origin, band, effective_from, effective_to, direction, price_1, price_n,
                       blocked)
    SELECT $1, prefix, origin, band, since, until, direction, COALESCE(price, 0), COALESCE(price, 0), price IS NULL
    FROM unnest($2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::text[], $8::numeric[])
         AS r(prefix, origin, band, since, until, direction, price)"""
BLOCKED = "blocked"  # for a price


@dataclass(frozen=True, slots=True)
class DeckRow:
    """A row of a deck: its price a minute (or BLOCKED), and for which calls it counts."""

    prefix: str
    price: str
    origin: str = ""
    band: str = ""
    since: datetime = EVER_SINCE
    until: datetime = FOR_EVER


async def give_bands(database: Database, tariff_id: int, *bands: str) -> None:
    """Times of day that the tariff then has."""
    await database.fetch(
        "INSERT INTO tariff_bands SELECT $1, position, band, '{1}', '08:00', '20:00'"
        " FROM unnest($2::text[]) WITH ORDINALITY AS given(band, position)",
        tariff_id,
        bands,
    )


def cache_of(redis_url: str, database: Database, **options: Any) -> RateCache:
    """A Redis cache that seals with the secret of the database, as an engine wires it."""
    return RateCache(redis_url, lambda: rate_cache_secret(database), **options)


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
    return await publish_rows(
        database, tariff_id, [DeckRow(prefix, price) for prefix, price in prices.items()], direction=direction
    )


async def publish_rows(
    database: Database,
    tariff_id: int,
    rows: Sequence[DeckRow],
    *,
    effective_from: datetime | None = None,
    direction: str = "somewhere",
) -> int:
    """Publish a deck that is in force from an instant on (None: now); returns its id."""
    async with database.connection() as connection, connection.transaction():
        deck_id: int = await connection.fetchval(
            """INSERT INTO rate_decks (tariff_id, version, state, effective_from, rate_count, longest_prefix,
                                       published_at)
               SELECT $1, 1 + COALESCE(max(version), 0), 'published', COALESCE($4, clock_timestamp()), $2, $3,
                      clock_timestamp()
               FROM rate_decks WHERE tariff_id = $1 RETURNING deck_id""",
            tariff_id,
            len(rows),
            max(len(row.prefix) for row in rows),
            effective_from,
        )
        await connection.execute(
            INSERT_RATES,
            deck_id,
            [row.prefix for row in rows],
            [row.origin for row in rows],
            [row.band for row in rows],
            # the driver takes for infinite what has no time zone
            [row.since.replace(tzinfo=None) if row.since == EVER_SINCE else row.since for row in rows],
            [row.until.replace(tzinfo=None) if row.until == FOR_EVER else row.until for row in rows],
            [direction] * len(rows),
            [None if row.price == BLOCKED else Decimal(row.price) for row in rows],
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


async def price_at(
    database: Database, at: datetime, number: str = "7901", *, tariff: str = "retail", origin: str = "", band: str = ""
) -> str | None:
    """What a minute of a call costs that starts then, as the engine finds it; None: no rate serves it."""
    found = await load_named_tariff(database, tariff, at)
    assert found is not None
    match = await RateDecks(database).match_rate(found, number, at=at, origin=origin, band=band)
    return None if match is None else str(match.rate.price_n.normalize())
