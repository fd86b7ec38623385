"""What numbers are to be had, for who wants one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from rating_engine.domain.checks import check_whole
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.number_stock import FreeNumber, Named, Stock
from rating_engine.domain.page import MAX_LIMIT
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.storage.numbers import number_stock as store
from rating_engine.storage.numbers.rents import Payer, payer_of
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

MAX_START: Final = 10_000_000  # numbers are gone through up to there


class NumberStock:
    """What is offered, which is the same for everybody, and what it costs one."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def regions(self) -> Sequence[Named]:
        """Errors: Unavailable."""
        return await store.regions(self._database)

    async def kinds(self) -> Sequence[Named]:
        """Errors: Unavailable."""
        return await store.kinds(self._database)

    async def free(
        self,
        who: str | int,
        *,
        region: int = 0,
        kind: int = 0,
        series: str = "",
        start: int = 0,
        limit: int = 100,
    ) -> Stock:
        """Numbers of a region and a kind, 0: of any, at what they cost this user in its own currency.

        Errors: InvalidRequest naming the field, NotFound, Unavailable.
        """
        check_whole(start, "start", most=MAX_START)
        check_whole(limit, "limit", least=1, most=MAX_LIMIT)
        if not (series.isascii() and series.isdigit() and len(series) <= 15) and series != "":
            raise InvalidRequest("series", f"{series[:40]!r} is not what a number begins with, in digits")
        stock = await store.free_numbers(self._database, region, kind, series, start, limit)
        payer = await payer_of(self._database, (await find_party(self._database, who)).party_id, None)
        if payer is None:
            return stock
        rates = ExchangeRates(await load_exchange_rates(self._database))
        return replace(stock, numbers=tuple(self._priced(each, payer, rates) for each in stock.numbers))

    def _priced(self, number: FreeNumber, payer: Payer, rates: ExchangeRates) -> FreeNumber:
        """As `Rents` takes it; in the pool's currency where the rate is not known."""
        rate = Decimal(1)
        if number.currency != payer.currency:
            found = rates.rate_at(number.currency, payer.currency, self._now())
            if found is None:
                return number
            rate = Decimal(found)
        return replace(number, cost=number.cost * payer.did_multiplier * rate, currency=payer.currency)
