"""A door to PostgreSQL: a pool of connections to one server, and what is known of that server.

An engine has two, so that neither waits for the other: `calls` for what a caller waits for, `office` for everything
else. Each `Database` is one door to one server: its own connections, deadline, probe and up or down.

Laws: a caller never waits long for a database that is not there. A failed or late statement marks this door down; while
it is down every statement fails at once with `Unavailable`, and one background probe finds out when the server is back:
when it commits, and not only answers. That all connections are busy is `Overloaded` and says nothing of the server.

A connection whose plain statement went well is kept at hand for the next one: to give it back to the driver's pool and
to ask that for it again took two tasks and two timers, and four turns of a busy loop. One that was made before the
server was away is never kept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Protocol

import asyncpg
import structlog

from rating_engine.domain.errors import Hint, Overloaded, Unavailable
from rating_engine.domain.principal import Principal
from rating_engine.storage.postgres import connecting
from rating_engine.storage.postgres.connecting import (
    SERVER_SETTINGS,
    Connection,
    Connector,
    LockTimeout,
    prove_writable,
)
from rating_engine.storage.postgres.door_observer import DoorObserver, NoObserver
from rating_engine.storage.postgres.session import FIRST_SECONDS, prepare_session
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.postgres.turnstile import Turnstile

__all__ = ["Connection", "Database", "DoorObserver", "Questions"]

PROBE_INTERVAL_SECONDS: Final = 0.2  # how soon a database that is back is used again; one cheap connect each
CONNECTED_BEFORE_UP: Final = 2  # of a server that is back: one to reserve by, one to settle; callers wait for them
MARGIN_SECONDS: Final = 1.0  # beyond the connecting itself: its password exchange may compute for a while
AT_HAND_MAX: Final = 64  # connections kept between statements: more than any door has; 0 where none shall be
PROOF_SECONDS_MAX: Final = 2.0  # for a commit of the probe, and for closing: also where statements may take a minute
STATEMENT_CACHE: Final = 200  # the engine has some dozens of distinct statements

_UNREACHABLE: Final = (
    *connecting.AWAY,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # also: the server's farewell is read already, its end of the connection is not
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
        door: str = "office",
        pool_size: int = 8,
        timeout_seconds: float = 2.0,
        connect_timeout_seconds: float = 1.0,
        late_is_away: bool = True,
        lock_timeout_seconds: float | None = None,
        first_statements: Sequence[str] = (),
        generic_plans: bool = False,
        observer: DoorObserver | None = None,
    ) -> None:
        """`door`: its name in metrics, logs and `application_name`.

        `late_is_away`: a late statement marks the door down until the probe has seen a commit. False where statements
        are slow for reasons of their own, as reports are: then the probe is asked first.
        `lock_timeout_seconds`: how long a statement waits for what others hold; None: as long as its deadline.
        `first_statements`: prepared on each connection before it serves; with any, all connections are made by `open`.
        `generic_plans`: statements are planned once, except on a cluster.
        """
        self.door = door
        self._url = database_url
        self._pool_size = pool_size
        self.timeout_seconds = timeout_seconds
        self._connector = Connector(database_url, timeout_seconds=connect_timeout_seconds)
        self._late_is_away = late_is_away
        self._server_settings = {
            **SERVER_SETTINGS,
            "application_name": f"rating-engine {door}",
        }
        if lock_timeout_seconds is not None:
            self._server_settings["lock_timeout"] = f"{max(1, round(lock_timeout_seconds * 1_000))}ms"
        self._observer = observer or NoObserver()
        self._first_statements = first_statements
        self._generic_plans = generic_plans
        self._proof_seconds = min(timeout_seconds, PROOF_SECONDS_MAX)
        self._turnstile = Turnstile(door, pool_size, timeout_seconds)
        # Whoever holds a connection while it works by others takes a place first: were all held so, all would wait.
        self.places_of_long_work = asyncio.Semaphore(max(1, pool_size // 2))
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None
        self._at_hand: list[asyncpg.pool.PoolConnectionProxy[asyncpg.Record]] = []  # ours, and nobody's just now
        self._down: str | None = "not connected yet"
        self.hint: Hint | None = None  # what mends it, where it is down for a reason that we can mend
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
            command_timeout=self.timeout_seconds,
            statement_cache_size=STATEMENT_CACHE,
            server_settings=self._server_settings,
            init=self._prepare,
            reset=_keep_session,
            max_inactive_connection_lifetime=0,
        )
        await self._pool
        try:
            async with self._pool.acquire(timeout=self._connector.longest_seconds + FIRST_SECONDS) as connection:
                await prove_writable(connection, self._proof_seconds)  # type: ignore[arg-type]  # see connection()
            await self._connect_ahead(self._pool_size)
        except _UNREACHABLE as error:
            self._mark_down(error)
        else:
            self._mark_up()

    async def _prepare(self, connection: Connection) -> None:
        await prepare_session(connection, self._first_statements, generic_plans=self._generic_plans)

    async def close(self) -> None:
        """Close every connection; statements that run are given PROOF_SECONDS_MAX, or their deadline, then cut."""
        self._closed = True
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])  # awaited itself, its cancellation would hide our own
        if self._pool is not None:
            try:
                await self._give_back_at_hand()
                await asyncio.wait_for(self._pool.close(), self._proof_seconds)
            except TimeoutError:
                self._pool.terminate()

    @property
    def down(self) -> str | None:
        """Why the database cannot be used right now, or None."""
        return self._down

    @property
    def in_use(self) -> int:
        """How many of its connections somebody uses right now."""
        return self._turnstile.taken

    @contextlib.asynccontextmanager
    async def connection(self, *, one_statement: bool = False) -> AsyncIterator[Connection]:
        """A connection of the pool. Whatever says "the server is not there" leaves as `Unavailable`.

        `one_statement`: nothing is left of what is asked of it but the answer.

        Errors: Overloaded when no connection is free within the deadline, or (LockTimeout) when what is needed is held
        by others for longer than the lock timeout; nothing was done then.
        """
        recoveries = self._recoveries
        connection = await self._acquire()
        lost = at_hand = False
        try:
            yield connection  # type: ignore[misc]  # a PoolConnectionProxy offers the whole of Connection
            at_hand = one_statement and recoveries == self._recoveries and self._down is None and not self._closed
        except _UNREACHABLE as error:
            if isinstance(error, ValueError):  # asyncpg's word for an argument it cannot encode: ours, not the server's
                raise
            lost = True
            self._doubt(error, recoveries)
            raise _unavailable(error) from error
        except asyncpg.LockNotAvailableError as error:
            raise LockTimeout(f"PostgreSQL: {_describe(error)}") from error
        finally:
            if at_hand and len(self._at_hand) < AT_HAND_MAX:
                self._at_hand.append(connection)
                self._turnstile.leave()
            elif lost:
                self._give_back_later(connection)
            else:
                try:
                    await self._release(connection)
                finally:
                    self._turnstile.leave()

    async def _acquire(self) -> asyncpg.pool.PoolConnectionProxy[asyncpg.Record]:
        """A connection that is ours until given back, and our place at the turnstile with it."""
        if self._down is not None or self._pool is None:
            raise Unavailable(f"PostgreSQL: {self._down}", hint=self.hint)
        recoveries = self._recoveries
        try:
            await self._turnstile.enter()
        except Overloaded:
            self._observer.database_busy(self.door)
            raise
        try:
            if self._down is not None:  # found while we waited
                raise Unavailable(f"PostgreSQL: {self._down}", hint=self.hint)
            while self._at_hand:
                connection = self._at_hand.pop()
                if not _is_closed(connection):
                    return connection
                await self._pool.release(connection)
            # Our place says that one is free: what may take its time now is to connect. What takes longer than a caller
            # should wait is done by the probe.
            return await self._pool.acquire(timeout=self._connector.longest_seconds + MARGIN_SECONDS)
        except BaseException as error:
            self._turnstile.leave()
            if isinstance(error, _UNREACHABLE):
                if recoveries == self._recoveries:
                    self._mark_down(error)
                raise _unavailable(error) from error
            raise

    async def _release(self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> None:
        assert self._pool is not None
        recoveries = self._recoveries
        try:
            await self._pool.release(connection)
        except _UNREACHABLE as error:
            self._doubt(error, recoveries)
            raise _unavailable(error) from error

    def _doubt(self, error: BaseException, recoveries: int) -> None:
        """A statement says that the server is away, unless it tells of the time before it was found again."""
        late = isinstance(error, TimeoutError)
        if late:
            self._observer.database_late(self.door)
        if recoveries != self._recoveries:
            return
        if late and not self._late_is_away:
            self._start_probe()
        else:
            self._mark_down(error)

    @contextlib.asynccontextmanager
    async def transaction(self, principal: Principal) -> AsyncIterator[Transaction]:
        """A unit of work of `principal`: commits when the block ends, rolls back when it raises."""
        async with self.connection() as connection, connection.transaction():
            yield Transaction(connection, principal)

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a query."""
        async with self.connection(one_statement=True) as connection:
            return await connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row of a query, or None."""
        async with self.connection(one_statement=True) as connection:
            return await connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first value of the first row."""
        async with self.connection(one_statement=True) as connection:
            return await connection.fetchval(query, *args)

    def _give_back_later(self, connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> None:
        """Return a connection whose statement is being cancelled: that may take another deadline, and nobody waits."""

        async def give_back() -> None:
            assert self._pool is not None
            try:
                with contextlib.suppress(Exception):  # it is closed then, and the pool makes a new one
                    await self._pool.release(connection)
            finally:
                self._turnstile.leave()

        task = asyncio.create_task(give_back(), name="database-give-back")
        self._given_back.add(task)
        task.add_done_callback(self._given_back.discard)

    def _mark_up(self) -> None:
        if self._down is not None:
            _log.info("database_up", door=self.door)
        self._recoveries += 1
        self._down = None
        self._observer.database_state(self.door, True)

    def _mark_down(self, error: BaseException) -> None:
        if self._closed:
            return
        if self._down is None:
            _log.warning("database_down", door=self.door, error=_describe(error))
        self._down, self.hint = _describe(error), _hint(error)
        self._observer.database_state(self.door, False)
        self._turnstile.turn_away(f"PostgreSQL: {self._down}")
        self._start_probe()

    def _start_probe(self) -> None:
        if not self._closed and (self._probe is None or self._probe.done()):
            self._probe = asyncio.create_task(self._probe_until_up(), name="database-probe")

    async def _probe_until_up(self) -> None:
        """Try a fresh connection until one answers; then drop the pool's old ones, which may be dead.

        Whatever goes wrong is tried again: an error that ended the probe would leave the database down for ever. Where
        the server was only doubted and answers, nothing has happened.
        """
        while not self._closed:
            try:
                await self._try_fresh_connection()
                if self._down is None:
                    return
                await self._drop_old_connections()
                await self._connect_ahead(CONNECTED_BEFORE_UP)
            except Exception as error:
                if not isinstance(error, _UNREACHABLE) and self._down != _describe(error):
                    _log.error("database_probe_failed", door=self.door, error=_describe(error), exc_info=error)
                self._mark_down(error)
                await asyncio.sleep(PROBE_INTERVAL_SECONDS)
            else:
                self._mark_up()
                return

    async def _try_fresh_connection(self) -> None:
        """Connect anew and commit something. Raises whatever keeps us from it."""
        connection = await self._connector.connect(statement_cache_size=0, server_settings=self._server_settings)
        try:
            await prove_writable(connection, self._proof_seconds)
        finally:
            # In order, and not cut: a commit that hangs is cancelled, or its session would stay on the server.
            with contextlib.suppress(Exception):
                await connection.close(timeout=self._proof_seconds)

    async def _give_back_at_hand(self) -> None:
        """Leave what was kept to the pool."""
        assert self._pool is not None
        while self._at_hand:
            await self._pool.release(self._at_hand.pop())

    async def _drop_old_connections(self) -> None:
        assert self._pool is not None
        await self._give_back_at_hand()
        await self._pool.expire_connections()

    async def _connect_ahead(self, count: int) -> None:
        """Make so many of the connections that calls will want. Raises what keeps any from being made."""
        if not self._first_statements:
            return
        assert self._pool is not None
        wanted = min(count, self._pool_size - self._turnstile.taken)  # the others come back from who had them
        made = await asyncio.gather(
            *(self._pool.acquire(timeout=self._connector.longest_seconds + FIRST_SECONDS) for _ in range(wanted)),
            return_exceptions=True,
        )
        connections = [one for one in made if not isinstance(one, BaseException)]
        for connection in connections:
            await self._pool.release(connection)
        if not connections and made:
            raise made[0]  # type: ignore[misc]  # an exception, since it is no connection


async def _keep_session(connection: Connection) -> None:
    """Nothing to reset: the engine leaves no state in a session, and asyncpg's reset costs a round trip."""


def _is_closed(connection: asyncpg.pool.PoolConnectionProxy[asyncpg.Record]) -> bool:
    """Whether it has ended while nobody used it; then the pool has mostly taken it back already."""
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        return True


def _unavailable(error: BaseException) -> Unavailable:
    return Unavailable(f"PostgreSQL: {_describe(error)}", hint=_hint(error))


def _describe(error: BaseException) -> str:
    return f"the schema is missing or old ({error})" if _hint(error) else connecting.describe(error)


def _hint(error: BaseException) -> Hint | None:
    is_of_the_schema = isinstance(error, asyncpg.UndefinedFunctionError | asyncpg.UndefinedTableError)
    return Hint.RUN_MIGRATE if is_of_the_schema else None
