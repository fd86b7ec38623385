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
               AS free,
           count(*) FILTER (WHERE price_1 <> trunc(price_1) OR price_n <> trunc(price_n)) AS with_decimals
    FROM rates WHERE deck_id = $1
"""
_COUNTS_AT: Final = "{0}.effective_from <= $3 AND $3 < {0}.effective_to"
_MINUTE: Final = "CASE {0}.price_unit WHEN 'minute' THEN {0}.price_n ELSE {0}.price_n * 60 / {0}.interval_n END"
_FOR_THE_SAME: Final = "new.origin IN ('', old.origin) AND new.band IN ('', old.band)"  # callers and times of day
_DIGITS: Final = 10
# Codes of which no rate of the new deck counts any more, for the same callers and times of day, and the rate of the
# shorter code that their calls would go by. A code of which the new deck has all longer ones by a digit has none.
# Each prefix is looked up by itself: a deck that is not committed yet is next to nothing for the planner, which would
# read the whole of it for each row of the other one.
_CHEAPENED: Final = f"""
    WITH missing AS MATERIALIZED (
        SELECT prefix, origin, band FROM rates one
        WHERE deck_id = $1 AND NOT blocked AND {_COUNTS_AT.format("one")}
        EXCEPT
        SELECT prefix, origin, band FROM rates one WHERE deck_id = $2 AND {_COUNTS_AT.format("one")}
    ), gone AS MATERIALIZED (
        SELECT old.prefix, old.origin, old.band, present.minute
        FROM missing AS old CROSS JOIN LATERAL (
            SELECT one.blocked, {_MINUTE.format("one")} AS minute FROM rates one
            WHERE one.deck_id = $1 AND one.prefix = old.prefix AND one.origin = old.origin AND one.band = old.band
                  AND {_COUNTS_AT.format("one")}
            ORDER BY one.effective_from DESC LIMIT 1
        ) AS present
        WHERE NOT present.blocked
          AND (SELECT true FROM rates new WHERE new.deck_id = $2 AND new.prefix = old.prefix
                 AND {_COUNTS_AT.format("new")} AND {_FOR_THE_SAME} LIMIT 1) IS NULL
    )
    SELECT old.prefix, shorter.prefix AS by, old.minute AS before, shorter.minute AS after, count(*) OVER () AS total
    FROM gone AS old CROSS JOIN LATERAL (
        SELECT found.*
        FROM generate_series(length(old.prefix) - 1, 1, -1) AS n CROSS JOIN LATERAL (
            SELECT new.prefix, new.blocked, {_MINUTE.format("new")} AS minute
            FROM rates new
            WHERE new.deck_id = $2 AND new.prefix = left(old.prefix, n) AND {_COUNTS_AT.format("new")}
                  AND {_FOR_THE_SAME}
            ORDER BY new.origin <> '' DESC, new.band <> '' DESC, new.effective_from DESC LIMIT 1
        ) AS found
        ORDER BY n DESC LIMIT 1
    ) shorter
    WHERE NOT shorter.blocked AND shorter.minute * 2 < old.minute
      AND {_DIGITS} > (SELECT count(DISTINCT left(longer.prefix, length(old.prefix) + 1)) FROM rates longer
                      WHERE longer.deck_id = $2 AND longer.prefix > old.prefix AND longer.prefix < old.prefix || ':'
                        AND longer.effective_from <= $3 AND $3 < longer.effective_to)
    ORDER BY old.minute - shorter.minute DESC, old.prefix LIMIT 1
"""  # noqa: S608  # made of constants
# Of each prefix that a tariff was called by, or a carrier of it, the number called last: whether a rate counts for it.
_UNSERVED: Final = f"""
    SELECT count(*) AS called, count(*) FILTER (WHERE NOT served) AS unserved,
           min(prefix) FILTER (WHERE NOT served) AS one
    FROM (
        SELECT prefix, COALESCE((
            SELECT NOT found.blocked
            FROM generate_series(length(c.number), 1, -1) AS n CROSS JOIN LATERAL (
                SELECT new.blocked FROM rates new
                WHERE new.deck_id = $2 AND new.prefix = left(c.number, n) AND {_COUNTS_AT.format("new")}
                ORDER BY new.blocked LIMIT 1
            ) AS found
            ORDER BY n DESC LIMIT 1), false) AS served
        FROM (
            SELECT DISTINCT ON (prefix) prefix,
                   CASE WHEN starts_with(destination, prefix) THEN destination ELSE prefix END AS number
            FROM (
                SELECT prefix, destination, ended_at FROM cdrs
                WHERE tariff_id = $1 AND prefix <> '' AND ended_at >= $4
                UNION ALL
                SELECT prefix, COALESCE(NULLIF(routing_number, ''), destination), ended_at FROM cdrs
                WHERE route_name IN (SELECT name FROM routes WHERE cost_tariff_id = $1) AND prefix <> ''
                  AND ended_at >= $4
            ) AS calls
            ORDER BY prefix, ended_at DESC
        ) AS c
    ) AS asked
"""  # noqa: S608  # made of constants


@dataclass(frozen=True, slots=True)
class RateCounts:
    """Of a deck's rates: those that block their code, those with a price, and of these those that charge nothing, and
    those with decimals."""

    blocked: int
    priced: int
    free: int
    with_decimals: int


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


async def called_without_rate(
    connection: Connection, tariff_id: int, deck_id: int, comes_at: datetime, now: datetime
) -> Called:
    """What was called of a tariff within the last day, beside what a deck has for calls at `comes_at`."""
    row = await connection.fetchrow(_UNSERVED, tariff_id, deck_id, comes_at, now - DAY, timeout=STATEMENT_SECONDS)
    assert row is not None
    return Called(**row)
