"""Work that one engine of all does at a time: under an advisory lock, which goes with the connection that holds it.

Law: such work never holds more than half of a door's connections, however many ask for it: it works by the others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from rating_engine.domain.errors import Overloaded
from rating_engine.domain.principal import Principal
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

LOCKS: Final = 0x4D41494E  # "MAIN": the first half of each such lock, the second one says of which work
_TRY: Final = "SELECT pg_try_advisory_xact_lock($1::integer, hashtext($2))"


@contextlib.asynccontextmanager
async def one_at_a_time(database: Database, principal: Principal, work: str) -> AsyncIterator[Transaction | None]:
    """A transaction for as long as the work goes on; None: somebody is at it. Errors: Unavailable, Overloaded."""
    async with _place(database), database.transaction(principal) as tx:
        yield tx if await tx.fetchval(_TRY, LOCKS, work) else None


@contextlib.asynccontextmanager
async def _place(database: Database) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(database.timeout_seconds):
            await database.places_of_long_work.acquire()
    except TimeoutError:
        raise Overloaded("other work that one engine does at a time has taken all places for it") from None
    try:
        yield
    finally:
        database.places_of_long_work.release()
