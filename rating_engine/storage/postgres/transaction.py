"""A unit of work: what one management call changes, its audit row and its idempotency key commit together, or not.

Law: storage's writers take a `Transaction`; who opens one decides what belongs together. Nothing of it is seen by
others, and nothing of it is announced, before its `async with` block has ended without an error.
"""

from __future__ import annotations

from typing import Any

import asyncpg

from rating_engine.domain.principal import Principal
from rating_engine.storage.postgres.connecting import Connection


class Transaction:
    """A connection within its transaction, and who asked for what is done in it. Made by `Database.transaction`."""

    def __init__(self, connection: Connection, principal: Principal) -> None:
        self.connection = connection  # for COPY and whatever else a driver alone can do
        self.principal = principal

    async def fetch(self, query: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a query."""
        return await self.connection.fetch(query, *args)

    async def fetchrow(self, query: str, *args: Any) -> asyncpg.Record | None:
        """The first row of a query, or None."""
        return await self.connection.fetchrow(query, *args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """The first value of the first row."""
        return await self.connection.fetchval(query, *args)

    async def execute(self, query: str, *args: Any) -> str:
        """Run a statement; the command's tag, such as UPDATE 1."""
        return await self.connection.execute(query, *args)
