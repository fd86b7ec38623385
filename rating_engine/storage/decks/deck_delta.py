"""A delta: the rows of another version with those of a file applied to them, by a few set-based statements.

Laws, for calls of one key (see storage/decks/deck_columns) after the instant T at which the version comes into force:
- While a row of the file counts, it decides; of several the one that began last.
- Otherwise a row of the other version that counts then does, unless it is over: it had begun at T, where a row of the
  file counts instead; or a closing has come.
- A closing also ends the rows of the file that began before it.
The rows of a key that the file touches follow one another without overlapping; what ended before T is left behind. All
other keys stay as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Final

from rating_engine.domain.deck import DeltaCounts
from rating_engine.storage.decks.deck_columns import KEY, ROW, TERMS, listed, same, same_terms
from rating_engine.storage.decks.deck_staging import COUNTING, CURSOR_ROWS, count_of
from rating_engine.storage.postgres.connecting import Connection

CLOSING_COLUMNS: Final = ("line", *KEY, "ends")

# `origin` and `band` NULL: every one of the prefix. `ends` -infinity: at once.
_CLOSINGS: Final = f"""
    CREATE TEMPORARY TABLE closings ON COMMIT DROP AS
    SELECT 0::bigint AS line, {listed(KEY)}, effective_from AS ends FROM rates WITH NO DATA"""  # noqa: S608  # constants

# The rows of the file that count.
_CHANGES: Final = f"""
    CREATE TEMPORARY TABLE changes ON COMMIT DROP AS
    SELECT {listed(ROW)}, false AS unchanged FROM suspects WHERE {COUNTING}"""  # noqa: S608  # made of constants


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
    UPDATE changes SET effective_to = LEAST(effective_to, first.ends)
    FROM (SELECT changes.ctid AS place, min(closings.ends) AS ends
          FROM changes JOIN closings ON {_closes("closings", "changes")} AND closings.ends > changes.effective_from
          GROUP BY changes.ctid) AS first
    WHERE changes.ctid = first.place"""  # noqa: S608  # made of constants

# A file that names a country says all its codes: what it does not say ends when the first of what it says begins. Four
# digits of a code tell its country.
_NAMED: Final = """
    SELECT left(prefix, 4) AS head, NULLIF(GREATEST(min(effective_from), $1), $1) AS first FROM changes GROUP BY head"""
_HEADS: Final = "SELECT DISTINCT left(prefix, 4) AS head FROM rates WHERE deck_id = $1"
_CLOSE_OTHERS: Final = f"""
    INSERT INTO closings
    SELECT DISTINCT 0, {listed(KEY, "base")}, COALESCE(named.first, '-infinity')
    FROM rates AS base JOIN unnest($3::text[], $4::timestamptz[]) AS named(head, first)
        ON left(base.prefix, 4) = named.head
    WHERE base.deck_id = $1 AND base.effective_to > $2
      AND NOT EXISTS (SELECT FROM changes WHERE {same("changes", "base")})"""  # noqa: S608  # made of constants

_TOUCHED: Final = f"""
    CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
    SELECT {listed(KEY)} FROM changes UNION SELECT {listed(KEY)} FROM ended"""  # noqa: S608  # made of constants
