"""Rows of a file that may repeat or overlap earlier ones (suspects): staged, compared by set-based statements, stored.

COPY cannot skip a row whose key is there, so what may be one comes by way of a temporary table. Laws: a row counts if
it conflicts with no earlier row of the file, whether or not that one counts; the same row again is no conflict. Rows of
one key conflict when they begin at the same instant, or when one says itself that it ends after the other has begun.
One that says no end gives way while a later one counts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from rating_engine.storage.decks.deck_columns import KEY, ROW, WINDOW, listed, same, same_terms
from rating_engine.storage.postgres.connecting import Connection

SORT_MEMORY: Final = "64MB"  # sorts 400,000 suspects without a file; more of them use one
CURSOR_ROWS: Final = 1_000  # contradicting rows fetched at a time
MAX_WINDOWS: Final = 10_000  # of one key: hours of a year; each is compared with those before it

SUSPECT_COLUMNS: Final = ("line", "slot_line", *ROW)

# `slot_line`: of the row that was stored instead, should it have the same key.
_STAGING: Final = f"""
    CREATE TEMPORARY TABLE suspects ON COMMIT DROP AS
    SELECT 0::bigint AS line, 0::bigint AS slot_line, {listed(ROW)} FROM rates WITH NO DATA"""  # noqa: S608  # constants
_CONFLICTS: Final = """
    CREATE TEMPORARY TABLE conflicts ON COMMIT DROP AS
    SELECT line, prefix, origin, band, line AS first_line, true AS repeated, true AS crossing FROM suspects
    WITH NO DATA"""
_INDEX: Final = f"CREATE INDEX ON suspects ({listed(KEY)}, line)"
_CROWDED: Final = f"""
    SELECT prefix FROM suspects GROUP BY {listed(KEY)} HAVING count(DISTINCT effective_from) > $1 LIMIT 1"""  # noqa: S608


def _conflict(one: str, other: str) -> str:
    return f"""({one}.effective_from = {other}.effective_from
        OR ({one}.effective_from < {other}.effective_from AND {one}.effective_to <> 'infinity'
            AND {one}.effective_to > {other}.effective_from)
        OR ({other}.effective_from < {one}.effective_from AND {other}.effective_to <> 'infinity'
            AND {other}.effective_to > {one}.effective_from))"""


# The first earlier row that a suspect conflicts with. A stored one comes before all suspects of its key: its line is
# the one in their slot, since only the first of a slot is no suspect. LIMIT keeps the planner, who has never heard of a
# deck that is not yet committed and takes it for empty, from reading all of it instead of probing the primary key.
_FIND_CONFLICTS: Final = f"""
    INSERT INTO conflicts
    SELECT late.line, {listed(KEY, "late")}, first.line, first.repeated, first.effective_from <> late.effective_from
    FROM suspects AS late CROSS JOIN LATERAL (
        (SELECT late.slot_line AS line, stored.effective_from,
                {same("stored", "late", WINDOW)} AND {same_terms("stored", "late")} AS repeated
         FROM rates AS stored
         WHERE stored.deck_id = $1 AND {same("stored", "late")} AND {_conflict("stored", "late")} LIMIT 1)
        UNION ALL
        (SELECT early.line, early.effective_from,
                {same("early", "late", WINDOW)} AND {same_terms("early", "late")} AS repeated
         FROM suspects AS early
         WHERE {same("early", "late")} AND early.line < late.line AND {_conflict("early", "late")}
         ORDER BY early.line LIMIT 1)
        ORDER BY line LIMIT 1
    ) AS first"""  # noqa: S608  # made of constants

_CONTRADICTING: Final = """
    SELECT line, count(*) AS codes, min(prefix) AS prefix,
           (array_agg(first_line ORDER BY prefix, origin, band))[1] AS first_line,
           (array_agg(crossing ORDER BY prefix, origin, band))[1] AS crossing
    FROM conflicts WHERE NOT repeated GROUP BY line ORDER BY line"""

COUNTING: Final = f"NOT EXISTS (SELECT FROM conflicts AS c WHERE {same('c', 'suspects', ('line', *KEY))})"
_STORE: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)}) SELECT $1, {listed(ROW)} FROM suspects WHERE {COUNTING}"""  # noqa: S608


async def make_staging(connection: Connection) -> None:
    """Make the table that suspects are copied into, in the order of SUSPECT_COLUMNS."""
    await connection.execute(_STAGING)


async def find_conflicts(connection: Connection, deck_id: int) -> str | None:
    """After the copy: find the suspects that conflict with an earlier row.

    Answers a prefix that has more than MAX_WINDOWS of them, which are too many to compare; None: all were compared.
    """
    await connection.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
    await connection.execute(_INDEX)
    await connection.execute("ANALYZE suspects")
    await connection.execute(_CONFLICTS)
    crowded: str | None = await connection.fetchval(_CROWDED, MAX_WINDOWS)
    if crowded is None:
        await connection.execute(_FIND_CONFLICTS, deck_id)
        await connection.execute("ANALYZE conflicts")
    return crowded


async def contradicting(connection: Connection) -> AsyncIterator[list[tuple[int, int, str, int, bool]]]:
    """Lines that contradict an earlier one, in order.

    Each with the number of its rates that do, the prefix of the first, the line that this one contradicts, and whether
    it overlaps with it (or begins at the same instant).
    """
    cursor = await connection.cursor(_CONTRADICTING)
    while rows := await cursor.fetch(CURSOR_ROWS):
        yield [(row["line"], row["codes"], row["prefix"], row["first_line"], row["crossing"]) for row in rows]


async def count_repeated(connection: Connection) -> int:
    """How many suspects said again what an earlier row says."""
    return int(await connection.fetchval("SELECT count(*) FROM conflicts WHERE repeated") or 0)


async def store_suspects(connection: Connection, deck_id: int) -> int:
    """Put the suspects that count into the deck; how many."""
    return count_of(await connection.execute(_STORE, deck_id))


def count_of(status: str) -> int:
    """The rows that a statement's status counts, as in COPY 42 and INSERT 0 42."""
    return int(status.split()[-1])
