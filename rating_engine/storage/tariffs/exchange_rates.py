"""Exchange rates with dates: what calls and fees are converted by.

Law: what was in force stays as it was. A rate is set from now on or ahead; only one ahead can be taken back.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.rating.exchange import ExchangeRow
from rating_engine.storage.postgres.pool import Database

MAX_ROWS: Final = 100_000  # held in every worker whole: thirty pairs, daily, for nine years

_COLUMNS: Final = "currency_from, currency_to, effective_from, rate"
_ALL: Final = f"SELECT {_COLUMNS} FROM exchange_rates ORDER BY 1, 2, 3 DESC LIMIT {MAX_ROWS}"  # noqa: S608  # constants
_SET: Final = f"""
    INSERT INTO exchange_rates ({_COLUMNS}) SELECT $1, $2, COALESCE($3, now()), $4 WHERE COALESCE($3, now()) >= now()
    ON CONFLICT (currency_from, currency_to, effective_from) DO UPDATE SET rate = EXCLUDED.rate
    RETURNING effective_from"""


async def load_exchange_rates(database: Database) -> list[ExchangeRow]:
    """Every rate: (currency from, currency to, effective from, rate). Errors: Unavailable."""
    return [
        (row["currency_from"], row["currency_to"], row["effective_from"], row["rate"])
        for row in await database.fetch(_ALL)
    ]


async def set_exchange_rate(
    database: Database, currency_from: str, currency_to: str, rate: Decimal, effective_from: datetime | None
) -> datetime:
    """A rate from an instant on (None: now); returns the instant. Errors: InvalidRequest (the instant), Unavailable."""
    async with database.connection() as connection, connection.transaction():
        since = await connection.fetchval(_SET, currency_from, currency_to, effective_from, rate)
        if since is None:
            raise InvalidRequest("from", "is past: what was charged stays; leave it out for a rate from now on")
        if await connection.fetchval("SELECT count(*) FROM exchange_rates") > MAX_ROWS:
            raise InvalidRequest("rate", f"there are {MAX_ROWS} rates, which is the limit")
    instant: datetime = since
    return instant


async def remove_exchange_rate(
    database: Database, currency_from: str, currency_to: str, effective_from: datetime
) -> None:
    """Take back a rate that is not yet in force. Errors: NotFound, InvalidRequest (it is in force), Unavailable."""
    async with database.connection() as connection, connection.transaction():
        ahead = await connection.fetchval(
            "SELECT effective_from > now() FROM exchange_rates "
            "WHERE currency_from = $1 AND currency_to = $2 AND effective_from = $3 FOR UPDATE",
            currency_from, currency_to, effective_from,
        )  # fmt: skip
        if ahead is None:
            raise NotFound(
                f"there is no rate of {currency_from} in {currency_to} from {effective_from.isoformat()}; "
                "see: rating-engine exchange list"
            )
        if not ahead:
            raise InvalidRequest("from", "has passed: calls were charged by it; set another rate from now on instead")
        await connection.execute(
            "DELETE FROM exchange_rates WHERE currency_from = $1 AND currency_to = $2 AND effective_from = $3",
            currency_from, currency_to, effective_from,
        )  # fmt: skip
