"""The price of a call at an instant: which tariff and rate count for it, and the one exact rate made of them.

Law: everything is of one instant, `at`: decks, bands, options and exchange rates. So a deck that is switched at a
second prices a call before or after, never half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.outcomes import Declined, DeclineReason
from rating_engine.domain.tariff import BandMode, RateMatch, Tariff
from rating_engine.rating.charge import charge
from rating_engine.rating.checks import MAX_MULTIPLIER_DIGITS
from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.parts import MAX_CHANGES
from rating_engine.rating.rate import Change, DurationRounding, IncrementMode, Rate
from rating_engine.services.calls.number import Dialled
from rating_engine.services.facts.sources import CallSources

RATES_KEPT: Final = 4_096  # as many as parsed rates: those in use
MINUTE: Final = 60  # seconds of the call that prices are compared by
FACTORS: Final = Context(prec=MAX_MULTIPLIER_DIGITS, rounding=ROUND_HALF_UP)
ONE: Final = Decimal(1)
FACTORS_UP: Final = Context(prec=MAX_MULTIPLIER_DIGITS, rounding=ROUND_CEILING)


@fast_frozen
class Price:
    """What a call costs. `tariff` owns the rate; `tariffs` are all that were asked, options first.

    `rate` is in the account's currency, with all that the tariff adds; it knows nothing of packages yet.
    `is_blacklisted`: the call is suspected, so that a price for one route is none outside of the list of routes.
    """

    tariff: Tariff
    tariffs: tuple[Tariff, ...]
    match: RateMatch
    rate: Rate
    is_blacklisted: bool = False


class Pricing:
    """Prices calls from what is remembered of tariffs, decks and exchange rates."""

    def __init__(self, sources: CallSources) -> None:
        self._tariff = sources.tariff
        self._rate = sources.rate
        self._row = sources.row
        self._exchange_rates = sources.exchange_rates

    async def price(self, subscriber: Subscriber, dialled: Dialled, at: datetime, cap_seconds: int) -> Price | Declined:
        """The price of a call that starts at `at` and lasts at most `cap_seconds`. Errors: Unavailable."""
        tariffs = await self._tariffs_of(subscriber, at)
        tariff = tariffs[0] if len(tariffs) == 1 else await self._deciding(tariffs, dialled, at)
        if tariff is None:
            return Declined(DeclineReason.NO_RATE)
        return await self.price_in(tariff, tariffs, dialled, subscriber.currency, at, cap_seconds)

    async def price_in(
        self,
        tariff: Tariff,
        tariffs: tuple[Tariff, ...],
        dialled: Dialled,
        currency: str,
        at: datetime,
        cap_seconds: int,
    ) -> Price | Declined:
        """The same by one tariff (of those that were asked), in an account's currency. Errors: Unavailable."""
        match = await self.match(tariff, dialled, at, tariff.schedule.band_at(at))
        if match is None:
            return Declined(DeclineReason.NO_RATE)
        of_all, match = match, match.of_attempt(dialled.attempt)
        if match is None:
            return Declined(
                DeclineReason.NO_ROUTE, f"{of_all.direction.name} has no price of attempt {dialled.attempt}"
            )
        if not match.direction.accepts_length_of(dialled.destination):
            return Declined(DeclineReason.INVALID_DESTINATION, f"wrong length for {match.direction.name}")
        exchange = ONE if tariff.currency == currency else await self.exchange(tariff.currency, currency, at)
        if exchange is None:
            return Declined(DeclineReason.NO_EXCHANGE_RATE, f"{tariff.currency} in {currency} is not known")
        rate = match.rate
        if tariff.band_mode is BandMode.SPLIT and tariff.schedule.windows:
            rate = await self._through_bands(tariff, match, dialled, at, cap_seconds)
        return Price(tariff, tariffs, match, as_sold(rate, tariff, exchange))

    async def match(self, tariff: Tariff, dialled: Dialled, at: datetime, band: str) -> RateMatch | None:
        """The rate that a tariff has for a call. Errors: Unavailable."""
        return await self._rate(tariff, priced_number(tariff, dialled), at=at, origin=dialled.origin, band=band)

    async def exchange(self, currency_from: str, currency_to: str, at: datetime) -> Decimal | None:
        """One of the first currency in the second; None where nobody said. Errors: Unavailable."""
        if currency_from == currency_to:
            return ONE
        return (await self._exchange_rates()).rate_at(currency_from, currency_to, at)

    async def cost(self, tariff_id: int, dialled: Dialled, at: datetime) -> tuple[Tariff, Rate] | None:
        """What a carrier charges for a call, in its currency; None where its deck does not serve the number.

        Errors: Unavailable.
        """
        tariff = await self._tariff(tariff_id, at)
        if tariff is None:
            return None
        number = Dialled(dialled.routed, "", dialled.origin)
        match = await self.match(tariff, number, at, tariff.schedule.band_at(at))
        match = None if match is None else match.of_attempt(number.attempt)
        return None if match is None else (tariff, as_sold(match.rate, tariff, ONE))

    async def _deciding(self, tariffs: Sequence[Tariff], dialled: Dialled, at: datetime) -> Tariff | None:
        """The tariff whose row has the longest prefix, the first of equals; that row may block the call."""
        longest, deciding = 0, None
        for tariff in tariffs:
            band = tariff.schedule.band_at(at)
            row = await self._row(tariff, priced_number(tariff, dialled), at=at, origin=dialled.origin, band=band)
            if row is not None and len(row.prefix) > longest:
                longest, deciding = len(row.prefix), tariff
        return deciding

    async def _tariffs_of(self, subscriber: Subscriber, at: datetime) -> tuple[Tariff, ...]:
        """Options first, in their order, so that of equal prefixes theirs count."""
        if not subscriber.options:
            own = await self._tariff(subscriber.tariff_id, at)
            return () if own is None else (own,)
        ids = [one.tariff_id for one in subscriber.options if one.effective_from <= at < one.effective_to]
        tariffs = [await self._tariff(tariff_id, at) for tariff_id in (*ids, subscriber.tariff_id)]
        return tuple(tariff for tariff in tariffs if tariff is not None)

    async def _through_bands(
        self, tariff: Tariff, match: RateMatch, dialled: Dialled, at: datetime, cap_seconds: int
    ) -> Rate:
        """The rate of a call whose price changes with the time of day while it lasts."""
        changes: list[Change] = []
        present = match.rate
        for second, band in tariff.schedule.changes(at, cap_seconds):
            # The deck and the dates of its rates stay those of the call's start: only the band is another.
            of_all = await self.match(tariff, dialled, at, band)
            later = None if of_all is None else of_all.of_attempt(dialled.attempt)
            if later is not None and _goes_on_as(later.rate) != _goes_on_as(present):
                present = later.rate
                if len(changes) == MAX_CHANGES:
                    break  # a call that long goes on at the last price
                changes.append(_change(second, present, match.rate))
        return replace(match.rate, changes=tuple(changes)) if changes else match.rate


