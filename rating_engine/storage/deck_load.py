"""Loading a rate deck: rows go into `rates` by COPY under a new deck, which is published in the same transaction.

Laws: a deck is published whole or not at all, whatever ends the load. Loads of one tariff run one after the other.
Of a prefix that a deck says twice, the first row counts. COPY cannot skip a row whose prefix is there, so rows that may
repeat one (suspects) come by way of a staging table, where a few set-based statements compare them with what is there.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from rating_engine.domain.errors import InvalidRequest, Unavailable
from rating_engine.storage.connecting import Connection, Connector

CONNECT_SECONDS: Final = 5.0  # a person waits, and can say again
STATEMENT_SECONDS: Final = 3600.0  # ten million rates take some minutes; more is a server that hangs
LOCK_SECONDS: Final = 600  # how long to wait for another load of the same tariff: many times a load of a million
SORT_MEMORY: Final = "64MB"  # sorts 400,000 suspects without a file; more of them use one
CURSOR_ROWS: Final = 1_000  # contradicting rows fetched at a time
KEPT_DECKS: Final = 5  # replaced decks that stay for each tariff, to compare with and to go back to
REMOVED_AT_ONCE: Final = 2  # decks removed after one load: twice what it adds, so that it keeps up
REMOVAL_BATCH: Final = 20_000  # rates removed in one transaction: tenths of a second
REMOVAL_LOCK: Final = 0x4445434B  # "DECK": one process at a time removes
DEFAULT_CURRENCY: Final = "EUR"

_log = structlog.get_logger(__name__)

# What a row says besides its prefix, in the order of its COPY text.
TERMS: Final = (
    *("direction", "price_1", "price_n", "price_unit", "interval_1", "interval_n", "connect_fee", "free_seconds"),
    *("grace_period", "postcall_surcharge", "blocked"),
)
_RATE_COLUMNS: Final = ("deck_id", "prefix", *TERMS)
_SUSPECT_COLUMNS: Final = ("line", "slot_line", "prefix", *TERMS)

_NEW_DECK: Final = """
    INSERT INTO rate_decks (tariff_id, version)
    SELECT $1, 1 + COALESCE(max(version), 0) FROM rate_decks WHERE tariff_id = $1 RETURNING deck_id"""

_STAGING: Final = """
    CREATE TEMPORARY TABLE suspects (
        line bigint, slot_line bigint, prefix text COLLATE "C", direction text, price_1 numeric(18, 8),
        price_n numeric(18, 8), price_unit text, interval_1 integer, interval_n integer, connect_fee numeric(18, 8),
        free_seconds integer, grace_period integer, postcall_surcharge numeric(18, 8), blocked boolean
    ) ON COMMIT DROP"""


def _row_of(table: str) -> str:
    return f"ROW({', '.join(f'{table}.{name}' for name in TERMS)})"


# A probe of the primary key for each suspect. LIMIT keeps the planner, who has never heard of a deck that is not yet
# committed and takes it for empty, from reading all of it instead.
_STORED: Final = "(SELECT * FROM rates WHERE deck_id = $1 AND rates.prefix = {prefix} LIMIT 1)"

# Suspects that say something else than the first row of their prefix. Either that row is in the deck: then its line is
# the one in the slot, since only the first of a slot is no suspect. Or it is the first suspect of the prefix.
_CONTRADICTING: Final = f"""
    SELECT line, count(*) AS codes, min(prefix) AS prefix, (array_agg(first_line ORDER BY prefix))[1] AS first_line
    FROM (
        SELECT later.line, later.prefix,
               CASE WHEN stored.prefix IS NULL THEN later.first_line ELSE later.slot_line END AS first_line
        FROM (SELECT *, min(line) OVER (PARTITION BY prefix) AS first_line FROM suspects) AS later
        JOIN suspects AS first ON first.line = later.first_line AND first.prefix = later.prefix
        LEFT JOIN LATERAL {_STORED.format(prefix="later.prefix")} AS stored ON true
        WHERE {_row_of("later")} IS DISTINCT FROM
              CASE WHEN stored.prefix IS NULL THEN {_row_of("first")} ELSE {_row_of("stored")} END
    ) AS contradicting
    GROUP BY line ORDER BY line"""  # noqa: S608  # made of constants

# The first suspect of each prefix that the deck does not have.
_STORE_SUSPECTS: Final = f"""
    INSERT INTO rates ({", ".join(_RATE_COLUMNS)})
    SELECT $1, numbered.prefix, {", ".join(f"numbered.{name}" for name in TERMS)}
    FROM (SELECT *, row_number() OVER (PARTITION BY prefix ORDER BY line) AS nth FROM suspects) AS numbered
    LEFT JOIN LATERAL {_STORED.format(prefix="numbered.prefix")} AS stored ON true
    WHERE numbered.nth = 1 AND stored.prefix IS NULL"""  # noqa: S608  # made of constants

_COPY_DECK: Final = f"""
    INSERT INTO rates ({", ".join(_RATE_COLUMNS)})
    SELECT $1, prefix, {", ".join(TERMS)} FROM rates WHERE deck_id = $2 ORDER BY prefix"""  # noqa: S608  # constants

_USED_DIRECTIONS: Final = "SELECT DISTINCT direction AS code FROM rates WHERE deck_id = $1 AND direction <> ''"
_UNKNOWN: Final = "NOT EXISTS (SELECT FROM directions AS known WHERE known.code = used.code)"
_COUNT_DIRECTIONS: Final = f"""
    SELECT count(*) AS used, count(*) FILTER (WHERE {_UNKNOWN}) AS unknown
    FROM ({_USED_DIRECTIONS}) AS used"""  # noqa: S608  # made of constants
# In order, so that two loads that add the same ones wait for each other and don't deadlock.
_ADD_DIRECTIONS: Final = f"""
    INSERT INTO directions (code, name) SELECT code, code FROM ({_USED_DIRECTIONS}) AS used WHERE {_UNKNOWN}
    ORDER BY code ON CONFLICT (code) DO NOTHING"""  # noqa: S608  # made of constants


@dataclass(frozen=True, slots=True)
class Target:
    """The tariff a deck is loaded for."""

    tariff_id: int
    currency: str
    created: bool


@dataclass(frozen=True, slots=True)
class Published:
    """A deck that takes effect when its transaction ends."""

    deck_id: int
    version: int
    rates: int
    directions: int
    published_at: datetime


class DeckLoad:
    """One load under way, inside its transaction: `copy`, perhaps the suspects, then `publish`."""

    def __init__(self, connection: Connection, target: Target, deck_id: int) -> None:
        self._connection = connection
        self._deck_id = deck_id
        self.target = target

    @property
    def connection(self) -> Connection:
        """Where the load goes on: what is asked here sees its rates."""
        return self._connection

    @property
    def deck_id(self) -> int:
        """The deck being loaded."""
        return self._deck_id

    @property
    def row_start(self) -> str:
        """What every row for `copy` begins with."""
        return f"{self._deck_id}\t"

    async def copy(self, rows: AsyncIterator[bytes]) -> int:
        """Put rows into the deck: `row_start`, prefix, TERMS, in COPY's text format; how many there were.

        They must be valid, and no prefix be there twice.
        """
        return await self._copy("rates", rows, _RATE_COLUMNS)

    async def copy_suspects(self, rows: AsyncIterator[bytes]) -> int:
        """Stage rows whose prefix may be there: line, line in its slot (services/deck_file/repeats), prefix, TERMS."""
        await self._connection.execute(_STAGING)
        return await self._copy("suspects", rows, _SUSPECT_COLUMNS)

    async def copy_deck(self, deck_id: int) -> int:
        """Put every rate of another deck into this one, which is empty; how many."""
        return _count(await self._connection.execute(_COPY_DECK, self._deck_id, deck_id))

    async def contradicting(self) -> AsyncIterator[list[tuple[int, int, str, int]]]:
        """Before `store_suspects`: lines that contradict the first row of one of their prefixes, in order.

        Each with the number of such prefixes, the first of them, and the line of the row that it contradicts.
        """
        cursor = await self._connection.cursor(_CONTRADICTING, self._deck_id)
        while rows := await cursor.fetch(CURSOR_ROWS):
            yield [(row["line"], row["codes"], row["prefix"], row["first_line"]) for row in rows]

    async def store_suspects(self) -> int:
        """Put the suspects into the deck whose prefix turned out to be new; how many."""
        await self._connection.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
        return _count(await self._connection.execute(_STORE_SUSPECTS, self._deck_id))

    async def publish(self, rates: int, longest_prefix: int) -> Published:
        """Put the stored deck in the place of the tariff's published one."""
        directions = await self._add_directions()
        row = await self._connection.fetchrow(
            """UPDATE rate_decks
               SET state = 'published', rate_count = $2, longest_prefix = $3, published_at = clock_timestamp(),
                   effective_from = clock_timestamp()
               WHERE deck_id = $1 RETURNING version, published_at""",
            self._deck_id,
            rates,
            longest_prefix,
        )
        assert row is not None  # this transaction inserted it
        return Published(self._deck_id, row["version"], rates, directions, row["published_at"])

    async def _add_directions(self) -> int:
        """Add directions not known yet, named as the deck names them; how many the deck has.

        A statement that adds none would be announced too, and every engine would load its directions anew.
        """
        row = await self._connection.fetchrow(_COUNT_DIRECTIONS, self._deck_id)
        assert row is not None  # a count always has one row
        if row["unknown"]:
            await self._connection.execute(_ADD_DIRECTIONS, self._deck_id)
        return int(row["used"])

    async def _copy(self, table: str, rows: AsyncIterator[bytes], columns: Sequence[str]) -> int:
        return _count(
            await self._connection.copy_to_table(
                table, source=rows, columns=columns, format="text", timeout=STATEMENT_SECONDS
            )
        )


