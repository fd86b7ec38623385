"""Loading a rate deck: rows are staged, checked against each other, and published in one transaction.

Laws: a deck is published whole or not at all, whatever ends the load. Loads of one tariff run one after the other.
Rows go by COPY into a staging table, which costs neither index nor log, and from there sorted into `rates`, which fills
the index in order; so both memory here and the number of statements stay the same however large the deck is.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg
import structlog

from rating_engine.domain.errors import InvalidRequest, Unavailable
from rating_engine.storage.pool import SERVER_SETTINGS, Connection

CONNECT_SECONDS: Final = 5.0  # a person waits, and can say again
STATEMENT_SECONDS: Final = 3600.0  # ten million rates take some minutes; more is a server that hangs
LOCK_SECONDS: Final = 600  # how long to wait for another load of the same tariff: many times a load of a million
SORT_MEMORY: Final = "64MB"  # sorts 400,000 rows without a file; more rows use one
KEPT_DECKS: Final = 5  # replaced decks that stay for each tariff, to compare with and to go back to
REMOVED_AT_ONCE: Final = 2  # decks removed after one load: twice what it adds, so that it keeps up
REMOVAL_BATCH: Final = 20_000  # rates removed in one transaction: tenths of a second
REMOVAL_LOCK: Final = 0x4445434B  # "DECK": one process at a time removes
DEFAULT_CURRENCY: Final = "EUR"

_log = structlog.get_logger(__name__)

# The order of the columns in what `copy` is given: COPY's text format, a row a line.
_TERMS: Final = (
    "direction, price_1, price_n, price_unit, interval_1, interval_n, connect_fee, free_seconds, grace_period,"
    " postcall_surcharge"
)
ROW_COLUMNS: Final = ("line", "prefix", *(name.strip() for name in _TERMS.split(",")))

_STAGING: Final = """
    CREATE TEMPORARY TABLE deck_rows (
        line bigint, prefix text COLLATE "C", direction text, price_1 numeric(18, 8), price_n numeric(18, 8),
        price_unit text, interval_1 integer, interval_n integer, connect_fee numeric(18, 8), free_seconds integer,
        grace_period integer, postcall_surcharge numeric(18, 8)
    ) ON COMMIT DROP"""

# The first row of each prefix.
_STORE: Final = f"""
    INSERT INTO rates (deck_id, prefix, {_TERMS})
    SELECT $1, prefix, {_TERMS}
    FROM (SELECT *, lag(line) OVER (PARTITION BY prefix ORDER BY line) AS earlier FROM deck_rows) AS numbered
    WHERE earlier IS NULL"""  # noqa: S608  # made of constants

# The later rows of a prefix that say something else than its first row does.
_CONFLICTS: Final = f"""
    SELECT later.line, first.line AS first_line
    FROM (SELECT min(line) AS line, prefix FROM deck_rows GROUP BY prefix HAVING count(*) > 1) AS found
    JOIN deck_rows AS first USING (line)
    JOIN deck_rows AS later ON later.prefix = found.prefix AND later.line > found.line
    WHERE {" OR ".join(f"later.{name} IS DISTINCT FROM first.{name}" for name in ROW_COLUMNS[2:])}
    ORDER BY later.line"""  # noqa: S608  # made of constants


@dataclass(frozen=True, slots=True)
class Target:
    """The tariff a deck is loaded for."""

    tariff_id: int
    currency: str
    created: bool


@dataclass(frozen=True, slots=True)
class Conflict:
    """A row whose prefix an earlier row of the file has with other terms."""

    line: int
    first_line: int


@dataclass(frozen=True, slots=True)
class Published:
    """A deck that takes effect when its transaction ends."""

    deck_id: int
    version: int
    rates: int
    directions: int
    published_at: datetime


class DeckLoad:
    """One load under way, inside its transaction: `copy`, then `store`, perhaps `conflicts`, then `publish`."""

    def __init__(self, connection: Connection, target: Target) -> None:
        self._connection = connection
        self._deck_id = 0
        self.target = target

    async def copy(self, rows: AsyncIterator[bytes]) -> int:
        """Stage rows of ROW_COLUMNS in COPY's text format; how many there were. They must be valid on their own."""
        await self._connection.execute(_STAGING)
        status = await self._connection.copy_to_table(
            "deck_rows", source=rows, columns=ROW_COLUMNS, format="text", timeout=STATEMENT_SECONDS
        )
        return int(status.split()[-1])

    async def store(self) -> int:
        """Put the first row of each prefix into a new deck; how many there are."""
        self._deck_id = await self._connection.fetchval(
            """INSERT INTO rate_decks (tariff_id, version)
               SELECT $1, 1 + COALESCE(max(version), 0) FROM rate_decks WHERE tariff_id = $1 RETURNING deck_id""",
            self.target.tariff_id,
        )
        await self._connection.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
        return int((await self._connection.execute(_STORE, self._deck_id)).split()[-1])

    async def conflicts(self) -> AsyncIterator[Conflict]:
        """Rows not stored because an earlier one of their prefix says something else; by line."""
        async for row in self._connection.cursor(_CONFLICTS, prefetch=1_000):
            yield Conflict(row["line"], row["first_line"])

    async def publish(self, rates: int, longest_prefix: int) -> Published:
        """Put the stored deck in the place of the tariff's published one."""
        directions = await self._add_directions()
        await self._connection.execute(
            "UPDATE rate_decks SET state = 'retired' WHERE tariff_id = $1 AND state = 'published'",
            self.target.tariff_id,
        )
        row = await self._connection.fetchrow(
            """UPDATE rate_decks
               SET state = 'published', rate_count = $2, longest_prefix = $3, published_at = clock_timestamp()
               WHERE deck_id = $1 RETURNING version, published_at""",
            self._deck_id,
            rates,
            longest_prefix,
        )
        assert row is not None  # this transaction inserted it
        await self._connection.execute(
            "UPDATE tariffs SET deck_id = $2 WHERE tariff_id = $1", self.target.tariff_id, self._deck_id
        )
        return Published(self._deck_id, row["version"], rates, directions, row["published_at"])

    async def _add_directions(self) -> int:
        """Add directions not known yet, named as the deck names them; how many the deck has.

        Statements that add nothing would be announced too, and every engine would load its directions anew.
        """
        used = await self._connection.fetch("SELECT DISTINCT direction FROM deck_rows WHERE direction <> ''")
        missing = await self._connection.fetch(
            """SELECT used.code FROM unnest($1::text[]) AS used(code)
               WHERE NOT EXISTS (SELECT FROM directions AS known WHERE known.code = used.code)""",
            [row["direction"] for row in used],
        )
        if missing:
            # In order, so that two loads that add the same ones wait for each other and don't deadlock.
            await self._connection.execute(
                """INSERT INTO directions (code, name) SELECT code, code FROM unnest($1::text[]) AS added(code)
                   ORDER BY code ON CONFLICT (code) DO NOTHING""",
                [row["code"] for row in missing],
            )
        return len(used)


@contextlib.asynccontextmanager
async def begin_load(database_url: str, tariff: str, currency: str | None) -> AsyncIterator[DeckLoad]:
    """A load for the tariff of this name, created if need be; leaving without an error commits it.

    `currency`: of a new tariff, EUR where None; an existing tariff must have it. Once committed, replaced decks beyond
    KEPT_DECKS are removed. Errors: InvalidRequest (another currency), Unavailable. Errors of the caller's own work pass
    through; OSError is taken for the database's.
    """
    try:
        connection = await asyncpg.connect(
            database_url,
            timeout=CONNECT_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings=SERVER_SETTINGS,
        )
        try:
            async with connection.transaction():
                load = DeckLoad(connection, await _lock_target(connection, tariff, currency))
                yield load
            await _remove_old_decks(connection, load.target.tariff_id)
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
            """SELECT deck_id FROM rate_decks WHERE tariff_id = $1 AND state = 'retired'
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
        if int(removed.split()[-1]) == REMOVAL_BATCH:
            return True
        await connection.execute("DELETE FROM rate_decks WHERE deck_id = $1", deck_id)
    return False
