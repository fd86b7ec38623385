"""Exchange rates with dates: what calls and fees are converted by.

Law: what was in force stays as it was. A rate is set from now on or ahead; only one ahead can be taken back.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.errors import Hint, InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.rating.exchange import ExchangeRate
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

MAX_ROWS: Final = 100_000  # held in every worker whole: thirty pairs, daily, for nine years

_COLUMNS: Final = "currency_from, currency_to, effective_from, rate"
_ALL: Final = f"SELECT {_COLUMNS} FROM exchange_rates ORDER BY 1, 2, 3 DESC LIMIT {MAX_ROWS}"  # noqa: S608  # constants
# Of a pair the newest first.
_PAGE: Final = f"""
    SELECT {_COLUMNS} FROM exchange_rates
    WHERE $1::text IS NULL OR (currency_from, currency_to) > ($1, $2::text)
       OR ((currency_from, currency_to) = ($1, $2) AND effective_from < $3::timestamptz)
    ORDER BY currency_from, currency_to, effective_from DESC LIMIT $4"""  # noqa: S608  # constants
_SET: Final = f"""
    INSERT INTO exchange_rates ({_COLUMNS}) SELECT $1, $2, COALESCE($3, now()), $4 WHERE COALESCE($3, now()) >= now()
    ON CONFLICT (currency_from, currency_to, effective_from) DO UPDATE SET rate = EXCLUDED.rate
    RETURNING effective_from"""


async def load_exchange_rates(database: Questions) -> list[ExchangeRate]:
    """Every rate, of a pair the newest first. Errors: Unavailable."""
    return [ExchangeRate(*row) for row in await database.fetch(_ALL)]


async def list_exchange_rates(database: Questions, cursor: Cursor) -> Page[ExchangeRate]:
    """Rates by pair, of each the newest first. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_PAGE, *cursor.position(str, str, datetime), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row[0], row[1], row[2]), lambda row: ExchangeRate(*row))


async def set_exchange_rate(
    tx: Transaction, currency_from: str, currency_to: str, rate: Decimal, effective_from: datetime | None
) -> datetime:
    """A rate from an instant on (None: now); returns the instant. Errors: InvalidRequest (the instant), Unavailable."""
    since = await tx.fetchval(_SET, currency_from, currency_to, effective_from, rate)
    if since is None:
        raise InvalidRequest("effective_from", "is past: what was charged stays; leave it out for a rate from now on")
    if await tx.fetchval("SELECT count(*) FROM exchange_rates") > MAX_ROWS:
        raise InvalidRequest("rate", f"there are {MAX_ROWS} rates, which is the limit")
    instant: datetime = since
    return instant


async def remove_exchange_rate(tx: Transaction, currency_from: str, currency_to: str, effective_from: datetime) -> None:
    """Take back a rate that is not yet in force. Errors: NotFound, InvalidRequest (it is in force), Unavailable."""
    ahead = await tx.fetchval(
        "SELECT effective_from > now() FROM exchange_rates "
        "WHERE currency_from = $1 AND currency_to = $2 AND effective_from = $3 FOR UPDATE",
        currency_from, currency_to, effective_from,
    )  # fmt: skip
    if ahead is None:
        raise NotFound(
            f"there is no rate of {currency_from} in {currency_to} from {effective_from.isoformat()}",
            hint=Hint.SEE_EXCHANGE_RATES,
        )
    if not ahead:
        raise InvalidRequest(
            "effective_from", "has passed: calls were charged by it; set another rate from now on instead"
        )
    await tx.execute(
        "DELETE FROM exchange_rates WHERE currency_from = $1 AND currency_to = $2 AND effective_from = $3",
        currency_from, currency_to, effective_from,
    )  # fmt: skip