def priced_number(tariff: Tariff, dialled: Dialled) -> str:
    """The number that a tariff prices a call by."""
    return dialled.routing_number if tariff.by_routing_number and dialled.routing_number else dialled.destination


def _goes_on_as(rate: Rate) -> tuple[object, ...]:
    return rate.price_n, rate.price_unit, rate.interval_n, rate.multiplier


def _change(second: int, rate: Rate, first: Rate) -> Change:
    """From this second on the price of `rate`, in a call whose every price has the multiplier of its `first` rate.

    What has no end as a decimal is rounded up at the last digit that a factor has: so halves of a cent still are.
    """
    factor = Decimal(1)
    if rate.multiplier != first.multiplier:
        factor = FACTORS_UP.divide(rate.multiplier, first.multiplier)
    return Change(second, rate.price_n, rate.price_unit, rate.interval_n, factor)


def _product(one: Decimal, other: Decimal) -> Decimal:
    """Of two factors; exact up to the forty digits that a rate has for it, rounded beyond: many volumes need more."""
    return FACTORS.multiply(one, other).normalize(FACTORS)


def as_sold(rate: Rate, tariff: Tariff, exchange: Decimal) -> Rate:
    """A rate of a deck with all that its tariff adds, in the currency that one of the tariff's is `exchange` of."""
    return _as_sold(
        rate,
        tariff.multiplier if exchange == 1 else _product(tariff.multiplier, exchange),
        tariff.decimals,
        tariff.increment_mode,
        tariff.duration_rounding,
        tariff.minimum_charge,
    )


@lru_cache(maxsize=RATES_KEPT)
def _as_sold(
    rate: Rate,
    multiplier: Decimal,
    decimals: int,
    increment_mode: IncrementMode,
    duration_rounding: DurationRounding,
    minimum_charge: Decimal,
) -> Rate:
    """One object for each rate of a tariff, so that its arithmetic and its text are made once."""
    return replace(
        rate,
        multiplier=_product(rate.multiplier, multiplier),
        decimals=decimals,
        increment_mode=increment_mode,
        duration_rounding=duration_rounding,
        minimum_charge=rate.minimum_charge or minimum_charge,
    )


def with_volume(rate: Rate, factor: Decimal) -> Rate:
    """The rate with every price a factor higher or lower, which its call keeps where it is priced again: as a volume
    gives it, and the multiplier of a number that is called."""
    return (
        rate
        if factor == 1
        else replace(
            rate,
            multiplier=_product(rate.multiplier, factor),
            volume_factor=_product(rate.volume_factor, factor),
        )
    )


@lru_cache(maxsize=RATES_KEPT)
def minute_price(rate: Rate) -> Fraction:
    """What the first minute of a call costs exactly, fee included: by this prices and costs are compared."""
    return charge(rate, MINUTE).exact_total


def tariff_versions(tariffs: Sequence[Tariff]) -> tuple[tuple[int, int], ...]:
    """What reserve() is told of the tariffs that a call was planned from."""
    if len(tariffs) == 1:
        return ((tariffs[0].tariff_id, tariffs[0].version),)
    return tuple({tariff.tariff_id: tariff.version for tariff in tariffs}.items())