@contextlib.asynccontextmanager
async def begin_load(database_url: str, tariff: str, currency: str | None) -> AsyncIterator[DeckLoad]:
    """A load for the tariff of this name, created if need be; leaving without an error commits it.

    `currency`: of a new tariff, EUR where None; an existing tariff must have it. Once committed, replaced decks beyond
    KEPT_DECKS are removed. Errors: InvalidRequest (another currency), Unavailable. Errors of the caller's own work pass
    through; OSError is taken for the database's.
    """
    try:
        connector = Connector(database_url, timeout_seconds=CONNECT_SECONDS)
        connection = await connector.connect(command_timeout=STATEMENT_SECONDS)
        try:
            async with connection.transaction():
                target = await _lock_target(connection, tariff, currency)
                deck_id = await connection.fetchval(_NEW_DECK, target.tariff_id)
                yield DeckLoad(connection, target, deck_id)
            await _remove_old_decks(connection, target.tariff_id)
            await connection.close(timeout=CONNECT_SECONDS)
        finally:
            connection.terminate()
    except asyncpg.LockNotAvailableError as error:
        raise Unavailable(f"another import into {tariff} has been running for {LOCK_SECONDS} seconds") from error
    except asyncpg.UndefinedTableError as error:
        raise Unavailable(f"the schema is missing or old ({error}); run: rating-engine migrate") from error
    except _FAILURES as error:
        raise Unavailable(f"PostgreSQL: {str(error) or type(error).__name__}") from error


