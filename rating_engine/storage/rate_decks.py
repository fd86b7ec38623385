"""Published rate decks as the hot path reads them: which deck a tariff has, and the rate of the longest prefix.

Law: one round trip a question, served by an index (tests/integration/test_rate_plans.py asks EXPLAIN).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import asyncpg

from rating_engine.domain.tariff import Direction
from rating_engine.rating.prefix import prefixes
from rating_engine.rating.rate import Rate
from rating_engine.storage.pool import Database

# Of a whole directory of directions: about 300 bytes each in every worker. A carrier sells some thousands.
MAX_DIRECTIONS: Final = 50_000
MAX_LISTED_TARIFFS: Final = 10_000  # a screenful is some dozens; more is a script, which has SQL

_DECK: Final = """
    SELECT t.tariff_id, t.currency, d.deck_id, d.longest_prefix,
           COALESCE((extract(epoch FROM d.published_at) * 1000000)::bigint, 0) AS published_us
    FROM tariffs t JOIN rate_decks d ON d.deck_id = deck_at(t.tariff_id, now())"""
DECK_OF_TARIFF: Final = f"{_DECK} WHERE t.tariff_id = $1"
DECK_OF_NAMED_TARIFF: Final = f"{_DECK} WHERE t.name = $1"

# Each of the three parts is one probe of the primary key (deck_id, prefix). `before` and `after` are the
# destination's neighbours in the order of prefixes: they say how many of its digits the answer depends on.
LONGEST_MATCH: Final = """
    SELECT found.*,
           (SELECT prefix FROM rates WHERE deck_id = $1 AND prefix <= $3 ORDER BY prefix DESC LIMIT 1) AS before,
           (SELECT prefix FROM rates WHERE deck_id = $1 AND prefix > $3 ORDER BY prefix LIMIT 1) AS after
    FROM (VALUES (1)) AS always_one_row
    LEFT JOIN LATERAL (
        SELECT prefix, direction, price_1, price_n, price_unit, interval_1, interval_n, connect_fee, free_seconds,
               grace_period, postcall_surcharge, blocked
        FROM rates WHERE deck_id = $1 AND prefix = ANY($2::text[]) ORDER BY length(prefix) DESC LIMIT 1
    ) AS found ON true"""

_DIRECTIONS: Final = "SELECT code, name, min_len, max_len FROM directions"


@dataclass(frozen=True, slots=True)
class PublishedDeck:
    """The deck that a tariff's calls are rated by. It never changes; publishing puts another one in its place.

    `key` names it in caches: the deck's id and the microsecond of its publishing, since ids alone come again when
    a database is restored or made anew beside a Redis that was not.
    """

    tariff_id: int
    deck_id: int
    currency: str
    longest_prefix: int
    key: str


@dataclass(frozen=True, slots=True)
class FoundRate:
    """One rate of a deck; `direction` is the code."""

    prefix: str
    direction: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class LongestMatch:
    """What a deck says of a destination: its rate or None, and the neighbouring prefixes in text order (or None).

    `matched` is the longest prefix; where the deck blocks it there is no rate, whatever shorter ones say.
    """

    found: FoundRate | None
    matched: str | None
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class TariffLine:
    """A tariff as listed for people; the last four are None while it has no deck."""

    name: str
    currency: str
    version: int | None
    rates: int | None
    longest_prefix: int | None
    published_at: datetime | None


async def published_deck(database: Database, tariff_id: int) -> PublishedDeck | None:
    """The published deck of a tariff; None where there is no such tariff, or it has no deck yet."""
    return _deck_from_row(await database.fetchrow(DECK_OF_TARIFF, tariff_id))


async def published_deck_of(database: Database, tariff: str) -> PublishedDeck | None:
    """The same by the tariff's name."""
    return _deck_from_row(await database.fetchrow(DECK_OF_NAMED_TARIFF, tariff))


async def tariff_exists(database: Database, name: str) -> bool:
    """Whether a tariff has this name, with or without a deck."""
    return bool(await database.fetchval("SELECT EXISTS (SELECT FROM tariffs WHERE name = $1)", name))


async def longest_match(database: Database, deck: PublishedDeck, destination: str) -> LongestMatch:
    """The rate of the longest prefix of `destination` (digits) in `deck`, by one statement."""
    row = await database.fetchrow(LONGEST_MATCH, *match_args(deck.deck_id, destination, deck.longest_prefix))
    assert row is not None  # the statement always has one row
    return LongestMatch(_found_from_row(row), row["prefix"], row["before"], row["after"])


def match_args(deck_id: int, destination: str, longest_prefix: int) -> tuple[int, Sequence[str], str]:
    """The arguments of LONGEST_MATCH."""
    return deck_id, prefixes(destination, longest_prefix), destination[:longest_prefix]


async def load_directions(database: Database) -> dict[str, Direction]:
    """Every direction by its code; MAX_DIRECTIONS of them where there are more."""
    rows = await database.fetch(f"{_DIRECTIONS} ORDER BY code LIMIT $1", MAX_DIRECTIONS)
    return {row["code"]: direction_from_row(row) for row in rows}


async def load_direction(database: Database, code: str) -> Direction | None:
    """One direction, or None."""
    row = await database.fetchrow(f"{_DIRECTIONS} WHERE code = $1", code)
    return None if row is None else direction_from_row(row)


async def list_tariffs(database: Database) -> list[TariffLine]:
    """Tariffs by name with their published deck."""
    rows = await database.fetch(
        """SELECT t.name, t.currency, d.version, d.rate_count AS rates, d.longest_prefix, d.published_at
           FROM tariffs t LEFT JOIN rate_decks d ON d.deck_id = deck_at(t.tariff_id, now()) ORDER BY t.name LIMIT $1""",
        MAX_LISTED_TARIFFS,
    )
    return [TariffLine(**row) for row in rows]


def rate_from_row(row: asyncpg.Record) -> Rate:
    """The rate of a row of `rates`; what the row does not say has the default of `Rate`."""
    rate = Rate(
        price_1=row["price_1"],
        price_n=row["price_n"],
        price_unit=row["price_unit"],
        interval_1=row["interval_1"],
        interval_n=row["interval_n"],
        free_seconds=row["free_seconds"],
        grace_period=row["grace_period"],
        connect_fee=row["connect_fee"],
        postcall_surcharge=row["postcall_surcharge"],
    )
    # Through its text, so that equal rates are one object with its arithmetic prepared: a deck has few distinct ones.
    return Rate.from_json(rate.to_json())


def direction_from_row(row: asyncpg.Record) -> Direction:
    """The direction of a row of `directions`."""
    return Direction(code=row["code"], name=row["name"], min_len=row["min_len"], max_len=row["max_len"])


def _found_from_row(row: asyncpg.Record) -> FoundRate | None:
    if row["prefix"] is None or row["blocked"]:
        return None
    return FoundRate(row["prefix"], row["direction"], rate_from_row(row))


def _deck_from_row(row: asyncpg.Record | None) -> PublishedDeck | None:
    if row is None:
        return None
    values: dict[str, Any] = dict(row)
    published_us = values.pop("published_us")
    return PublishedDeck(key=f"{values['deck_id']}.{published_us}", **values)
