"""Calls held up inside PostgreSQL, at a point of the test's choosing."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg

_IS_WAITED_FOR = """
    SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
"""


@contextlib.asynccontextmanager
async def locked_accounts(database_url: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Every account is locked inside the block; gives the question whether a statement waits for one."""
    # Two connections: within one transaction PostgreSQL shows the activity of its first look for ever.
    blocker, observer = [await asyncpg.connect(database_url) for _ in range(2)]
    try:
        async with blocker.transaction():
            await blocker.execute("SELECT FROM accounts FOR UPDATE")
            yield lambda: observer.fetchval(_IS_WAITED_FOR)
    finally:
        await blocker.close()
        await observer.close()
