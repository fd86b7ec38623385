"""What a deck that was loaded would do to calls, asked before it is published: it may be one that nobody meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from rating_engine.storage.postgres.pool import Connection

STATEMENT_SECONDS: Final = 120.0  # of a million rates beside a million
DAY: Final = timedelta(days=1)

_COUNTS: Final = """
    SELECT count(*) FILTER (WHERE blocked) AS blocked, count(*) FILTER (WHERE NOT blocked) AS priced,
           count(*) FILTER (WHERE NOT blocked AND price_1 = 0 AND price_n = 0 AND connect_fee = 0 AND extras = '')
               AS free
    FROM rates WHERE deck_id = $1
"""
_PLAIN: Final = "{0}.origin = '' AND {0}.band = '' AND {0}.effective_from <= $3 AND $3 < {0}.effective_to"
_MINUTE: Final = "CASE {0}.price_unit WHEN 'minute' THEN {0}.price_n ELSE {0}.price_n * 60 / {0}.interval_n END"
# Codes that the new deck has no more, and the rate of the shorter code that their calls would go by.
_CHEAPENED: Final = f"""
    SELECT old.prefix, shorter.prefix AS by, old.minute AS before, shorter.minute AS after, count(*) OVER () AS total
    FROM (
        SELECT old.prefix, {_MINUTE.format("old")} AS minute FROM rates old
        WHERE old.deck_id = $1 AND NOT old.blocked AND {_PLAIN.format("old")}
              AND NOT EXISTS (SELECT FROM rates new WHERE new.deck_id = $2 AND new.prefix = old.prefix)
    ) old CROSS JOIN LATERAL (
        SELECT new.prefix, new.blocked, {_MINUTE.format("new")} AS minute
        FROM rates new
        WHERE new.deck_id = $2 AND {_PLAIN.format("new")}
              AND new.prefix = ANY (ARRAY(SELECT left(old.prefix, n) FROM generate_series(1, length(old.prefix) - 1) n))
        ORDER BY length(new.prefix) DESC LIMIT 1
    ) shorter
    WHERE NOT shorter.blocked AND shorter.minute * 2 < old.minute
    ORDER BY old.minute - shorter.minute DESC, old.prefix LIMIT 1
"""  # noqa: S608  # made of constants
_UNSERVED: Final = """
    SELECT count(*) AS called, count(*) FILTER (WHERE NOT served) AS unserved,
           min(prefix) FILTER (WHERE NOT served) AS one
    FROM (
        SELECT prefix, EXISTS (
            SELECT FROM rates new
            WHERE new.deck_id = $2 AND NOT new.blocked
                  AND new.prefix = ANY (ARRAY(SELECT left(c.prefix, n) FROM generate_series(1, length(c.prefix)) n))
        ) AS served
        FROM (SELECT DISTINCT prefix FROM cdrs WHERE tariff_id = $1 AND prefix <> '' AND ended_at >= $3) c
    ) asked
"""


@dataclass(frozen=True, slots=True)
class RateCounts:
    """Of a deck's rates: those that block their code, those with a price, and those of them that charge nothing."""

    blocked: int
    priced: int
    free: int


@dataclass(frozen=True, slots=True)
class Cheapened:
    """Codes that are gone and would be called at less than half by a shorter one: `total`, and the largest case."""

    prefix: str
    by: str
    before: Decimal
    after: Decimal
    total: int


@dataclass(frozen=True, slots=True)
class Called:
    """Prefixes that were called within a day, how many of them a deck has no rate for, and one of those."""

    called: int
    unserved: int
    one: str | None


async def count_rates(connection: Connection, deck_id: int) -> RateCounts:
    """What the rates of a deck are."""
    row = await connection.fetchrow(_COUNTS, deck_id, timeout=STATEMENT_SECONDS)
    assert row is not None
    return RateCounts(**row)


async def cheapened(connection: Connection, old_deck: int, new_deck: int, at: datetime) -> Cheapened | None:
    """What would be sold too cheap for calls at an instant; None: nothing."""
    row = await connection.fetchrow(_CHEAPENED, old_deck, new_deck, at, timeout=STATEMENT_SECONDS)
    return None if row is None else Cheapened(**row)


async def called_without_rate(connection: Connection, tariff_id: int, deck_id: int, now: datetime) -> Called:
    """What was called of a tariff within the last day, beside what a deck has."""
    row = await connection.fetchrow(_UNSERVED, tariff_id, deck_id, now - DAY, timeout=STATEMENT_SECONDS)
    assert row is not None
    return Called(**row)
