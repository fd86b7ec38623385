"""Work that one engine of all does at a time: under an advisory lock, which goes with the connection that holds it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from rating_engine.domain.principal import Principal
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

LOCKS: Final = 0x4D41494E  # "MAIN": the first half of each such lock, the second one says of which work
_TRY: Final = "SELECT pg_try_advisory_xact_lock($1::integer, hashtext($2))"


@contextlib.asynccontextmanager
async def one_at_a_time(database: Database, principal: Principal, work: str) -> AsyncIterator[Transaction | None]:
    """A transaction for as long as the work goes on; None: somebody is at it. Errors: Unavailable, Overloaded."""
    async with database.transaction(principal) as tx:
        yield tx if await tx.fetchval(_TRY, LOCKS, work) else None
