"""Loading a rate deck: rows go into `rates` by COPY under a new deck, which is published in the same transaction.

Laws: a deck is published whole or not at all, whatever ends the load. Loads of one tariff run one after the other. A
deck comes into force when it is published, or at a later instant that was said; never earlier, since the price of a
past call must not change. Rows that may repeat others go by way of storage/decks/deck_staging, deltas of
storage/decks/deck_delta.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import asyncpg

from rating_engine.domain.deck import Ahead, Published
from rating_engine.domain.errors import Hint, InvalidRequest, Refused, Unavailable
from rating_engine.storage.decks import deck_delta, deck_staging
from rating_engine.storage.decks.deck_columns import KEY, ROW, listed
from rating_engine.storage.decks.deck_removal import remove_old_decks
from rating_engine.storage.decks.deck_staging import count_of
from rating_engine.storage.postgres.connecting import Connection, Connector
from rating_engine.storage.tariffs.directions import learn_prefixes

CONNECT_SECONDS: Final = 5.0  # a person waits, and can say again
STATEMENT_SECONDS: Final = 3600.0  # ten million rates take some minutes; more is a server that hangs
LOCK_SECONDS: Final = 600  # how long to wait for another load of the same tariff: many times a load of a million
CHANGE_SECONDS: Final = 10  # how long another change of its timeline waits for a load
MAX_SCHEDULED: Final = 50  # decks of a tariff still ahead: engines remember a timeline of twice as many
DEFAULT_CURRENCY: Final = "EUR"

_NEW_DECK: Final = """
    INSERT INTO rate_decks (tariff_id, version)
    SELECT $1, 1 + COALESCE(max(version), 0) FROM rate_decks WHERE tariff_id = $1 RETURNING deck_id"""

_COPY_DECK: Final = f"""
    INSERT INTO rates (deck_id, {listed(ROW)})
    SELECT $1, {listed(ROW)} FROM rates WHERE deck_id = $2 ORDER BY {listed(KEY)}, effective_from"""  # noqa: S608

_SCHEDULED: Final = """
    SELECT count(*) FROM rate_decks
    WHERE tariff_id = $1 AND state = 'published' AND effective_from > clock_timestamp()"""

# Keys of which no row counts at $2, though one will: where the file has only the coming price, for example.
_AHEAD: Final = f"""
    SELECT count(*) FILTER (WHERE first > $2) AS keys, min(first) FILTER (WHERE first > $2) AS first,
           min(prefix) FILTER (WHERE first > $2) AS prefix, count(*) FILTER (WHERE first <= $2) AS served
    FROM (SELECT prefix, min(effective_from) AS first FROM rates WHERE deck_id = $1 GROUP BY {listed(KEY)}) AS keyed"""  # noqa: S608

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
    """The tariff a deck is loaded for, the bands of its schedule, and the time by the database's clock."""

    tariff_id: int
    currency: str
    created: bool
    time_zone: str
    bands: frozenset[str]
    now: datetime


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
        """Put rows into the deck: `row_start`, ROW, in COPY's text format; how many there were.

        They must be valid, and no key begin twice at the same instant.
        """
        return await self._copy("rates", rows, ("deck_id", *ROW))

    async def copy_suspects(self, rows: AsyncIterator[bytes]) -> str | None:
        """Stage rows that may repeat or overlap others, and find those that do.

        Answers a prefix that has too many of them to compare (see storage/decks/deck_staging), or None.
        """
        await deck_staging.make_staging(self._connection)
        await self._copy("suspects", rows, deck_staging.SUSPECT_COLUMNS)
        return await deck_staging.find_conflicts(self._connection, self._deck_id)

    async def copy_closings(self, rows: AsyncIterator[bytes]) -> None:
        """Stage the closings of a delta."""
        await deck_delta.make_closings(self._connection)
        await self._copy("closings", rows, deck_delta.CLOSING_COLUMNS)

    async def copy_deck(self, deck_id: int) -> int:
        """Put every rate of another deck into this one, which is empty; how many."""
        return count_of(await self._connection.execute(_COPY_DECK, self._deck_id, deck_id))

    async def ahead(self, comes_at: datetime) -> Ahead:
        """What of the stored deck has no price yet at `comes_at`."""
        row = await self._connection.fetchrow(_AHEAD, self._deck_id, comes_at)
        assert row is not None  # counts always are one row
        return Ahead(**row)

    async def longest_prefix(self) -> int:
        """Of the stored deck."""
        query = "SELECT COALESCE(max(length(prefix)), 0) FROM rates WHERE deck_id = $1"
        return int(await self._connection.fetchval(query, self._deck_id))

    async def publish(self, rates: int, longest_prefix: int, effective_from: datetime | None = None) -> Published:
        """Put the stored deck into the tariff's timeline: from now on, or from an instant that is still ahead.

        Errors: InvalidRequest when that instant has passed meanwhile, or too many decks wait for theirs.
        """
        if effective_from is not None and await self._connection.fetchval(_SCHEDULED, self.target.tariff_id) >= (
            MAX_SCHEDULED
        ):
            raise InvalidRequest("from", f"{MAX_SCHEDULED} versions are scheduled already: withdraw one of them")
        directions = await self._add_directions()
        await learn_prefixes(self._connection, self._deck_id)
        row = await self._connection.fetchrow(
            """UPDATE rate_decks
               SET state = 'published', rate_count = $2, longest_prefix = $3, published_at = clock_timestamp(),
                   effective_from = COALESCE($4, clock_timestamp())
               WHERE deck_id = $1 AND COALESCE($4 > clock_timestamp(), true)
               RETURNING version, published_at, effective_from""",
            self._deck_id,
            rates,
            longest_prefix,
            effective_from,
        )
        if row is None:
            raise InvalidRequest("from", f"{effective_from} has passed while the deck was loaded: nothing is published")
        return Published(deck_id=self._deck_id, rates=rates, directions=directions, **row)

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
        return count_of(
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
            await remove_old_decks(connection, target.tariff_id)
            await connection.close(timeout=CONNECT_SECONDS)
        finally:
            connection.terminate()
    except asyncpg.LockNotAvailableError as error:
        raise Unavailable(f"another import into {tariff} has been running for {LOCK_SECONDS} seconds") from error
    except asyncpg.UndefinedTableError as error:
        raise Unavailable(f"the schema is missing or old ({error})", hint=Hint.RUN_MIGRATE) from error
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


async def lock_tariff(connection: Connection, tariff: str) -> None:
    """Keep loads of a tariff off until the transaction ends; nothing where there is no such tariff.

    Errors: Unavailable while one is under way.
    """
    try:
        await connection.execute(f"SET LOCAL lock_timeout = '{CHANGE_SECONDS}s'")
        await connection.execute("SELECT FROM tariffs WHERE name = $1 FOR NO KEY UPDATE", tariff)
    except asyncpg.LockNotAvailableError as error:
        raise Unavailable(f"an import into {tariff} is under way: try again when it has ended") from error


async def _lock_target(connection: Connection, tariff: str, currency: str | None) -> Target:
    """The tariff, created if need be, locked against other loads until the transaction ends; calls don't notice."""
    await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    created = await connection.fetchval(
        """INSERT INTO tariffs (name, currency) SELECT $1, $2 WHERE NOT EXISTS (SELECT FROM tariffs WHERE name = $1)
           ON CONFLICT (name) DO NOTHING RETURNING true""",
        tariff,
        currency or DEFAULT_CURRENCY,
    )
    row = await connection.fetchrow(
        """SELECT tariff_id, currency, time_zone, clock_timestamp() AS now,
                  EXISTS (SELECT FROM direction_prices p WHERE p.tariff_id = t.tariff_id) AS by_direction,
                  EXISTS (SELECT FROM tenant_billing b WHERE b.tariff_id = t.tariff_id) AS of_tenant,
                  ARRAY(SELECT DISTINCT band FROM tariff_bands b WHERE b.tariff_id = t.tariff_id) AS bands
           FROM tariffs t WHERE name = $1 FOR NO KEY UPDATE OF t""",
        tariff,
    )
    assert row is not None  # tariffs are never removed
    if row["by_direction"]:
        raise Refused(f"the tariff {tariff} is priced by directions; an import would take their prices away")
    if row["of_tenant"]:
        raise Refused(f"the tariff {tariff} is made of the call rates of a tenant, which are changed by its API")
    if currency is not None and row["currency"] != currency:
        raise InvalidRequest("currency", f"the tariff {tariff} is in {row['currency']}, not in {currency}")
    return Target(
        row["tariff_id"], row["currency"], bool(created), row["time_zone"], frozenset(row["bands"]), row["now"]
    )
