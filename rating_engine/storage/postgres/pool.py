"""The one door to PostgreSQL.

Law: a caller never waits long for a database that is not there. A failed or late statement marks the database down;
while it is down every statement fails at once with `Unavailable`, and one background probe finds out when it is back:
when it commits, and not only answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, Protocol

import asyncpg
import structlog

from rating_engine.domain.errors import Unavailable
from rating_engine.domain.principal import Principal
from rating_engine.storage.postgres import connecting
from rating_engine.storage.postgres.connecting import SERVER_SETTINGS, Connection, Connector, prove_writable
from rating_engine.storage.postgres.transaction import Transaction

__all__ = ["SERVER_SETTINGS", "Connection", "Database", "Questions"]

PROBE_INTERVAL_SECONDS: Final = 0.2  # how soon a database that is back is used again; one cheap connect each
STATEMENT_CACHE: Final = 200  # the engine has some dozens of distinct statements

_UNREACHABLE: Final = (
    *connecting.AWAY,
    asyncpg.InterfaceError,
    asyncpg.PostgresSystemError,  # SQLSTATE class 58: its files cannot be read or written
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.UndefinedFunctionError,
    asyncpg.UndefinedTableError,
)

_log = structlog.get_logger(__name__)


class Questions(Protocol):
    """Where something is asked: a Database, or a connection, which also sees what its own transaction has written."""

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a query."""

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row of a query, or None."""

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first value of the first row."""


class Database:
    """A pool of connections with a deadline on every statement and a memory of whether the server is there."""

    def __init__(
        self,
        database_url: str,
        *,
        pool_size: int = 8,
        timeout_seconds: float = 2.0,
        connect_timeout_seconds: float = 1.0,
        on_state: Callable[[bool], None] = lambda up: None,
    ) -> None:
        self._url = database_url
        self._pool_size = pool_size
        self._timeout = timeout_seconds
        self._connector = Connector(database_url, timeout_seconds=connect_timeout_seconds)
        self._on_state = on_state
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._down: str | None = "not connected yet"
        self._probe: asyncio.Task[None] | None = None
        self._recoveries = 0
        self._given_back: set[asyncio.Task[None]] = set()
        self._closed = False

    async def open(self) -> None:
        """Connect if the server is there; if not, go on down and keep probing. Never fails for an absent server."""
        self._pool = asyncpg.create_pool(
            self._url,
            connect=self._connector.connect,
            min_size=0,
            max_size=self._pool_size,
            command_timeout=self._timeout,
            statement_cache_size=STATEMENT_CACHE,
            reset=_keep_session,
            max_inactive_connection_lifetime=0,
        )
        await self._pool
        try:
            async with self._pool.acquire(timeout=self._connector.longest_seconds) as connection:
                await prove_writable(connection, self._timeout)  # type: ignore[arg-type]  # see connection()
        except _UNREACHABLE as error:
            self._mark_down(error)
        else:
            self._mark_up()

    async def close(self) -> None:
        """Close every connection; statements that run are given the statement deadline, then cut."""
        self._closed = True
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])  # awaited itself, its cancellation would hide our own
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), self._timeout)
            except TimeoutError:
                self._pool.terminate()

    @property
    def down(self) -> str | None:
        """Why the database cannot be used right now, or None."""
        return self._down

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool. Whatever says "the server is not there" leaves as `Unavailable`."""
        if self._down is not None or self._pool is None:
            raise Unavailable(f"PostgreSQL: {self._down}")
        recoveries = self._recoveries
        try:
            connection = await self._pool.acquire(timeout=self._timeout)
            lost = False
            try:
                yield connection  # type: ignore[misc]  # a PoolConnectionProxy offers the whole of Connection
            except _UNREACHABLE:
                lost = True
                raise
            finally:
                if lost:
                    self._give_back_later(connection)
                else:
                    await self._pool.release(connection)
        except _UNREACHABLE as error:
            if isinstance(error, ValueError):  # asyncpg's word for an argument it cannot encode: ours, not the server's
                raise
            if recoveries == self._recoveries:  # else it tells of the time before the database was found again
                self._mark_down(error)
            raise Unavailable(f"PostgreSQL: {_describe(error)}") from error

    @contextlib.asynccontextmanager
    async def transaction(self, principal: Principal) -> AsyncIterator[Transaction]:
        """A unit of work of `principal`: commits when the block ends, rolls back when it raises."""
        async with self.connection() as connection, connection.transaction():
            yield Transaction(connection, principal)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a query."""
        async with self.connection() as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row of a query, or None."""
        async with self.connection() as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first value of the first row."""
        async with self.connection() as connection:
            return await connection.fetchval(query, *args)

    def _give_back_later(self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> None:
        """Return a connection whose statement is being cancelled: that may take another deadline, and nobody waits."""

        async def give_back() -> None:
            assert self._pool is not None
            with contextlib.suppress(Exception):  # it is closed then, and the pool makes a new one
                await self._pool.release(connection)

        task = asyncio.create_task(give_back(), name="database-give-back")
        self._given_back.add(task)
        task.add_done_callback(self._given_back.discard)

    def _mark_up(self) -> None:
        if self._down is not None:
            _log.info("database_up")
        self._recoveries += 1
        self._down = None
        self._on_state(True)

    def _mark_down(self, error: BaseException) -> None:
        if self._closed:
            return
        if self._down is None:
            _log.warning("database_down", error=_describe(error))
        self._down = _describe(error)
        self._on_state(False)
        if self._probe is None or self._probe.done():
            self._probe = asyncio.create_task(self._probe_until_up(), name="database-probe")

    async def _probe_until_up(self) -> None:
        """Try a fresh connection until one answers; then drop the pool's old ones, which may be dead.

        Whatever goes wrong is tried again: an error that ended the probe would leave the database down for ever.
        """
        while not self._closed:
            try:
                await self._try_fresh_connection()
            except Exception as error:
                if not isinstance(error, _UNREACHABLE) and self._down != _describe(error):
                    _log.error("database_probe_failed", error=_describe(error), exc_info=error)
                self._down = _describe(error)
                await asyncio.sleep(PROBE_INTERVAL_SECONDS)
            else:
                self._mark_up()
                return

    async def _try_fresh_connection(self) -> None:
        """Connect anew and commit something. Raises whatever keeps us from it."""
        connection = await self._connector.connect(statement_cache_size=0)
        try:
            await prove_writable(connection, self._timeout)
        finally:
            # In order, and not cut: a commit that hangs is cancelled, or its session would stay on the server.
            with contextlib.suppress(Exception):
                await connection.close(timeout=self._timeout)
        assert self._pool is not None
        await self._pool.expire_connections()


async def _keep_session(connection: Connection) -> None:
    """Nothing to reset: the engine leaves no state in a session, and asyncpg's reset costs a round trip."""


def _describe(error: BaseException) -> str:
    if isinstance(error, asyncpg.UndefinedFunctionError | asyncpg.UndefinedTableError):
        return f"the schema is missing or old ({error}); run: rating-engine migrate"
    return connecting.describe(error)