_FAILURES: Final = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
)


async def _lock_target(connection: Connection, tariff: str, currency: str | None) -> Target:
    """The tariff, created if need be, locked against other loads until the transaction ends; calls don't notice."""
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    created = await connection.fetchval(
        """INSERT INTO tariffs (name, currency) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM tariffs WHERE name = $1)
           ON CONFLICT (name) DO NOTHING RETURNING true""",
        tariff,
        currency or DEFAULT_CURRENCY,
    )
    row = await connection.fetchrow("SELECT tariff_id, currency FROM tariffs WHERE name = $1 FOR NO KEY UPDATE", tariff)
    assert row is not None  # tariffs are never removed
    if currency is not None and row["currency"] != currency:
        raise InvalidRequest("currency", f"the tariff {tariff} is in {row['currency']}, not in {currency}")
    return Target(row["tariff_id"], row["currency"], bool(created))


async def _remove_old_decks(connection: Connection, tariff_id: int) -> None:
    """Remove replaced decks beyond KEPT_DECKS, some at a time. What fails here is left for the next load."""
    try:
        old = await connection.fetch(
            """SELECT deck_id FROM rate_decks
               WHERE tariff_id = $1 AND state <> 'loading' AND effective_from <= now()
                 AND deck_id <> deck_at(tariff_id, now())
               ORDER BY version DESC OFFSET $2""",
            tariff_id,
            KEPT_DECKS,
        )
        for row in old[::-1][:REMOVED_AT_ONCE]:
            while await _remove_rates(connection, row["deck_id"]):
                pass
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        _log.warning("old_decks_not_removed", tariff_id=tariff_id, error=str(error))


async def _remove_rates(connection: Connection, deck_id: int) -> bool:
    """Remove a batch of a deck's rates, at the end the deck; whether there is more to do."""
    async with connection.transaction():
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", REMOVAL_LOCK):
            return False  # another process is at it
        removed = await connection.execute(
            "DELETE FROM rates WHERE ctid = ANY (ARRAY(SELECT ctid FROM rates WHERE deck_id = $1 LIMIT $2))",
            deck_id,
            REMOVAL_BATCH,
        )
        if _count(removed) == REMOVAL_BATCH:
            return True
        await connection.execute("DELETE FROM rate_decks WHERE deck_id = $1", deck_id)
    return False


def _count(status: str) -> int:
    """The rows that a statement's status counts, as in COPY 42 and INSERT 0 42."""
    return int(status.split()[-1])
