"""A rate as integers: what the meter computes with.

A price per minute makes thirds of a cent, so a total is counted in 1/denominator of the last decimal of its rate.
In that unit every charge is a sum of integers, and the only division is the one that rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import gcd
from typing import TYPE_CHECKING, Final

from rating_engine.rating.money import EXACT, PRICE_DECIMALS, unit
from rating_engine.rating.units import IncrementMode, PriceUnit, SurchargeUnit

if TYPE_CHECKING:
    from rating_engine.rating.rate import Rate

SECONDS_PER_MINUTE: Final = 60
_PRICE_SCALE: Final = 10**PRICE_DECIMALS
_WHOLE: Final = 100 * _PRICE_SCALE  # 100 percent, at the scale of a surcharge


@dataclass(frozen=True, slots=True)
class Terms:
    """Totals are in 1/denominator of `unit`, and hold half a unit more, so that `//` rounds half up.

    `after_first + n * step` is the total of a call whose increments, counted from `origin`, are n.
    """

    denominator: int
    fee_only: int  # the connect fee and its surcharge
    first: int  # the same and the first interval
    after_first: int
    step: int  # one increment, with its surcharge
    origin: int  # chargeable second from which increments are counted
    unit: Decimal  # one of the last decimal: 0.00001 at five decimals
    nothing: Decimal
    fee_only_cost: Decimal
    first_cost: Decimal


def terms_of(rate: Rate) -> Terms:
    """The integers of `rate`. Worth keeping: computing them costs as much as several charges."""
    by_minute = rate.price_unit is PriceUnit.MINUTE
    # With this divisor a second past the first interval costs price_n / divisor in either unit.
    divisor = SECONDS_PER_MINUTE if by_minute else rate.interval_n
    fee = _scaled(rate.connect_fee) * divisor
    first_interval = _scaled(rate.price_1) * (rate.interval_1 if by_minute else divisor)
    later_second = _scaled(rate.price_n)
    surcharge = _scaled(rate.postcall_surcharge)
    if rate.surcharge_unit is SurchargeUnit.PERCENT:
        added, factor, whole = 0, _WHOLE + surcharge, _WHOLE
    else:
        added, factor, whole = surcharge * divisor, 1, 1

    # decimals < PRICE_DECIMALS, so the denominator is a multiple of ten and its half is exact.
    denominator = 10 ** (PRICE_DECIMALS - rate.decimals) * divisor * whole
    half = denominator // 2
    fee_only = fee * factor + added + half
    first = fee_only + first_interval * factor
    step = later_second * rate.interval_n * factor
    origin = 0 if rate.increment_mode is IncrementMode.TOTAL else rate.interval_1
    after_first = first - (rate.interval_1 - origin) * later_second * factor

    common = gcd(half, fee_only, first, step, after_first)  # smaller integers, the same quotients
    denominator //= common
    last_decimal = unit(rate.decimals)
    return Terms(
        denominator=denominator,
        fee_only=fee_only // common,
        first=first // common,
        after_first=after_first // common,
        step=step // common,
        origin=origin,
        unit=last_decimal,
        nothing=EXACT.multiply(0, last_decimal),
        fee_only_cost=EXACT.multiply(fee_only // common // denominator, last_decimal),
        first_cost=EXACT.multiply(first // common // denominator, last_decimal),
    )


def _scaled(price: Decimal) -> int:
    """Exact, because a rate refuses prices of more than PRICE_DECIMALS decimals."""
    return int(price.scaleb(PRICE_DECIMALS, EXACT))
