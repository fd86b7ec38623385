"""What the accounts of resellers have for a call now, read without holding anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rating_engine.storage.postgres.pool import Database

# As reseller_funds and ask_resellers in schema.sql, which hold it.
_FUNDS: Final = """
    SELECT a.account_id, a.status = 'active' AS is_active, a.max_price,
           LEAST(a.balance + a.overdraft - a.reserved,
                 day_left(a.daily_limit, a.reserved, a.spent_on, a.day_spent, a.time_zone),
                 month_left(a.monthly_limit, a.reserved, a.spent_on, a.month_spent, a.time_zone)) AS rest,
           a.max_calls - a.open_calls AS calls_left,
           COALESCE((SELECT p.allowed FROM account_prefixes p
                     WHERE p.bucket = $1 AND p.account_id = a.account_id AND starts_with($3, p.prefix)
                     ORDER BY length(p.prefix) DESC LIMIT 1), a.default_allowed) AS allowed
    FROM accounts a WHERE a.bucket = $1 AND a.account_id = ANY ($2)
"""


@dataclass(frozen=True, slots=True)
class ResellerFund:
    """`rest`: what may be spent; None: without limit. `calls_left`: None: any number. `allowed`: the destination is."""

    account_id: int
    is_active: bool
    max_price: Decimal | None
    rest: Decimal | None
    calls_left: int | None
    allowed: bool


async def reseller_funds(
    database: Database, bucket: int, accounts: Sequence[int], destination: str
) -> dict[int, ResellerFund]:
    """The funds of these accounts for a call there, by account. Errors: Unavailable, Overloaded."""
    rows = await database.fetch(_FUNDS, bucket, list(accounts), destination)
    return {row["account_id"]: ResellerFund(**row) for row in rows}
