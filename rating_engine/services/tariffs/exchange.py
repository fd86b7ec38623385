"""Exchange rates: what an account pays for prices that are in another currency than its own."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.checks import check_above_zero, check_amount, check_currency
from rating_engine.domain.errors import Hint, InvalidRequest
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.rating.exchange import EXCHANGE_DECIMALS, ExchangeRate, ExchangeRates
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, quantise
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import exchange_rates as store

MAX_RATE: Final = Decimal("9999999999.9999999999")  # NUMERIC(20,10)


class Exchange:
    """What one principal does with exchange rates."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def set(
        self, currency_from: str, currency_to: str, rate: Decimal, since: datetime | None = None
    ) -> ExchangeRate:
        """One of `currency_from` is `rate` of `currency_to`, from now on (None) or an instant ahead.

        Errors: InvalidRequest naming the field, Unavailable.
        """
        _check_pair(currency_from, currency_to)
        check_amount(rate, "rate", EXCHANGE_DECIMALS, MAX_RATE)
        check_above_zero(rate, "rate")
        async with self._database.transaction(self._principal) as tx:
            moment = await store.set_exchange_rate(tx, currency_from, currency_to, rate, since)
            await record(
                tx, "exchange_rate.set", f"{currency_from}/{currency_to}", {"rate": rate, "effective_from": moment}
            )
        return ExchangeRate(currency_from, currency_to, moment, rate)

    async def page(self, cursor: Cursor) -> Page[ExchangeRate]:
        """Rates by pair, of each the newest first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_exchange_rates(self._database, cursor)

    async def remove(self, currency_from: str, currency_to: str, since: datetime) -> None:
        """Take back a rate that is not yet in force. Errors: InvalidRequest, NotFound, Unavailable."""
        _check_pair(currency_from, currency_to)
        async with self._database.transaction(self._principal) as tx:
            await store.remove_exchange_rate(tx, currency_from, currency_to, since)
            await record(tx, "exchange_rate.remove", f"{currency_from}/{currency_to}", {"effective_from": since})


async def convert(database: Database, amount: Decimal, currency_from: str, currency_to: str, at: datetime) -> Decimal:
    """An amount in another currency at an instant, rounded half up to six decimals.

    Errors: InvalidRequest where there is no rate of the two; Unavailable.
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


def _check_pair(currency_from: str, currency_to: str) -> None:
    check_currency(currency_from, "currency_from")
    check_currency(currency_to, "currency_to")
    if currency_from == currency_to:
        raise InvalidRequest("currency_to", "must be another currency than the first")
