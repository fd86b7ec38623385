"""Who holds the locks that a session waits for: seen by a second session while it waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

import asyncpg

from rating_engine.storage.postgres.connecting import Connector

LOOK_SECONDS: Final = 0.1  # several times within a wait that ends after half a second
NOBODY_SEEN: Final = "a lock"

# No text of a statement: it may hold what is nobody else's business.
_BLOCKERS: Final = """
    SELECT format('session %s (%s, user %s, %s since %s)', pid, COALESCE(NULLIF(application_name, ''), 'no name'),
                  usename, COALESCE(state, backend_type), to_char(COALESCE(xact_start, backend_start), 'HH24:MI:SS'))
    FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids($1)) ORDER BY xact_start LIMIT 3
"""


class LockWaits:
    """Watches one session. `blockers`: who was seen in its way last, in words."""

    def __init__(self, connector: Connector, session_pid: int) -> None:
        self._connector = connector
        self._pid = session_pid
        self.blockers = NOBODY_SEEN

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look again and again while the block runs."""
        watching = asyncio.create_task(self._watch(), name="lock-waits")
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self) -> None:
        await asyncio.sleep(LOOK_SECONDS)  # what waits for nobody is done by then
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):  # it only tells more
            connection = await self._connector.connect()
            try:
                while True:
                    rows = await connection.fetch(_BLOCKERS, self._pid)
                    if rows:
                        self.blockers = ", ".join(row[0] for row in rows)
                    await asyncio.sleep(LOOK_SECONDS)
            finally:
                connection.terminate()
