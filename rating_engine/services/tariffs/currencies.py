"""Currencies, and amounts in the system's one beside the account's.

Law: what is converted here is shown and never charged: the latest exchange rate counts. Where there is none an amount
is not known, and that is said (None) rather than another currency's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from rating_engine.domain.errors import NotFound
from rating_engine.domain.price_list import Currency
from rating_engine.domain.principal import Principal
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.money import AMOUNT_DECIMALS, EXACT, quantise
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import currencies as store
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

SIGNS: Final[Mapping[str, str]] = MappingProxyType({"EUR": "€", "USD": "$", "GBP": "£", "RUB": "rub."})


class Converter:
    """Amounts in other currencies, by the exchange rates of one moment. Pure."""

    def __init__(self, rates: ExchangeRates, at: datetime, system: str, signs: Mapping[str, str] = SIGNS) -> None:
        self.system = system
        self._rates = rates
        self._at = at
        self._signs = signs

    def convert(self, amount: Decimal, currency_from: str, currency_to: str) -> Decimal | None:
        """Rounded half up to six decimals; None where nobody said how many of the one are the other."""
        if currency_from == currency_to:
            return amount
        rate = self._rates.rate_at(currency_from, currency_to, self._at)
        return None if rate is None else quantise(EXACT.multiply(amount, rate), AMOUNT_DECIMALS)

    def sign(self, currency: str) -> str:
        """As people write a currency; its code where nobody said."""
        return self._signs.get(currency) or currency


class Currencies:
    """What one principal asks of currencies, and sets of them."""

    def __init__(self, database: Database, principal: Principal, *, system: str) -> None:
        self._database = database
        self._principal = principal
        self._system = system

    async def known(self) -> list[Currency]:
        """The system's currency, and all that are not switched off and have a rate or a row. Errors: Unavailable."""
        said = await store.load_currencies(self._database)
        codes = {self._system} | said.keys() | await store.exchanged_currencies(self._database)
        rates, now = ExchangeRates(await load_exchange_rates(self._database)), datetime.now(UTC)
        found = [
            replace(said.get(code) or Currency(code, ""), course=rates.rate_at(self._system, code, now))
            for code in sorted(codes, key=lambda code: (code != self._system, code))
        ]
        return [
            replace(each, sign=each.sign or SIGNS.get(each.code, each.code))
            for each in found
            if each.enabled or each.code == self._system
        ]

    async def show(self, code: str) -> Currency:
        """One of them. Errors: NotFound, Unavailable."""
        for each in await self.known():
            if each.code == code:
                return each
        raise NotFound(f"currency {code[:40]!r} is not known here", field="currency")

    async def set(self, currency: Currency) -> None:
        """Keep what is said of a currency. Errors: Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.set_currency(tx, currency)
            await record(
                tx, "currency.set", currency.code,
                {"sign": currency.sign, "enabled": currency.enabled, "transfer_fee": currency.transfer_fee,
                 "referral_reward": currency.referral_reward},
            )  # fmt: skip

    async def converter(self) -> Converter:
        """What amounts are shown by. Errors: Unavailable."""
        rates = ExchangeRates(await load_exchange_rates(self._database))
        signs = {code: each.sign for code, each in (await store.load_currencies(self._database)).items() if each.sign}
        return Converter(rates, datetime.now(UTC), self._system, {**SIGNS, **signs})
