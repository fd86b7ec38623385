"""The versions of a tariff's deck that are kept: listed, read whole, compared, withdrawn, and asked for one number.

Law: a version that is read was published whole; one that was removed meanwhile is an error and never a shorter deck.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from rating_engine.domain.deck import DeckVersion, Difference, Later, VersionState
from rating_engine.domain.errors import Hint, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff import edits_of
from rating_engine.rating.matching import CandidateRate, below_removed, edited
from rating_engine.storage.decks import deck_delta, rate_edits
from rating_engine.storage.decks.deck_columns import KEY, ROW, TERMS, listed
from rating_engine.storage.decks.deck_load import STATEMENT_SECONDS
from rating_engine.storage.decks.rate_decks import find_candidates
from rating_engine.storage.postgres.pool import Connection, Database, Questions

CURSOR_ROWS: Final = 5_000  # rates fetched at a time: about a megabyte
MAX_VERSIONS: Final = 1_000  # of a tariff, read at once; it keeps a handful (deck_removal.KEPT_DECKS)
# A version that comes into force sooner is taken to be in force: engines' clocks and the commit take their time.
SWITCH_SECONDS: Final = 5


# A version of the same instant that is newer comes in the place of one that is still ahead.
_VERSIONS: Final = """
    SELECT t.name AS tariff, t.currency, t.time_zone, d.deck_id, d.version,
           CASE WHEN d.state = 'withdrawn' THEN 'withdrawn'
                WHEN d.deck_id = deck_at(t.tariff_id, now()) THEN 'in force'
                WHEN d.effective_from > now() AND d.deck_id = deck_at(t.tariff_id, d.effective_from) THEN 'scheduled'
                ELSE 'replaced' END AS state,
           d.rate_count AS rates, d.longest_prefix, d.published_at, d.effective_from
    FROM tariffs t JOIN rate_decks d USING (tariff_id)
    WHERE d.published_at IS NOT NULL AND ($1::text IS NULL OR t.name = $1)
      AND ($2::text IS NULL OR t.name > $2 OR (t.name = $2 AND d.version < $3::integer))
    ORDER BY t.name, d.version DESC LIMIT $4"""
_VERSION_AT: Final = """
    SELECT version FROM rate_decks
    WHERE deck_id = (SELECT deck_at(tariff_id, COALESCE($2, now())) FROM tariffs WHERE name = $1)"""
_NEXT: Final = """
    SELECT later.version, later.effective_from
    FROM rate_decks AS one JOIN rate_decks AS later USING (tariff_id)
    WHERE one.deck_id = $1 AND later.state = 'published' AND later.effective_from > one.effective_from
    ORDER BY later.effective_from, later.version DESC LIMIT 1"""
_WITHDRAW: Final = f"""
    UPDATE rate_decks SET state = 'withdrawn'
    WHERE deck_id = $1 AND state = 'published'
      AND effective_from > clock_timestamp() + interval '{SWITCH_SECONDS} seconds'
    RETURNING deck_id"""  # noqa: S608  # made of constants

# Prices are compared by what a minute costs once a call goes on (price_n). `terms`: the price is the same, and another
# thing that a call costs is not. A direction is a name, and no difference. What comes first is the worst for the buyer.
_MINUTE: Final = "CASE {0}.price_unit WHEN 'minute' THEN {0}.price_n ELSE {0}.price_n * 60 / {0}.interval_n END"
_COSTS: Final = tuple(name for name in TERMS if name not in ("direction", "blocked"))
# Of a key the row that counts at $5.
_COUNTING: Final = """
    SELECT DISTINCT ON (prefix, origin, band) * FROM rates
    WHERE deck_id = {deck} AND effective_from <= $5 AND effective_to > $5
    ORDER BY prefix, origin, band, effective_from DESC"""
DIFFERENCES: Final = f"""
    WITH pairs AS (
        SELECT {listed(KEY)}, old.deck_id IS NULL AS is_new, new.deck_id IS NULL AS is_gone,
               COALESCE(new.direction, old.direction) AS direction,
               {_MINUTE.format("old")} AS old_minute, {_MINUTE.format("new")} AS new_minute,
               old.blocked AS old_blocked, new.blocked AS new_blocked,
               ({listed(_COSTS, "old")}) IS DISTINCT FROM ({listed(_COSTS, "new")}) AS terms
        FROM ({_COUNTING.format(deck="$1")}) AS old
        FULL JOIN ({_COUNTING.format(deck="$2")}) AS new USING (prefix, origin, band)
    ), kinds AS (
        SELECT *, CASE WHEN is_new THEN 'new' WHEN is_gone THEN 'gone'
                       WHEN new_blocked AND NOT old_blocked THEN 'blocked'
                       WHEN old_blocked AND NOT new_blocked THEN 'unblocked'
                       WHEN old_blocked THEN NULL
                       WHEN new_minute > old_minute THEN 'rise' WHEN new_minute < old_minute THEN 'fall'
                       WHEN terms THEN 'terms' END AS kind
        FROM pairs
    ), ranked AS (
        SELECT kind, prefix, origin, band, direction, old_minute, new_minute,
               count(*) OVER (PARTITION BY kind) AS total,
               row_number() OVER (PARTITION BY kind ORDER BY
                   CASE WHEN $4 AND kind IN ('rise', 'fall') AND old_minute = 0 THEN 0 ELSE 1 END,
                   CASE WHEN $4 AND kind IN ('rise', 'fall') THEN abs(new_minute - old_minute) / NULLIF(old_minute, 0)
                        ELSE abs(COALESCE(new_minute, 0) - COALESCE(old_minute, 0)) END DESC NULLS LAST,
                   prefix, origin, band) AS nth
        FROM kinds WHERE kind IS NOT NULL
    )
    SELECT kind, prefix, origin, band, direction, old_minute, new_minute, total
    FROM ranked WHERE nth <= $3 ORDER BY kind, nth"""  # noqa: S608  # made of constants
_LATER: Final = (
    "SELECT count(*) AS rates, min(effective_from) AS first FROM rates WHERE deck_id = $1 AND effective_from > $2"
)


async def every_version(database: Questions, tariff: str) -> list[DeckVersion]:
    """The kept versions of a tariff, the newest first."""
    return [DeckVersion(**row) for row in await database.fetch(_VERSIONS, tariff, None, None, MAX_VERSIONS)]


async def list_versions(database: Questions, cursor: Cursor) -> Page[DeckVersion]:
    """The kept versions of every tariff by name, the newest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_VERSIONS, None, *cursor.position(str, int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["tariff"], row["version"]), lambda row: DeckVersion(**row))


