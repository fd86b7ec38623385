"""A rate as integers: what the meter computes with.

A price per minute makes thirds of a cent, so a total is counted in 1/denominator of the last decimal of its rate.
In that unit every charge is a sum of integers, and the only division is the one that rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import gcd
from typing import Final

from rating_engine.rating.money import EXACT, PRICE_DECIMALS, unit
from rating_engine.rating.rate import Rate
from rating_engine.rating.spans import SpanTerms, is_plain, span_terms_of
from rating_engine.rating.units import SECONDS_PER_MINUTE, IncrementMode, PriceUnit, SurchargeUnit

_PRICE_SCALE: Final = 10**PRICE_DECIMALS
_WHOLE: Final = 100 * _PRICE_SCALE  # 100 percent, at the scale of a surcharge


@dataclass(frozen=True, slots=True)
class Terms:
    """Totals are in 1/denominator of `unit`, and hold half a unit more, so that `//` rounds half up.

    `after_first + n * step` is the total of a call whose increments, counted from `origin`, are n; it is raised to
    `minimum`. Where the rate is not plain, `spans` has its terms, and here only `unit` and `nothing` are true.
    """

    denominator: int
    minimum: int
    fee_only: int  # the connect fee and its surcharge, at least the minimum
    first: int  # the same and the first interval, at least the minimum
    after_first: int
    step: int  # one increment, with its surcharge
    origin: int  # chargeable second from which increments are counted
    unit: Decimal  # one of the last decimal: 0.00001 at five decimals
    nothing: Decimal
    fee_only_cost: Decimal
    first_cost: Decimal
    spans: SpanTerms | None


def terms_of(rate: Rate) -> Terms:
    """The integers of `rate`, made once and kept with it: computing them costs as much as several charges."""
    kept = rate._terms
    if kept is None:
        kept = _computed(rate)
        object.__setattr__(rate, "_terms", kept)
    return kept  # type: ignore[return-value]  # an opaque slot to Rate, so that it needs to know no meter


def _computed(rate: Rate) -> Terms:
    by_minute = rate.price_unit is PriceUnit.MINUTE
    # With this divisor a second past the first interval costs price_n / divisor in either unit.
    divisor = SECONDS_PER_MINUTE if by_minute else rate.interval_n
    multiplier = Fraction(rate.multiplier)
    times = multiplier.numerator
    fee = _scaled(rate.connect_fee) * times * divisor
    first_interval = _scaled(rate.price_1) * times * (rate.interval_1 if by_minute else divisor)
    later_second = _scaled(rate.price_n) * times
    surcharge = _scaled(rate.postcall_surcharge)
    if rate.surcharge_unit is SurchargeUnit.PERCENT:
        added, factor, whole = 0, _WHOLE + surcharge, _WHOLE
    else:
        added, factor, whole = surcharge * times * divisor, 1, 1

    # decimals < PRICE_DECIMALS, so the denominator is a multiple of ten and its half is exact.
    denominator = 10 ** (PRICE_DECIMALS - rate.decimals) * multiplier.denominator * divisor * whole
    half = denominator // 2
    minimum = _scaled(rate.minimum_charge) * times * divisor * whole + half
    fee_only = fee * factor + added + half
    first = fee_only + first_interval * factor
    step = later_second * rate.interval_n * factor
    origin = 0 if rate.increment_mode is IncrementMode.TOTAL else rate.interval_1
    after_first = first - (rate.interval_1 - origin) * later_second * factor

    fee_only, first = max(fee_only, minimum), max(first, minimum)
    common = gcd(half, minimum, fee_only, first, step, after_first)  # smaller integers, the same quotients
    denominator //= common
    last_decimal = unit(rate.decimals)
    return Terms(
        denominator=denominator,
        minimum=minimum // common,
        fee_only=fee_only // common,
        first=first // common,
        after_first=after_first // common,
        step=step // common,
        origin=origin,
        unit=last_decimal,
        nothing=EXACT.multiply(0, last_decimal),
        fee_only_cost=EXACT.multiply(fee_only // common // denominator, last_decimal),
        first_cost=EXACT.multiply(first // common // denominator, last_decimal),
        spans=None if is_plain(rate) else span_terms_of(rate),
    )


def _scaled(price: Decimal) -> int:
    """Exact, because a rate refuses prices of more than PRICE_DECIMALS decimals."""
    return int(price.scaleb(PRICE_DECIMALS, EXACT))
