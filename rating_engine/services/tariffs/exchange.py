"""Exchange rates: what an account pays for prices that are in another currency than its own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.errors import Hint, InvalidRequest
from rating_engine.rating.exchange import EXCHANGE_DECIMALS, ExchangeRates, ExchangeRow
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, quantise
from rating_engine.services.tariffs.fields import amount_of, currency_of, moment_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import exchange_rates as store

MAX_RATE: Final = Decimal("9999999999.9999999999")  # NUMERIC(20,10)


class Exchange:
    """The use cases of `rating-engine exchange`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, currency_from: str, currency_to: str, rate: str, since: str | None = None) -> datetime:
        """One of `currency_from` is `rate` of `currency_to`, from now on or an instant ahead; returns the instant.

        Errors: InvalidRequest naming the field, Unavailable.
        """
        pair = _pair(currency_from, currency_to)
        value = amount_of(rate, "rate", EXCHANGE_DECIMALS, MAX_RATE)
        if value == 0:
            raise InvalidRequest("rate", "must be above zero")
        moment = None if since is None else moment_of(since, "from")
        return await store.set_exchange_rate(self._database, *pair, value, moment)

    async def list(self) -> list[ExchangeRow]:
        """Every rate, of a pair the newest first. Errors: Unavailable."""
        return await store.load_exchange_rates(self._database)

    async def remove(self, currency_from: str, currency_to: str, since: str) -> None:
        """Take back a rate that is not yet in force. Errors: InvalidRequest, NotFound, Unavailable."""
        pair = _pair(currency_from, currency_to)
        await store.remove_exchange_rate(self._database, *pair, moment_of(since, "from"))


async def convert(database: Database, amount: Decimal, currency_from: str, currency_to: str, at: datetime) -> Decimal:
    """An amount in another currency at an instant, rounded half up to six decimals.

    Errors: InvalidRequest where there is no rate of the two, saying what to do; Unavailable.
    """
    if currency_from == currency_to:
        return amount
    rate = ExchangeRates(await store.load_exchange_rates(database)).rate_at(currency_from, currency_to, at)
    if rate is None:
        raise InvalidRequest(
            "currency",
            f"there is no exchange rate of {currency_from} in {currency_to}",
            hint=Hint.NO_EXCHANGE_RATE,
            about={"currency_from": currency_from, "currency_to": currency_to},
        )
    return quantise(EXACT.multiply(amount, rate), AMOUNT_DECIMALS)


def _pair(currency_from: str, currency_to: str) -> tuple[str, str]:
    pair = currency_of(currency_from, "from_currency"), currency_of(currency_to, "to_currency")
    if pair[0] == pair[1]:
        raise InvalidRequest("to_currency", "must be another currency than the first")
    return pair
