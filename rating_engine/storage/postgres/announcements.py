"""Changes that PostgreSQL announces (LISTEN rating_engine), so that cached copies are dropped at once.

Law: while nobody listens, nothing cached is trusted: `on_lost` is called when the connection breaks, and again right
after it listens anew, since what was announced in between is not known.
Payloads: `subscriber <login>`, `tariff <id>`, `routes`, `directions`, `exchange_rates`, `numbering`,
`engine_secrets`, `bans`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final

import asyncpg
import structlog

from rating_engine.storage.postgres.connecting import Connection, Connector, NotWritableError, is_read_only

CHANNEL: Final = "rating_engine"
RECONNECT_SECONDS: Final = 0.5  # between tries; the cost of waiting is speed alone
HEARTBEAT_SECONDS: Final = 5.0  # a connection that died without a word is found within this
ANSWER_SECONDS: Final = 2.0  # for connecting and for the heartbeat

_log = structlog.get_logger(__name__)


class Announcements:
    """A connection of its own that listens, and goes on trying when it cannot."""

    def __init__(
        self, database_url: str, *, on_change: Callable[[str, str], None], on_lost: Callable[[], None]
    ) -> None:
        self._connector = Connector(database_url, timeout_seconds=ANSWER_SECONDS)
        self._on_change = on_change
        self._on_lost = on_lost
        self._task: asyncio.Task[None] | None = None
        self._listening = asyncio.Event()

    def start(self) -> None:
        """Begin to listen in the background."""
        self._task = asyncio.create_task(self._run(), name="announcements")

    @property
    def listening(self) -> bool:
        """Whether changes are heard right now."""
        return self._listening.is_set()

    async def wait_listening(self, timeout_seconds: float) -> bool:
        """Wait for the first connection; False if it did not come in time."""
        try:
            await asyncio.wait_for(self._listening.wait(), timeout_seconds)
        except TimeoutError:
            return False
        return True

    async def stop(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # awaited itself, its cancellation would hide our own

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                _log.debug("announcements_lost", error=str(error) or type(error).__name__)
            finally:
                self._listening.clear()
                self._on_lost()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        """Listen until the connection breaks."""
        connection = await self._connector.connect(command_timeout=ANSWER_SECONDS)
        closed = asyncio.Event()
        connection.add_termination_listener(lambda _: closed.set())
        try:
            await _expect_writable(connection)
            await connection.add_listener(CHANNEL, self._heard)
            self._on_lost()  # whatever was cached before this moment may have changed unheard
            self._listening.set()
            while True:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closed.wait(), HEARTBEAT_SECONDS)
                if closed.is_set():
                    raise ConnectionError("the server closed the connection")
                await _expect_writable(connection)
        finally:
            self._listening.clear()
            connection.terminate()

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        kind, _, value = str(payload).partition(" ")
        self._on_change(kind, value)


async def _expect_writable(connection: Connection) -> None:
    """What takes no writes announces none: they are made on another server."""
    if await is_read_only(connection):
        raise NotWritableError("the server takes no writes")