async def find_version(
    connection: Connection, tariff: str, version: int | None, at: datetime | None = None
) -> DeckVersion:
    """A version of a tariff; None: the one in force at `at` (None: now). Errors: NotFound, with what there is."""
    kept = await every_version(connection, tariff)
    wanted = await connection.fetchval(_VERSION_AT, tariff, at) if version is None else version
    for one in kept:
        if one.version == wanted:
            return one
    if not kept:
        raise NotFound(f"there is no tariff {tariff} with rates", field="tariff", hint=Hint.SEE_DECKS)
    if version is None:
        raise NotFound(f"no version of {tariff} is in force then", hint=Hint.SEE_VERSIONS)
    there = ", ".join(str(one.version) for one in kept)
    raise NotFound(f"the tariff {tariff} has no version {version} any more; kept are: {there}")


async def version_before(connection: Connection, later: DeckVersion) -> DeckVersion | None:
    """The version that another one came after in the timeline; None: it was the first, or those before were removed."""
    kept = await every_version(connection, later.tariff)
    timeline = sorted(
        (one for one in kept if one.state != VersionState.WITHDRAWN),
        key=lambda one: (one.effective_from, one.version),
    )
    position = next(number for number, one in enumerate(timeline) if one.version == later.version)
    return timeline[position - 1] if position else None


async def next_switch(connection: Connection, deck_id: int) -> tuple[int, datetime] | None:
    """The version that comes into force after a deck, and when; None: none is scheduled."""
    row = await connection.fetchrow(_NEXT, deck_id)
    return None if row is None else (row["version"], row["effective_from"])


async def withdraw(connection: Connection, version: DeckVersion) -> bool:
    """Take back a version that is to come into force; whether it could be done: not from SWITCH_SECONDS before."""
    return await connection.fetchval(_WITHDRAW, version.deck_id) is not None


async def rates_of_version(connection: Connection, version: DeckVersion) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Every rate of a version by prefix, in portions: ROW, with None for dates that are unbounded.

    Errors: NotFound when it was removed while it was read.
    """
    read = 0
    columns = {
        "effective_from": "NULLIF(effective_from, '-infinity')",
        "effective_to": "NULLIF(effective_to, 'infinity')",
    }
    async with connection.transaction():
        query = f"""SELECT {", ".join(columns.get(name, name) for name in ROW)} FROM rates
                    WHERE deck_id = $1 ORDER BY {listed(KEY, "rates")}, rates.effective_from"""  # noqa: S608  # constants
        async with read_whole(connection, version) as whole:
            cursor = await connection.cursor(query, whole.deck_id)
            while rows := await cursor.fetch(CURSOR_ROWS):
                read += len(rows)
                yield [tuple(row) for row in rows]
            if read != whole.rates:
                raise removed(version)


async def candidates_in(
    database: Database, version: DeckVersion, number: str, at: datetime
) -> tuple[CandidateRate, ...]:
    """The rates of a version that a call to `number` (digits) at `at` may be priced by, in no order."""
    edits = edits_of(await rate_edits.load_edits(database, version.deck_id), number)
    rows: set[CandidateRate] = set()
    for digits in (number, *below_removed(edits, at)):
        rows.update((await find_candidates(database, version.deck_id, version.longest_prefix, digits)).rows)
    return edited(rows, edits, at)


@contextlib.asynccontextmanager
async def read_whole(connection: Connection, version: DeckVersion) -> AsyncIterator[DeckVersion]:
    """A version to read whole, within a transaction: with what was edited since it was published in its rates."""
    scratch = await rate_edits.whole_deck(connection, version.deck_id)
    if scratch == version.deck_id:
        yield version
        return
    yield replace(version, deck_id=scratch, rates=await deck_delta.count_rates(connection, scratch))
    await rate_edits.drop_scratch(connection, version.deck_id, scratch)


async def differences(
    connection: Connection, old_deck: int, new_deck: int, at: datetime, *, shown: int, by_percent: bool
) -> list[Difference]:
    """What changes from one deck to another at an instant: of each kind at most `shown`, the largest change first."""
    rows: list[Any] = await connection.fetch(
        DIFFERENCES, old_deck, new_deck, shown, by_percent, at, timeout=STATEMENT_SECONDS
    )
    return [Difference(**row) for row in rows]


async def later_than(connection: Connection, deck_id: int, at: datetime) -> Later:
    """What of a deck begins after an instant."""
    row = await connection.fetchrow(_LATER, deck_id, at)
    assert row is not None  # counts always are one row
    return Later(**row)


def removed(version: DeckVersion) -> NotFound:
    """That a version went while it was used."""
    return NotFound(f"version {version.version} of {version.tariff} was removed meanwhile, as the oldest ones are")
