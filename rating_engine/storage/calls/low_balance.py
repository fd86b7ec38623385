"""The balance that a caller is told of."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rating_engine.storage.postgres.pool import Database

_BALANCE: Final = "SELECT balance FROM accounts WHERE bucket = $1 AND account_id = $2"


async def balance_of(database: Database, bucket: int, account_id: int) -> Decimal:
    """Without what calls hold. Errors: Unavailable, Overloaded."""
    balance: Decimal = await database.fetchval(_BALANCE, bucket, account_id)
    return balance
