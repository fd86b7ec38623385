"""A delta: the rows of another version with those of a file applied to them, by a few set-based statements.

Laws, for the rows of one key (see storage/deck_columns) and the instant T at which the new version comes into force:
- A row of the file that counts at T takes the place of what counted until then. One that begins later ends it there; if
  it says itself when it ends, what was before goes on after it.
- What the other version has beginning while a row of the file counts, begins after that one.
- A closing ends everything that began before it, and takes away what the other version has later.
- Rows that ended before T are left behind.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.storage.connecting import Connection
from rating_engine.storage.deck_columns import KEY, ROW, TERMS, listed, same, same_terms
from rating_engine.storage.deck_staging import COUNTING, CURSOR_ROWS, count_of

CLOSING_COLUMNS: Final = ("line", *KEY, "ends")

# `origin` and `band` NULL: every one of the prefix. `ends` -infinity: at once.
_CLOSINGS: Final = f"""
    CREATE TEMPORARY TABLE closings ON COMMIT DROP AS
    SELECT 0::bigint AS line, {listed(KEY)}, effective_from AS ends FROM rates WITH NO DATA"""  # noqa: S608  # constants

# The rows of the file that count. `followed`: one of them goes on without an end where this one has to end.
_NEXT_OPEN: Final = f"""
    min(effective_from) FILTER (WHERE effective_to = 'infinity') OVER (
        PARTITION BY {listed(KEY)} ORDER BY effective_from ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)"""
_CHANGES: Final = f"""
    CREATE TEMPORARY TABLE changes ON COMMIT DROP AS
    SELECT {listed(KEY)}, effective_from,
           CASE WHEN effective_to = 'infinity' THEN COALESCE(next_open, 'infinity')
                ELSE effective_to END AS effective_to,
           {listed(TERMS)}, effective_to = 'infinity' AND next_open IS NOT NULL AS followed,
           false AS unchanged, false AS added
    FROM (SELECT *, {_NEXT_OPEN} AS next_open FROM suspects WHERE {COUNTING}) AS suspects"""  # noqa: S608  # constants


def _closes(closing: str, row: str) -> str:
    return (
        f"{closing}.prefix = {row}.prefix AND {row}.origin = COALESCE({closing}.origin, {row}.origin)"
        f" AND {row}.band = COALESCE({closing}.band, {row}.band)"
    )


# Keys of the other version that closings end, each at the earliest of them.
_ENDED: Final = f"""
    CREATE TEMPORARY TABLE ended ON COMMIT DROP AS
    SELECT {listed(KEY)}, effective_from AS ends FROM rates WITH NO DATA"""  # noqa: S608  # constants
_FIND_ENDED: Final = f"""
    INSERT INTO ended
    SELECT {listed(KEY, "base")}, min(closings.ends)
    FROM closings JOIN rates AS base ON base.deck_id = $1 AND {_closes("closings", "base")}
    WHERE base.effective_to > $2 GROUP BY {listed(KEY, "base")}"""  # noqa: S608  # made of constants
_VAIN: Final = f"""
    SELECT line, count(*) AS codes, min(prefix) AS prefix FROM closings
    WHERE NOT EXISTS (SELECT FROM rates AS base
                      WHERE base.deck_id = $1 AND {_closes("closings", "base")} AND base.effective_to > $2)
      AND NOT EXISTS (SELECT FROM changes WHERE {_closes("closings", "changes")})
    GROUP BY line ORDER BY line"""  # noqa: S608  # made of constants
_END_CHANGES: Final = f"""
    UPDATE changes SET effective_to = LEAST(effective_to, first.ends), followed = false
    FROM (SELECT changes.ctid AS place, min(closings.ends) AS ends
          FROM changes JOIN closings ON {_closes("closings", "changes")} AND closings.ends > changes.effective_from
          GROUP BY changes.ctid) AS first
    WHERE changes.ctid = first.place"""  # noqa: S608  # made of constants

# A row that says what counts anyway, all the time it is for.
_BASE_OF_CHANGE: Final = f"base.deck_id = $1 AND {same('base', 'changes')}"
_MARK_UNCHANGED: Final = f"""
    UPDATE changes SET unchanged = true
    WHERE NOT EXISTS (SELECT FROM ended WHERE {same("ended", "changes")})
      AND NOT EXISTS (SELECT FROM rates AS base WHERE {_BASE_OF_CHANGE} AND base.effective_to > $2
                        AND base.effective_from > GREATEST(changes.effective_from, $2)
                        AND base.effective_from < changes.effective_to)
      AND (SELECT {same_terms("base", "changes")}
                  AND (base.effective_to = changes.effective_to
                       OR (changes.followed AND base.effective_to > changes.effective_to))
           FROM rates AS base
           WHERE {_BASE_OF_CHANGE} AND base.effective_from <= GREATEST(changes.effective_from, $2)
             AND base.effective_to > GREATEST(changes.effective_from, $2)
           ORDER BY base.effective_from DESC LIMIT 1)"""  # noqa: S608  # made of constants
_MARK_ADDED: Final = f"""
    UPDATE changes SET added = true
    WHERE NOT EXISTS (SELECT FROM rates AS base WHERE {_BASE_OF_CHANGE} AND base.effective_to > $2)"""  # noqa: S608

# For each key that the file touches: when its rows count, from when on without an end, and whether one counts at T.
_TOUCHED: Final = f"""
    CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
    SELECT {listed(KEY)}, effective_from AS open_from, tstzmultirange() AS windows, true AS at_once FROM rates
    WITH NO DATA"""  # noqa: S608  # constants
_FIND_TOUCHED: Final = f"""
    INSERT INTO touched
    SELECT {listed(KEY)}, min(starts) FILTER (WHERE ends = 'infinity'), range_agg(tstzrange(starts, ends)),
           bool_or(starts <= $1 AND ends > $1)
    FROM (SELECT {listed(KEY)}, effective_from AS starts, effective_to AS ends FROM changes WHERE NOT unchanged
          UNION ALL SELECT {listed(KEY)}, ends, 'infinity' FROM ended WHERE ends < 'infinity') AS said
    GROUP BY {listed(KEY)}"""  # noqa: S608  # made of constants

# What is left of the other version. The subqueries run for keys that the file touches, and for no others.
_KEEP: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)})
    SELECT $1, {listed(KEY)}, starts, ends, {listed(TERMS)} FROM (
        SELECT {listed(KEY, "base")}, {listed(TERMS, "base")},
               CASE WHEN touched.prefix IS NULL THEN base.effective_from ELSE COALESCE(
                   (SELECT upper(one) FROM unnest(touched.windows) AS one WHERE one @> base.effective_from),
                   base.effective_from) END AS starts,
               CASE WHEN base.effective_from < touched.open_from THEN LEAST(base.effective_to, touched.open_from)
                    ELSE base.effective_to END AS ends
        FROM rates AS base LEFT JOIN touched ON {same("touched", "base")}
        WHERE base.deck_id = $2 AND base.effective_to > $3
          AND (touched.prefix IS NULL OR base.effective_from > $3 OR NOT touched.at_once)
    ) AS kept
    WHERE ends > GREATEST(starts, $3) ORDER BY {listed(KEY)}, starts"""  # noqa: S608  # made of constants
