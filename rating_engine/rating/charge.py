"""The meter: what a call costs, and how long a call may last for the money there is.

Laws, for every rate:
- `charge` never falls as seconds grow. Billed increments do not fall with time, no price or fee is negative,
  and rounding keeps order; so funds that pay for second m pay for every second before it.
- `max_duration` is its exact inverse: charge(m) <= funds, and m = cap or charge(m + 1) > funds.
- Nothing is rounded but the cost, once, half up, at `rate.decimals`.

Plain rates have a closed form, of integers made once (`terms`); for what else a rate can say there is `spans`.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

from rating_engine.rating.fast_frozen import fast_frozen
from rating_engine.rating.lines import Line, LineKind, lines_of
from rating_engine.rating.money import EXACT, PRICE_DECIMALS, quantise_fraction
from rating_engine.rating.rate import DurationRounding, PriceUnit, Rate
from rating_engine.rating.spans import is_plain, prices_of
from rating_engine.rating.terms import terms_of
from rating_engine.rating.units import SECONDS_PER_MINUTE

__all__ = [
    "Charge",
    "Line",
    "LineKind",
    "charge",
    "cheapest_change",
    "cheapest_later",
    "dearest_later",
    "later_minute",
    "max_charge",
    "max_duration",
    "min_charge",
    "price_per_minute",
]

PRICES_KEPT: Final = 4_096  # as many as the parsed rates: the rates in use
MAX_DIGITS: Final = 30  # before the point of a Decimal: more than any money or time, too few to fill memory


@fast_frozen
class Charge:
    """What a call of `seconds` whole seconds costs at `rate`.

    `billed_seconds`: whole increments, 0 inside grace or free seconds. `cost` has exactly `rate.decimals`
    places.
    """

    billed_seconds: int
    cost: Decimal
    rate: Rate
    seconds: int

    @property
    def lines(self) -> tuple[Line, ...]:
        """The cost explained; made when asked for. Amounts that have no end are shown with eight decimals."""
        return lines_of(self.rate, self.seconds)

    @property
    def covered_seconds(self) -> int:
        """How many of the billed seconds packages paid."""
        return min(self.rate.covered_seconds, self.billed_seconds)

    @property
    def exact_total(self) -> Fraction:
        """The sum of the lines: the cost before it was rounded."""
        return sum((line.exact_amount for line in self.lines), Fraction(0))


def charge(rate: Rate, seconds: int | Decimal) -> Charge:
    """The charge of a call answered for `seconds`; a fraction of a second goes by `rate.duration_rounding`.

    No seconds, negative ones, or at most the grace period: nothing. A call inside its free seconds but past
    its grace period pays the connect fee and the surcharge. Past the free seconds the first interval is
    charged whole, then every started `interval_n`. What else a rate can say: see `Rate`.
    Raises TypeError for a float, ValueError for NaN, infinity or more than 30 digits before the point.
    """
    if type(seconds) is not int:
        seconds = _whole_seconds(rate, seconds)
    terms = terms_of(rate)
    if seconds <= rate.grace_period:
        return Charge(0, terms.nothing, rate, seconds)
    if terms.spans is not None:
        billed, units = terms.spans.bill(rate, seconds)
        return Charge(billed, EXACT.multiply(units, terms.unit), rate, seconds)
    chargeable = seconds - rate.free_seconds
    if chargeable <= 0:
        return Charge(0, terms.fee_only_cost, rate, seconds)
    if chargeable <= rate.interval_1:
        return Charge(rate.interval_1, terms.first_cost, rate, seconds)
    increments = -((terms.origin - chargeable) // rate.interval_n)  # rounded up: -(-a // b)
    total = terms.after_first + increments * terms.step
    if total < terms.minimum:
        total = terms.minimum
    billed = terms.origin + increments * rate.interval_n
    return Charge(billed, EXACT.multiply(total // terms.denominator, terms.unit), rate, seconds)


def max_duration(rate: Rate, funds: Decimal | int, cap: int) -> int:
    """The most whole seconds, at most `cap`, whose charge `funds` pay.

    For a plain rate this is the work of one charge; for others, of one for each halving of `cap`.

    Seconds of grace need no money, so this may be positive where `funds` don't reach `min_charge`: such a
    call is declined, and it is the caller who asks `min_charge`. Negative funds pay for nothing: 0. A
    destination without a price: `cap`.
    Raises TypeError for a float, ValueError for NaN, infinity or more than 30 digits before the point.
    """
    if type(funds) is not Decimal:
        funds = _exact_funds(funds)
    if not funds.is_finite() or funds.adjusted() >= MAX_DIGITS:
        raise ValueError(f"funds: {funds} is not an amount")
    if cap <= 0 or funds < 0:
        return 0
    terms = terms_of(rate)
    # Costs are whole units, so funds pay what their whole units pay; totals below `bound` round to no more.
    units = int(funds.scaleb(rate.decimals, EXACT))
    if terms.spans is not None:
        return cap if cap <= rate.grace_period else terms.spans.longest(rate, units, cap)
    bound = (units + 1) * terms.denominator
    if terms.fee_only >= bound:
        return min(rate.grace_period, cap)
    if terms.first >= bound:
        longest = rate.free_seconds
    elif terms.step == 0:
        return cap
    else:
        increments = (bound - 1 - terms.after_first) // terms.step  # rounded down: the last is paid in full
        longest = rate.free_seconds + max(rate.interval_1, terms.origin + increments * rate.interval_n)
    return min(max(rate.grace_period, longest), cap)


@lru_cache(maxsize=PRICES_KEPT)
def max_charge(rate: Rate, cap: int) -> Decimal:
    """What a call of up to `cap` seconds may cost at most: what a reservation asks for."""
    return charge(rate, cap).cost


@lru_cache(maxsize=PRICES_KEPT)
def min_charge(rate: Rate) -> Decimal:
    """The charge of second grace_period + 1: with less money a call is declined. Zero where that is free.

    Above `max_charge(rate, cap)` where `cap` ends inside the grace period; such a call needs no money at all.
    """
    return charge(rate, rate.grace_period + 1).cost


@lru_cache(maxsize=PRICES_KEPT)
def price_per_minute(rate: Rate) -> Decimal:
    """What a minute costs without fees, by the dearest of all its intervals; 8 decimals, half up."""
    if rate.price_unit is PriceUnit.MINUTE and rate.multiplier == 1 and is_plain(rate):
        return max(rate.price_1, rate.price_n)
    dearest = max(price.a_second for price in prices_of(rate))
    return quantise_fraction(dearest * SECONDS_PER_MINUTE, PRICE_DECIMALS)


def later_minute(rate: Rate) -> Fraction:
    """What a minute past the first interval costs exactly, without fees, before any change of price."""
    return prices_of(rate)[-1 - len(rate.changes)].a_second * SECONDS_PER_MINUTE


def cheapest_change(rate: Rate) -> Fraction | None:
    """What a minute costs exactly, without fees, after the change that makes a call cheapest; None: nothing changes."""
    if not rate.changes:
        return None
    return min(price.a_second for price in prices_of(rate)[-len(rate.changes) :]) * SECONDS_PER_MINUTE


def cheapest_later(rate: Rate) -> Fraction:
    """What the cheapest minute past the first interval costs exactly, without fees, changes of price included."""
    return min(price.a_second for price in prices_of(rate)[-1 - len(rate.changes) :]) * SECONDS_PER_MINUTE


def dearest_later(rate: Rate) -> Fraction:
    """What the dearest such minute costs."""
    return max(price.a_second for price in prices_of(rate)[-1 - len(rate.changes) :]) * SECONDS_PER_MINUTE


def _whole_seconds(rate: Rate, seconds: object) -> int:
    if isinstance(seconds, Decimal):
        if not seconds.is_finite() or seconds.adjusted() >= MAX_DIGITS:
            raise ValueError(f"seconds: {seconds} is not a duration")
        nearest = rate.duration_rounding is DurationRounding.NEAREST
        return int(seconds.to_integral_value(ROUND_HALF_UP if nearest else ROUND_CEILING, EXACT))
    if isinstance(seconds, int) and not isinstance(seconds, bool):
        return int(seconds)
    raise TypeError(f"seconds: is a {type(seconds).__name__}; give an int or a Decimal")


def _exact_funds(funds: object) -> Decimal:
    if isinstance(funds, int) and not isinstance(funds, bool):
        return Decimal(funds)
    if isinstance(funds, Decimal):
        return funds
    raise TypeError(f"funds: is a {type(funds).__name__}; give a Decimal or an int")