_KEEP: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)})
    SELECT $1, {listed(ROW)} FROM rates AS base
    WHERE deck_id = $2 AND effective_to > $3 AND NOT EXISTS (SELECT FROM touched WHERE {same("touched", "base")})
    ORDER BY {listed(KEY)}, effective_from"""  # noqa: S608  # made of constants

# What the other version says of the keys that the file touches.
_KNOWN: Final = f"""
    CREATE TEMPORARY TABLE known ON COMMIT DROP AS SELECT {listed(ROW)} FROM rates WITH NO DATA"""  # noqa: S608
_FIND_KNOWN: Final = f"""
    INSERT INTO known
    SELECT {listed(ROW, "base")} FROM rates AS base JOIN touched ON {same("touched", "base")}
    WHERE base.deck_id = $1 AND base.effective_to > $2"""  # noqa: S608  # made of constants


def _at(table: str, further: str = "true") -> str:
    """The start of the row of a table that counts when a segment begins: of several that which began last."""
    return f"""(SELECT one.effective_from FROM {table} AS one
                WHERE {same("one", "segment")} AND one.effective_from <= segment.starts
                  AND one.effective_to > segment.starts AND {further}
                ORDER BY one.effective_from DESC LIMIT 1)"""  # noqa: S608  # made of constants


# A timeline for each key, cut wherever anything begins or ends: who decides in a segment, decides in all of it.
# `change`, `was`, `still`: the row of the file, that of the other version, and that which the laws leave of it.
_SEGMENTS: Final = f"""
    CREATE TEMPORARY TABLE segments ON COMMIT DROP AS
    SELECT {listed(KEY)}, effective_from AS starts, effective_to AS ends, effective_from AS change,
           effective_from AS was, effective_from AS still FROM rates WITH NO DATA"""  # noqa: S608  # made of constants
_FIND_SEGMENTS: Final = f"""
    INSERT INTO segments
    SELECT {listed(KEY)}, starts, ends, {_at("changes")}, {_at("known")},
           {_at("known", "NOT (one.effective_from <= $1 AND at_once) AND NOT is_over")}
    FROM (
        SELECT {listed(KEY)}, point AS starts, lead(point) OVER (PARTITION BY {listed(KEY)} ORDER BY point) AS ends,
               EXISTS (SELECT FROM changes AS one WHERE {same("one", "cut")}
                         AND one.effective_from <= $1 AND one.effective_to > $1) AS at_once,
               EXISTS (SELECT FROM ended WHERE {same("ended", "cut")} AND ended.ends <= GREATEST(point, $1)) AS is_over
        FROM (SELECT {listed(KEY)}, effective_from AS point FROM changes
              UNION SELECT {listed(KEY)}, effective_to FROM changes
              UNION SELECT {listed(KEY)}, effective_from FROM known
              UNION SELECT {listed(KEY)}, effective_to FROM known
              UNION SELECT {listed(KEY)}, ends FROM ended) AS cut
    ) AS segment
    WHERE ends > $1"""  # noqa: S608  # made of constants

# A row that says what counts anyway all the time it decides, and no end of it that is new.
_MARK_UNCHANGED: Final = f"""
    UPDATE changes SET unchanged = true
    WHERE NOT EXISTS (
        SELECT FROM segments LEFT JOIN known
            ON {same("known", "segments")} AND known.effective_from = segments.was
        WHERE {same("segments", "changes")} AND segments.change = changes.effective_from
          AND (known.prefix IS NULL OR NOT ({same_terms("known", "changes")})
               OR (changes.effective_to < 'infinity' AND known.effective_to > changes.effective_to)))
      AND NOT EXISTS (SELECT FROM ended WHERE {same("ended", "changes")})"""  # noqa: S608  # made of constants

# Segments that one row decides become one again; what was cut off them before T, they have. An unchanged row of the
# file leaves the other version's in its place.
_APPLY: Final = f"""
    WITH decided AS (
        SELECT {listed(KEY, "segments")}, starts, ends,
               CASE WHEN changes.unchanged IS FALSE THEN change END AS by_change,
               CASE WHEN changes.unchanged THEN was WHEN change IS NULL THEN still END AS by_known
        FROM segments LEFT JOIN changes ON {same("changes", "segments")} AND changes.effective_from = segments.change
    ), marked AS (
        SELECT *, ROW(by_change, by_known) IS DISTINCT FROM
                  ROW(lag(by_change) OVER of_key, lag(by_known) OVER of_key) AS begins
        FROM decided WINDOW of_key AS (PARTITION BY {listed(KEY)} ORDER BY starts)
    ), numbered AS (
        SELECT *, count(*) FILTER (WHERE begins) OVER (PARTITION BY {listed(KEY)} ORDER BY starts) AS run FROM marked
    ), merged AS (
        SELECT {listed(KEY)}, min(by_change) AS by_change, min(by_known) AS by_known,
               CASE WHEN min(starts) > $2 THEN min(starts) ELSE min(COALESCE(by_change, by_known)) END AS starts,
               max(ends) AS ends
        FROM numbered WHERE by_change IS NOT NULL OR by_known IS NOT NULL GROUP BY {listed(KEY)}, run
    )
    INSERT INTO rates (deck_id, {listed(ROW)})
    SELECT $1, {listed(KEY, "merged")}, starts, ends, {listed(TERMS, "said")}
    FROM merged CROSS JOIN LATERAL (
        SELECT {listed(TERMS)} FROM changes
        WHERE {same("changes", "merged")} AND changes.effective_from = merged.by_change
        UNION ALL
        SELECT {listed(TERMS)} FROM known
        WHERE {same("known", "merged")} AND known.effective_from = merged.by_known
    ) AS said"""  # noqa: S608  # made of constants

_COUNTS: Final = f"""
    SELECT count(*) FILTER (WHERE NOT unchanged AND NOT is_known) AS added,
           count(*) FILTER (WHERE NOT unchanged AND is_known) AS changed,
           count(*) FILTER (WHERE unchanged) AS unchanged,
           (SELECT count(*) FROM ended
            WHERE NOT EXISTS (SELECT FROM changes WHERE {same("changes", "ended")})) AS closed
    FROM (SELECT unchanged, EXISTS (SELECT FROM known WHERE {same("known", "changes")}) AS is_known FROM changes)
         AS said"""  # noqa: S608  # made of constants
_KEYS_OF: Final = "SELECT count(*) FROM rates WHERE deck_id = $1"


async def make_closings(connection: Connection) -> None:
    """Make the table that closings are copied into, in the order of CLOSING_COLUMNS."""
    await connection.execute(_CLOSINGS)


async def prepare(
    connection: Connection, base_id: int, comes_at: datetime, country: Callable[[str], str] | None = None
) -> None:
    """After `find_conflicts`: gather what the file changes of another deck, for a version that comes in force then.

    `country` of a code, '' where it is of none: the file has all codes of the countries that it names. None: not so.
    """
    await connection.execute(_CHANGES)
    await connection.execute(f"CREATE INDEX ON changes ({listed(KEY)})")
    await connection.execute("ANALYZE changes")
    if country is not None:
        await _close_others(connection, base_id, comes_at, country)
    await connection.execute("ANALYZE closings")
    await connection.execute(_ENDED)
    await connection.execute(_FIND_ENDED, base_id, comes_at)
    await connection.execute(_END_CHANGES)
    await connection.execute(f"CREATE INDEX ON ended ({listed(KEY)}); ANALYZE ended")


async def _close_others(
    connection: Connection, base_id: int, comes_at: datetime, country: Callable[[str], str]
) -> None:
    """End the codes of the countries that the file names which it does not have."""
    begins: dict[str, datetime | None] = {}  # None: at once
    for head, first in await connection.fetch(_NAMED, comes_at):
        named = country(head)
        known = begins.setdefault(named, first)
        if known is not None and (first is None or first < known):
            begins[named] = first
    begins.pop("", None)
    heads = [head for (head,) in await connection.fetch(_HEADS, base_id) if country(head) in begins]
    await connection.execute(_CLOSE_OTHERS, base_id, comes_at, heads, [begins[country(head)] for head in heads])


async def vain_closings(
    connection: Connection, base_id: int, comes_at: datetime
) -> AsyncIterator[list[tuple[int, int, str]]]:
    """Lines whose closings end nothing, since there is no such rate: with how many of them, and the first prefix."""
    cursor = await connection.cursor(_VAIN, base_id, comes_at)
    while rows := await cursor.fetch(CURSOR_ROWS):
        yield [(row["line"], row["codes"], row["prefix"]) for row in rows]


async def apply(connection: Connection, deck_id: int, base_id: int, comes_at: datetime) -> tuple[int, DeltaCounts]:
    """Put into the deck, which is empty, what the delta makes of the other one: how many rates, and what changed."""
    await connection.execute(_TOUCHED)
    await connection.execute("ANALYZE touched")
    stored = count_of(await connection.execute(_KEEP, deck_id, base_id, comes_at))
    await connection.execute(_KNOWN)
    await connection.execute(_FIND_KNOWN, base_id, comes_at)
    await connection.execute(f"CREATE INDEX ON known ({listed(KEY)}); ANALYZE known")
    await connection.execute(_SEGMENTS)
    await connection.execute(_FIND_SEGMENTS, comes_at)
    await connection.execute(f"CREATE INDEX ON segments ({listed(KEY)}); ANALYZE segments")
    await connection.execute(_MARK_UNCHANGED)
    stored += count_of(await connection.execute(_APPLY, deck_id, comes_at))
    counts = await connection.fetchrow(_COUNTS)
    assert counts is not None  # counts always are one row
    return stored, DeltaCounts(**counts)


async def count_rates(connection: Connection, deck_id: int) -> int:
    """How many rates a deck has."""
    return int(await connection.fetchval(_KEYS_OF, deck_id))
