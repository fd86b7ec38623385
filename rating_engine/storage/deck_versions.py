"""The versions of a tariff's deck that are kept: listed, read whole, compared, and asked for one prefix.

Law: a version that is read was published whole; one that was removed meanwhile is an error and never a shorter deck.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from rating_engine.domain.errors import NotFound
from rating_engine.rating.matching import choose
from rating_engine.rating.rate import Rate
from rating_engine.storage.deck_load import STATEMENT_SECONDS, TERMS
from rating_engine.storage.pool import Connection, Database
from rating_engine.storage.rate_decks import find_candidates

CURSOR_ROWS: Final = 5_000  # rates fetched at a time: about a megabyte
MAX_VERSIONS: Final = 1_000  # listed; a tariff keeps a handful (deck_load.KEPT_DECKS)

_VERSIONS: Final = """
    SELECT t.name AS tariff, t.currency, d.deck_id, d.version,
           CASE WHEN d.deck_id = deck_at(t.tariff_id, now()) THEN 'published' ELSE 'retired' END AS state,
           d.rate_count AS rates, d.longest_prefix,
           d.published_at
    FROM tariffs t JOIN rate_decks d USING (tariff_id)
    WHERE d.published_at IS NOT NULL AND ($1::text IS NULL OR t.name = $1)
    ORDER BY t.name, d.version DESC LIMIT $2"""

# Prices are compared by what a minute costs once a call goes on (price_n). `terms`: the price is the same, and another
# thing that a call costs is not. A direction is a name, and no difference. What comes first is the worst for the buyer.
_MINUTE: Final = "CASE {0}.price_unit WHEN 'minute' THEN {0}.price_n ELSE {0}.price_n * 60 / {0}.interval_n END"
_COSTS: Final = tuple(name for name in TERMS if name not in ("direction", "blocked"))
DIFFERENCES: Final = f"""
    WITH pairs AS (
        SELECT prefix, old.deck_id IS NULL AS is_new, new.deck_id IS NULL AS is_gone,
               COALESCE(new.direction, old.direction) AS direction,
               {_MINUTE.format("old")} AS old_minute, {_MINUTE.format("new")} AS new_minute,
               old.blocked AS old_blocked, new.blocked AS new_blocked,
               ({", ".join(f"old.{name}" for name in _COSTS)}) IS DISTINCT FROM
               ({", ".join(f"new.{name}" for name in _COSTS)}) AS terms
        FROM (SELECT * FROM rates WHERE deck_id = $1) AS old
        FULL JOIN (SELECT * FROM rates WHERE deck_id = $2) AS new USING (prefix)
    ), kinds AS (
        SELECT *, CASE WHEN is_new THEN 'new' WHEN is_gone THEN 'gone'
                       WHEN new_blocked AND NOT old_blocked THEN 'blocked'
                       WHEN old_blocked AND NOT new_blocked THEN 'unblocked'
                       WHEN old_blocked THEN NULL
                       WHEN new_minute > old_minute THEN 'rise' WHEN new_minute < old_minute THEN 'fall'
                       WHEN terms THEN 'terms' END AS kind
        FROM pairs
    ), ranked AS (
        SELECT kind, prefix, direction, old_minute, new_minute, count(*) OVER (PARTITION BY kind) AS total,
               row_number() OVER (PARTITION BY kind ORDER BY
                   CASE WHEN $4 AND kind IN ('rise', 'fall') AND old_minute = 0 THEN 0 ELSE 1 END,
                   CASE WHEN $4 AND kind IN ('rise', 'fall') THEN abs(new_minute - old_minute) / NULLIF(old_minute, 0)
                        ELSE abs(COALESCE(new_minute, 0) - COALESCE(old_minute, 0)) END DESC NULLS LAST,
                   prefix) AS nth
        FROM kinds WHERE kind IS NOT NULL
    )
    SELECT kind, prefix, direction, old_minute, new_minute, total FROM ranked WHERE nth <= $3 ORDER BY kind, nth"""  # noqa: S608  # made of constants


@dataclass(frozen=True, slots=True)
class DeckVersion:
    """A version of a tariff's deck, published now or once."""

    tariff: str
    currency: str
    deck_id: int
    version: int
    state: str
    rates: int
    longest_prefix: int
    published_at: datetime


@dataclass(frozen=True, slots=True)
class VersionMatch:
    """What a version says of a number: the longest prefix, its rate and whether it is blocked; None: no prefix."""

    version: DeckVersion
    prefix: str | None
    rate: Rate | None
    blocked: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """One prefix that two decks price differently, prices a minute; of its kind there are `total`."""

    kind: str
    prefix: str
    direction: str
    old_minute: Decimal | None
    new_minute: Decimal | None
    total: int


async def list_versions(database: Database, tariff: str | None = None) -> list[DeckVersion]:
    """The kept versions of a tariff, or of every one, the newest first."""
    return [DeckVersion(**row) for row in await database.fetch(_VERSIONS, tariff, MAX_VERSIONS)]


async def find_version(connection: Connection, tariff: str, version: int | None) -> DeckVersion:
    """A version of a tariff; None: the published one. Errors: NotFound, with the versions there are."""
    kept = [DeckVersion(**row) for row in await connection.fetch(_VERSIONS, tariff, MAX_VERSIONS)]
    for one in kept:
        if one.version == version or (version is None and one.state == "published"):
            return one
    if not kept:
        raise NotFound(f"there is no tariff {tariff} with rates; run: rating-engine rates list")
    there = ", ".join(str(one.version) for one in kept)
    raise NotFound(f"the tariff {tariff} has no version {version} any more; kept are: {there}")


async def version_before(connection: Connection, published: DeckVersion) -> DeckVersion | None:
    """The version that a published one came after; None: it was the first, or those before it were removed."""
    kept = [DeckVersion(**row) for row in await connection.fetch(_VERSIONS, published.tariff, MAX_VERSIONS)]
    return next((one for one in kept if one.version < published.version), None)


async def rates_of_version(connection: Connection, version: DeckVersion) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Every rate of a version by prefix, in portions: prefix and TERMS.

    Errors: NotFound when it was removed while it was read.
    """
    read = 0
    async with connection.transaction():
        query = f"SELECT prefix, {', '.join(TERMS)} FROM rates WHERE deck_id = $1 ORDER BY prefix"  # noqa: S608  # TERMS
        cursor = await connection.cursor(query, version.deck_id)
        while rows := await cursor.fetch(CURSOR_ROWS):
            read += len(rows)
            yield [tuple(row) for row in rows]
    if read != version.rates:
        raise removed(version)


async def match_in(database: Database, version: DeckVersion, number: str) -> VersionMatch:
    """What a call to `number` (digits) would have matched in a version."""
    found = await find_candidates(database, version.deck_id, version.longest_prefix, number)
    row = choose(found.rows, at=datetime.now(UTC), origin="", band="")
    if row is None:
        return VersionMatch(version, None, None, False)
    return VersionMatch(version, row.prefix, row.rate, row.blocked)


async def differences(
    connection: Connection, old_deck: int, new_deck: int, *, shown: int, by_percent: bool
) -> list[Difference]:
    """What changed from one deck to another: of each kind at most `shown`, the largest change first."""
    rows: list[Any] = await connection.fetch(
        DIFFERENCES, old_deck, new_deck, shown, by_percent, timeout=STATEMENT_SECONDS
    )
    return [Difference(**row) for row in rows]


def removed(version: DeckVersion) -> NotFound:
    """That a version went while it was used."""
    return NotFound(f"version {version.version} of {version.tariff} was removed meanwhile, as the oldest ones are")
