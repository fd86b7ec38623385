"""Whether the balance of who calls has fallen below what its user wants said before a call.

Law: it goes by the balance that the mail of it goes by (services/support/notices): without what calls hold, in the
system's currency; where the exchange rate is not known nobody says anything.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rating_engine.domain.account import Subscriber
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.services.calls.ports import Now
from rating_engine.storage.calls.low_balance import balance_of
from rating_engine.storage.postgres.pool import Database


class LowBalances:
    """One for each process. Asked of those alone who want it said: a call of anybody else costs nothing more."""

    def __init__(
        self, database: Database, exchange_rates: Callable[[], Awaitable[ExchangeRates]], now: Now, currency: str
    ) -> None:
        """`currency`: the system's, in which limits are."""
        self._database = database
        self._exchange_rates = exchange_rates
        self._now = now
        self._currency = currency

    async def __call__(self, subscriber: Subscriber) -> bool:
        """Whether the balance is below `subscriber.warn_below`. Errors: Unavailable, Overloaded."""
        if subscriber.warn_below is None:
            return False
        rate = (await self._exchange_rates()).rate_at(subscriber.currency, self._currency, self._now())
        if rate is None:
            return False
        balance = await balance_of(self._database, subscriber.bucket, subscriber.account_id)
        return balance * rate < subscriber.warn_below
