"""Amounts as a user is shown them: in the system's currency, and in the user's own beside it.

Laws: an amount that nobody can convert is null in the system's currency, and never another one's number; displayed it
stays in its own, and the sign beside it says so.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Protocol

from rating_engine.api.narayana.asked import Asked


class Converter(Protocol):
    """What amounts are converted by."""

    @property
    def system(self) -> str:
        """The system's currency."""

    def convert(self, amount: Decimal, currency_from: str, currency_to: str) -> Decimal | None:
        """One amount in another currency; None: nobody said how many."""

    def sign(self, currency: str) -> str:
        """As people write it."""


class ShownMoney:
    """What one reader is shown. `currency`: the reader's."""

    def __init__(self, converter: Converter, currency: str) -> None:
        self.currency = currency
        self.system = converter.system
        self._converter = converter

    def in_system(self, amount: Decimal | None, currency: str) -> Decimal | None:
        """An amount in the system's currency."""
        return None if amount is None else self._converter.convert(amount, currency, self._converter.system)

    def converted(self, amount: Decimal, currency: str, wanted: str) -> Decimal | None:
        """An amount in another currency; None: nobody said how many."""
        return self._converter.convert(amount, currency, wanted)

    def in_which(self, currency: str) -> str:
        """What amounts of a currency are displayed in: the reader's, or where nobody can convert them, their own."""
        return currency if self._converter.convert(Decimal(1), currency, self.currency) is None else self.currency

    def sign(self, currency: str) -> str:
        """As people write the currency that amounts of this one are displayed in."""
        return self._converter.sign(self.in_which(currency))

    def displayed(self, amount: Decimal | None, currency: str) -> Decimal | None:
        """An amount in the reader's currency, or its own where nobody can convert it: `sign` says which."""
        return None if amount is None else self._converter.convert(amount, currency, self.in_which(currency))

    def of_system(self, amount: Decimal) -> Decimal | None:
        """An amount in the system's currency, as it is displayed."""
        return self.displayed(amount, self._converter.system)


async def own_currency(asked: Asked) -> str:
    """What amounts are in that the asker gives: those that it is shown."""
    return (await shown_money(asked)).currency


async def shown_money(asked: Asked, currency: str | None = None) -> ShownMoney:
    """How the asker is shown amounts: in `currency`, else in the one it set, that of its account, or the system's."""
    converter = await asked.use.currencies.converter()
    if not currency and asked.asking.party_id is not None:
        currency = (await asked.user()).currency or await _of_account(asked)
    return ShownMoney(converter, currency or converter.system)


async def _of_account(asked: Asked) -> str | None:
    line = await asked.main_line()
    return None if line is None else (await asked.use.accounts.show(line.login)).currency
