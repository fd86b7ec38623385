"""Virtual time: one clock for the event loop and for PostgreSQL's `now()`, which stands still until it is moved."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest import mock

from rating_engine.services.facts import rate_lookup as rate_decks
from rating_engine.services.outage import finish_spool
from rating_engine.storage.postgres import batching, pool
from rating_engine.storage.postgres.pool import Database

START = datetime(2026, 1, 31, 22, 30, tzinfo=UTC)  # so that a run soon sees a month end

Result = TypeVar("Result")

# `now()` is looked up by its name, and a schema in front of pg_catalog is looked at first.
_SETUP = """
    CREATE SCHEMA virtual_time;
    CREATE TABLE virtual_time.clock (now timestamptz NOT NULL);
    INSERT INTO virtual_time.clock VALUES ('{start}');
    CREATE FUNCTION virtual_time.now() RETURNS timestamptz LANGUAGE sql STABLE AS
        $$ SELECT now FROM virtual_time.clock $$;
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET search_path = virtual_time, public, pg_catalog', current_database());
        -- no test here kills PostgreSQL, so it need not wait for the disk
        EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database());
    END $$;
"""


def moment(seconds: float) -> datetime:
    """So many seconds after START."""
    return START + timedelta(seconds=seconds)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers go by `seconds`, which somebody else moves. I/O happens as ever.

    What is handed to a thread is done at once: when a thread is done would be another thing that no seed decides.
    """

    seconds: float = 0.0

    def time(self) -> float:
        """The virtual time."""
        return self.seconds

    def run_in_executor(  # type: ignore[override]  # the base class answers a future of the same result
        self, executor: Any, func: Callable[..., Result], *args: Any
    ) -> asyncio.Future[Result]:
        """Do it here and now."""
        done: asyncio.Future[Result] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:
            done.set_exception(error)
        return done


class Clock:
    """Seconds since START, for the loop that runs and for one database."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        self._told: float | None = None

    @property
    def seconds(self) -> int:
        """Since START."""
        return int(self._loop.seconds)

    @property
    def now(self) -> datetime:
        """As PostgreSQL says it."""
        return moment(self._loop.seconds)

    def move(self, seconds: int) -> None:
        """Forward, never back."""
        assert seconds >= self._loop.seconds
        self._loop.seconds = seconds

    async def tell(self, database: Database) -> None:
        """Say the time to a database that has virtual time."""
        if self._told != self._loop.seconds:
            self._told = self._loop.seconds
            async with database.connection() as connection:
                await connection.execute("UPDATE virtual_time.clock SET now = $1", self.now)


async def install(database: Database) -> None:
    """Put virtual time into a database; connections made from then on have it."""
    async with database.connection() as connection:
        await connection.execute(_SETUP.format(start=START.isoformat()))


@contextlib.contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """A loop at second 0; what still runs on it in the end is cancelled.

    What the engine remembers for some time goes by the process's clock, so that is put in step too. And no batch waits
    for what the sockets bring meanwhile, nor is a connection kept at hand: when either comes no seed decides.
    """
    loop = VirtualLoop()
    in_step = SimpleNamespace(monotonic=loop.time, perf_counter=time.perf_counter)
    try:
        with (
            mock.patch.object(rate_decks, "time", in_step),
            mock.patch.object(finish_spool, "time", in_step),
            mock.patch.object(batching, "TURNS_BETWEEN", 0),
            mock.patch.object(pool, "AT_HAND_MAX", 0),
        ):
            yield loop
    finally:
        loop.run_until_complete(_cancel_rest())
        loop.close()


def run(main: Coroutine[Any, Any, Result], patience_seconds: float) -> Result:
    """The result of `main` on a virtual loop; cancelled when it takes longer than that of the real time."""
    with virtual_loop() as loop:
        task = Context().run(loop.create_task, main)
        watchdog = threading.Timer(patience_seconds, loop.call_soon_threadsafe, [task.cancel])
        watchdog.start()
        try:
            return loop.run_until_complete(task)
        finally:
            watchdog.cancel()
            watchdog.join()


async def _cancel_rest() -> None:
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    with contextlib.suppress(Exception):
        await asyncio.gather(*rest, return_exceptions=True)
