"""What an exchange is told of its phones, read as it would read it, for a file in the place of the database."""

from __future__ import annotations

import asyncpg

from rating_engine.domain.pjsip import TYPES
from rating_engine.storage.postgres.transaction import Transaction


async def rows_of(tx: Transaction, exchange: str) -> dict[str, list[asyncpg.Record]]:
    """The rows of each view, in one snapshot. Errors: Unavailable."""
    await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    return {
        view: await tx.fetch(
            f"SELECT * FROM {view} WHERE id IN (SELECT login FROM phones WHERE exchange = $1) ORDER BY id",  # noqa: S608
            exchange,
        )
        for view in TYPES
    }
