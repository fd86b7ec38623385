"""Exchange rates as somebody else publishes them: asked once a day for each pair that an operator has set a rate of.

Laws: a rate is never a guess: a pair without a rate, or with one ahead, is the operator's alone; what differs from the
rate in force by more than the settings allow is not believed, and said. Only rates from now on come by it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.errors import RatingEngineError, Refused
from rating_engine.domain.principal import Principal
from rating_engine.rating.exchange import EXCHANGE_DECIMALS, ExchangeRate
from rating_engine.rating.money import format_amount, quantise
from rating_engine.services.tariffs.exchange import Exchange
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.exchange_rates import load_exchange_rates

EVERY: Final = timedelta(hours=20)  # every process holds all rates there ever were: one a day of a pair

AskRate = Callable[[str, str], Awaitable[Decimal]]  # what one of the first is in the second. Errors: RateNotTold

_log = structlog.get_logger(__name__)


class RateNotTold(RatingEngineError):
    """Whoever publishes rates is away, or answers none."""

    code = "rate_not_told"


@dataclass(frozen=True, slots=True)
class FeedTurn:
    """What one turn did: rates set, and pairs that were not due."""

    set: int = 0
    left: int = 0


class RateFeed:
    """Sets what is published. `jump_percent`: how far a rate may be from the one before."""

    def __init__(
        self, database: Database, principal: Principal, now: Callable[[], datetime], ask: AskRate, *, jump_percent: int
    ) -> None:
        self._database = database
        self._exchange = Exchange(database, principal)
        self._now = now
        self._ask = ask
        self._jump = Decimal(jump_percent) / 100

    async def turn(self) -> FeedTurn:
        """Every pair that is due. Errors: Refused (some were not told or not believed; the others are set)."""
        done = left = 0
        faults: list[str] = []
        for rate in _newest(await load_exchange_rates(self._database)):
            if rate.effective_from > self._now() - EVERY:
                left += 1
                continue
            try:
                await self._renew(rate)
                done += 1
            except RatingEngineError as error:
                faults.append(f"{rate.currency_from}/{rate.currency_to}: {error}")
        if faults:
            _log.error("exchange_rates_not_set", faults=faults)
            raise Refused(f"{len(faults)} exchange rates stay as they are: {'; '.join(faults[:10])}")
        return FeedTurn(done, left)

    async def _renew(self, before: ExchangeRate) -> None:
        """Errors: RateNotTold, Refused (not believed), Unavailable."""
        told = quantise(await self._ask(before.currency_from, before.currency_to), EXCHANGE_DECIMALS)
        if told <= 0 or abs(told - before.rate) > before.rate * self._jump:
            raise Refused(
                f"{format_amount(told)} is too far from {format_amount(before.rate)} to be believed; set it by hand"
            )
        await self._exchange.set(before.currency_from, before.currency_to, told)


def _newest(rates: list[ExchangeRate]) -> list[ExchangeRate]:
    """The last rate of each pair, which may be one ahead."""
    found: dict[tuple[str, str], ExchangeRate] = {}
    for rate in rates:
        pair = (rate.currency_from, rate.currency_to)
        if pair not in found or rate.effective_from > found[pair].effective_from:
            found[pair] = rate
    return list(found.values())
