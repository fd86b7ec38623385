"""What one unit of a currency was in another at an instant. Exact decimals throughout, like all money."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from operator import itemgetter
from typing import Final, NamedTuple

from rating_engine.rating.money import quantise_fraction

EXCHANGE_DECIMALS: Final = 10  # NUMERIC(20,10): the column of the rates


class ExchangeRate(NamedTuple):
    """One of `currency_from` is `rate` of `currency_to` from an instant on."""

    currency_from: str
    currency_to: str
    effective_from: datetime
    rate: Decimal


class ExchangeRates:
    """The known rates of every pair of currencies, each from an instant on. It never changes."""

    __slots__ = ("_pairs",)

    def __init__(self, rows: Iterable[tuple[str, str, datetime, Decimal]] = ()) -> None:
        """Of rows (currency from, currency to, effective from, rate > 0) in any order, each instant of a pair once."""
        pairs: dict[tuple[str, str], list[tuple[datetime, Decimal]]] = {}
        for currency_from, currency_to, effective_from, rate in rows:
            pairs.setdefault((currency_from, currency_to), []).append((effective_from, rate))
        self._pairs = {pair: tuple(sorted(dated)) for pair, dated in pairs.items()}

    def rate_at(self, currency_from: str, currency_to: str, at: datetime) -> Decimal | None:
        """How many of `currency_to` one of `currency_from` is at an instant; None where that is not known.

        The newest rate of the pair in force counts, however old; only where there is none, one over the newest of the
        opposite pair, rounded half up to 10 decimals. Nothing is worked out through a third currency: such a rate would
        be nobody's.
        """
        if currency_from == currency_to:
            return Decimal(1)
        direct = self._newest(currency_from, currency_to, at)
        if direct is not None:
            return direct
        opposite = self._newest(currency_to, currency_from, at)
        return None if opposite is None else quantise_fraction(1 / Fraction(opposite), EXCHANGE_DECIMALS)

    def all_to(self, currency: str, at: datetime) -> dict[str, Decimal]:
        """What one of every currency that is known in `currency` is in it at an instant; of itself 1."""
        there = sorted({currency, *(each for pair in self._pairs for each in pair)})
        found = {each: self.rate_at(each, currency, at) for each in there}
        return {each: rate for each, rate in found.items() if rate}

    def _newest(self, currency_from: str, currency_to: str, at: datetime) -> Decimal | None:
        dated = self._pairs.get((currency_from, currency_to), ())
        in_force = bisect_right(dated, at, key=itemgetter(0))
        return dated[in_force - 1][1] if in_force else None