_ADD: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)}) SELECT $1, {listed(ROW)} FROM changes
    WHERE NOT unchanged AND effective_to > GREATEST(effective_from, $2)"""  # noqa: S608  # made of constants

_COUNTS: Final = f"""
    SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE unchanged) AS unchanged,
           count(*) FILTER (WHERE NOT added AND NOT unchanged) AS changed,
           (SELECT count(*) FROM ended
            WHERE NOT EXISTS (SELECT FROM changes WHERE {same("changes", "ended")})) AS closed
    FROM changes"""  # noqa: S608  # made of constants
_KEYS_OF: Final = "SELECT count(*) FROM rates WHERE deck_id = $1"


@dataclass(frozen=True, slots=True)
class DeltaCounts:
    """What became of the rates of a delta: `unchanged` ones say what counts anyway; `closed` were there and end."""

    added: int
    changed: int
    closed: int
    unchanged: int


async def make_closings(connection: Connection) -> None:
    """Make the table that closings are copied into, in the order of CLOSING_COLUMNS."""
    await connection.execute(_CLOSINGS)


async def prepare(connection: Connection, base_id: int, comes_at: datetime) -> None:
    """After `find_conflicts`: gather what the file changes of another deck, for a version that comes in force then."""
    await connection.execute(_CHANGES)
    await connection.execute(f"CREATE INDEX ON changes ({listed(KEY)})")
    await connection.execute("ANALYZE changes")
    await connection.execute("ANALYZE closings")
    await connection.execute(_ENDED)
    await connection.execute(_FIND_ENDED, base_id, comes_at)
    await connection.execute(_END_CHANGES)
    await connection.execute("ANALYZE ended")


async def vain_closings(
    connection: Connection, base_id: int, comes_at: datetime
) -> AsyncIterator[list[tuple[int, int, str]]]:
    """Lines whose closings end nothing, since there is no such rate: with how many of them, and the first prefix."""
    cursor = await connection.cursor(_VAIN, base_id, comes_at)
    while rows := await cursor.fetch(CURSOR_ROWS):
        yield [(row["line"], row["codes"], row["prefix"]) for row in rows]


async def apply(connection: Connection, deck_id: int, base_id: int, comes_at: datetime) -> tuple[int, DeltaCounts]:
    """Put into the deck, which is empty, what the delta makes of the other one: how many rates, and what changed."""
    await connection.execute(_MARK_UNCHANGED, base_id, comes_at)
    await connection.execute(_MARK_ADDED, base_id, comes_at)
    await connection.execute(_TOUCHED)
    await connection.execute(_FIND_TOUCHED, comes_at)
    await connection.execute("ANALYZE touched")
    stored = count_of(await connection.execute(_KEEP, deck_id, base_id, comes_at))
    stored += count_of(await connection.execute(_ADD, deck_id, comes_at))
    counts = await connection.fetchrow(_COUNTS)
    assert counts is not None  # counts always are one row
    return stored, DeltaCounts(**counts)


async def count_rates(connection: Connection, deck_id: int) -> int:
    """How many rates a deck has."""
    return int(await connection.fetchval(_KEYS_OF, deck_id))
