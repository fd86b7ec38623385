"""One leader among all engine processes, by an advisory lock of PostgreSQL.

Laws: the work runs only while this process's own connection holds the lock and answers; when it stops answering, the
work is cancelled before anything else. The server lets go of a dead holder within seconds, and another takes over.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Final

import asyncpg
import structlog

from rating_engine.storage.postgres.connecting import (
    SERVER_SETTINGS,
    Connection,
    Connector,
    NotWritableError,
    is_read_only,
)

LOCK: Final = 0x57415443  # "WATC": whoever holds it watches the exchanges
TRY_SECONDS: Final = 1.0  # how soon another process takes over; one cheap statement each
PROOF_SECONDS: Final = 1.0  # how often the leader makes sure that it still is
ANSWER_SECONDS: Final = 2.0  # a database silent for longer has, for all we know, another leader
FROZEN_MS: Final = 5_000  # a leader that says nothing for so long is stopped or hangs: the server ends its session
# So that the server ends the session of a machine that vanished, and with it the lock, within about five seconds.
_KEEPALIVE: Final = {
    **SERVER_SETTINGS,
    "application_name": "rating-engine leader",
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "5000",
}
_END_WHEN_FROZEN: Final = """
    SELECT set_config(name, $1, false) FROM pg_settings WHERE name = 'idle_session_timeout'
"""  # from PostgreSQL 14 on

_log = structlog.get_logger(__name__)
_LOST = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


def seat_lock(exchange: str, seat: int) -> int:
    """The lock of a seat at an exchange that is steered over ARI."""
    return int.from_bytes(sha256(f"ari/{exchange}/{seat}".encode()).digest()[:8], "big", signed=True)


class Leadership:
    """Runs `work` while this process leads; `work` is cancelled when it no longer does, and started anew later."""

    def __init__(
        self,
        database_url: str,
        work: Callable[[], Awaitable[None]],
        *,
        on_change: Callable[[bool], None] = lambda leading: None,
        lock: int = LOCK,
    ) -> None:
        """`lock`: which of several leaderships it is."""
        self._lock = lock
        self._connector = Connector(database_url, timeout_seconds=ANSWER_SECONDS)
        self._work = work
        self._on_change = on_change
        self._task: asyncio.Task[None] | None = None
        self.leading = False

    def start(self) -> None:
        """Begin to stand for leader in the background."""
        self._task = asyncio.create_task(self._run(), name="leadership")

    async def stop(self) -> None:
        """End the work, give up the lock."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # awaited itself, its cancellation would hide our own

    async def _run(self) -> None:
        while True:
            try:
                await self._stand()
            except _LOST as error:
                _log.debug("leadership_unreachable", error=str(error) or type(error).__name__)
            except Exception:  # a fault of the work: it is started anew, here or by another process
                _log.exception("leadership_work_failed")
            await asyncio.sleep(TRY_SECONDS)

    async def _stand(self) -> None:
        """Ask for the lock again and again on one connection, and lead while it is held."""
        connection = await self._connector.connect(command_timeout=ANSWER_SECONDS, server_settings=_KEEPALIVE)
        try:
            await connection.fetch(_END_WHEN_FROZEN, str(FROZEN_MS))
            while True:
                await _expect_writable(connection)
                if await connection.fetchval("SELECT pg_try_advisory_lock($1)", self._lock):
                    await self._lead(connection)
                    return
                await asyncio.sleep(TRY_SECONDS)
        finally:
            connection.terminate()  # and with the session the lock

    async def _lead(self, connection: Connection) -> None:
        _log.info("leadership_taken", lock=self._lock)
        self._change(True)
        work = asyncio.ensure_future(self._work())
        try:
            while True:
                proved = time.monotonic()
                await _expect_writable(connection)
                done, _ = await asyncio.wait([work], timeout=max(0.0, proved + PROOF_SECONDS - time.monotonic()))
                if done:
                    return work.result()  # it never ends by itself but by a fault
        finally:
            work.cancel()
            await asyncio.wait([work])
            self._change(False)
            _log.info("leadership_lost", lock=self._lock)

    def _change(self, leading: bool) -> None:
        self.leading = leading
        self._on_change(leading)


async def _expect_writable(connection: Connection) -> None:
    """On a server that takes no writes nobody leads: the others stand for leader on another one."""
    if await is_read_only(connection):
        raise NotWritableError("the server takes no writes")
