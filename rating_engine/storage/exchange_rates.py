"""Exchange rates as they are stored: what one unit of a currency is in another, from an instant on."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.storage.pool import Database

MAX_EXCHANGE_RATES: Final = 100_000  # held in memory whole: thirty pairs, daily, for nine years

_ALL: Final = """
    SELECT currency_from, currency_to, effective_from, rate FROM exchange_rates
    ORDER BY effective_from DESC LIMIT $1"""


async def load_exchange_rates(database: Database) -> list[tuple[str, str, datetime, Decimal]]:
    """Every rate as (from, to, effective_from, rate), the newest MAX_EXCHANGE_RATES of them. Errors: Unavailable."""
    return [tuple(row) for row in await database.fetch(_ALL, MAX_EXCHANGE_RATES)]
