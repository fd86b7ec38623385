"""The general meter: a call as spans of billed seconds, each at one price, whatever its rate can say.

In this order: the seconds of the call -> with what is added to them and rounded up -> less the free seconds -> spans of
whole increments -> less the first billed seconds, which packages pay -> fees, block charges, surcharge -> at least the
minimum charge -> one rounding. The multiplier is in every price from the start: all of it is exact.

Law: spans are counted, never walked: their number depends on the rate, not on the length of the call. A longer call
has the same spans, longer or more of them, so it is neither billed shorter nor cheaper.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import lcm

from rating_engine.rating.rate import Rate
from rating_engine.rating.units import SECONDS_PER_MINUTE, IncrementMode, PriceUnit, SurchargeUnit


class Usage(StrEnum):
    """What seconds are billed as."""

    FIRST_INTERVAL = "first_interval"
    TIER = "tier"
    NEXT_INTERVALS = "next_intervals"


@dataclass(frozen=True, slots=True)
class Price:
    """What billed seconds of one kind cost, multiplied; `step_charge` is paid once, with the first paid of them."""

    usage: Usage
    increment: int
    a_second: Fraction
    step_charge: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Span:
    """Billed seconds in a row. `price`: its index in `prices_of` the rate. `paid`: those that packages don't pay."""

    price: int
    seconds: int
    paid: int


def prices_of(rate: Rate) -> tuple[Price, ...]:
    """Every price of a rate: of the first interval or of each tier, then of what comes after them, change by change."""
    factor = Fraction(rate.multiplier)
    prices = [
        Price(
            Usage.TIER,
            tier.increment,
            factor * Fraction(tier.price) / SECONDS_PER_MINUTE,
            factor * Fraction(tier.step_charge),
        )
        for tier in rate.tiers
    ]
    if not prices:
        first = factor * _a_second(rate.price_1, rate.price_unit, rate.interval_1)
        prices.append(Price(Usage.FIRST_INTERVAL, rate.interval_1, first))
    later = factor * _a_second(rate.price_n, rate.price_unit, rate.interval_n)
    prices.append(Price(Usage.NEXT_INTERVALS, rate.interval_n, later))
    for change in rate.changes:
        changed = _a_second(change.price_n, change.price_unit, change.interval_n)
        prices.append(Price(Usage.NEXT_INTERVALS, change.interval_n, factor * Fraction(change.multiplier) * changed))
    return tuple(prices)


def counted_seconds(rate: Rate, seconds: int) -> int:
    """The seconds of a call past its grace, with what is added to them; free ones not taken off."""
    counted = seconds + rate.added_seconds
    if rate.added_percent:
        counted -= -seconds * rate.added_percent // 100  # rounded up
    if rate.round_up_above < counted < rate.round_up_to:
        return rate.round_up_to
    return counted


def spans_of(rate: Rate, counted: int) -> list[Span]:
    """The spans of so many counted seconds, in the order of time; none inside the free seconds."""
    spans, billed = [], 0
    for price, seconds in _lengths(rate, counted):
        billed += seconds
        spans.append(Span(price, seconds, min(seconds, max(0, billed - rate.covered_seconds))))
    return spans


def is_covered_whole(rate: Rate, billed: int) -> bool:
    """Whether packages pay all billed seconds; a call inside its free seconds is covered where packages pay at all."""
    return rate.covered_seconds > 0 and billed <= rate.covered_seconds


def is_plain(rate: Rate) -> bool:
    """Whether the closed form of `terms` says all of a rate."""
    return not (
        rate.tiers
        or rate.changes
        or rate.covered_seconds
        or rate.surcharge_after
        or rate.added_seconds
        or rate.added_percent
        or rate.round_up_to
        or rate.block_charge
    )


def _lengths(rate: Rate, counted: int) -> list[tuple[int, int]]:
    """(price, seconds) of each span."""
    chargeable = counted - rate.free_seconds
    if chargeable <= 0:
        return []
    lengths, done, target = _start(rate, chargeable)
    if done < target:
        lengths += _increments(rate, done, target)
    return lengths


def _start(rate: Rate, chargeable: int) -> tuple[list[tuple[int, int]], int, int]:
    """The first interval or the tiers: (price, seconds) of each, the second they end at, and the one to bill up to."""
    if not rate.tiers:
        return [(0, rate.interval_1)], rate.interval_1, chargeable
    target = max(chargeable, rate.interval_1)
    lengths, done = [], 0
    for index, tier in enumerate(rate.tiers):
        lengths.append((index, _rounded_up(min(target - done, tier.seconds), tier.increment)))
        done += tier.seconds
        if done >= target:
            break
    return lengths, done, target


def _increments(rate: Rate, done: int, target: int) -> list[tuple[int, int]]:
    """(price, seconds) of the increments from second `done` on until `target` is billed.

    An increment counts to the change that is in force at its own start, however far beyond the next one it goes.
    """
    in_total = rate.increment_mode is IncrementMode.TOTAL and not rate.tiers
    lengths: list[tuple[int, int]] = []
    price, interval = max(len(rate.tiers), 1), rate.interval_n
    changes = iter(rate.changes)
    change = next(changes, None)
    while done < target:
        while change is not None and change.at_second - rate.free_seconds <= done:
            price, interval = price + 1, change.interval_n
            change = next(changes, None)
        stop = target if change is None else min(target, change.at_second - rate.free_seconds)
        origin = 0 if in_total else done
        end = origin + _rounded_up(stop - origin, interval)
        lengths.append((price, end - done))
        done = end
    return lengths


def _rounded_up(seconds: int, increment: int) -> int:
    return -(-seconds // increment) * increment


def _a_second(price: Decimal, price_unit: PriceUnit, interval: int) -> Fraction:
    return Fraction(price) / (SECONDS_PER_MINUTE if price_unit is PriceUnit.MINUTE else interval)


@dataclass(frozen=True, slots=True)
class SpanTerms:
    """The prices of a rate as integers, in 1/denominator of the last decimal of its costs; fees and prices before the
    surcharge in 1/(denominator / `before_surcharge`)."""

    denominator: int
    connect_fee: int
    block_charge: int
    a_second: tuple[int, ...]
    step_charges: tuple[int, ...]
    before_surcharge: int
    surcharge_factor: int  # over `before_surcharge`: what a percentage makes of one
    surcharge: int
    minimum: int

    def bill(self, rate: Rate, seconds: int) -> tuple[int, int]:
        """The billed seconds of a call past its grace, and its cost in units of the last decimal."""
        counted = counted_seconds(rate, seconds)
        billed = usage = 0
        for price, length in _lengths(rate, counted):  # as `spans_of`, without an object for each
            billed += length
            paid = min(length, billed - rate.covered_seconds)
            if paid > 0:
                usage += self.step_charges[price] + paid * self.a_second[price]
        covered_whole = is_covered_whole(rate, billed)
        if covered_whole and rate.waived_fees:
            return billed, 0
        total = self.connect_fee + usage
        if self.block_charge:
            total += counted // rate.block_seconds * self.block_charge
        if seconds >= rate.surcharge_after:
            total = total * self.surcharge_factor + self.surcharge
        else:
            total *= self.before_surcharge
        if not covered_whole:
            total = max(total, self.minimum)
        return billed, (2 * total + self.denominator) // (2 * self.denominator)

    def longest(self, rate: Rate, units: int, cap: int) -> int:
        """The most seconds, from the grace period to `cap`, whose cost is at most `units` of the last decimal."""
        if self.bill(rate, cap)[1] <= units:
            return cap
        low, high = rate.grace_period, cap - 1
        while low < high:  # the cost never falls with time: the last second that is paid is found by halving
            middle = (low + high + 1) // 2
            if self.bill(rate, middle)[1] <= units:
                low = middle
            else:
                high = middle - 1
        return low


def span_terms_of(rate: Rate) -> SpanTerms:
    """The integers of `rate` for the general meter, which is right for plain rates too, and slower."""
    last_decimal = 10**rate.decimals
    factor = Fraction(rate.multiplier) * last_decimal
    prices = prices_of(rate)
    surcharge, percent = factor * Fraction(rate.postcall_surcharge), Fraction(1)
    if rate.surcharge_unit is SurchargeUnit.PERCENT:
        surcharge, percent = Fraction(0), 1 + Fraction(rate.postcall_surcharge) / 100
    connect_fee, block_charge = factor * Fraction(rate.connect_fee), factor * Fraction(rate.block_charge)
    a_second = [price.a_second * last_decimal for price in prices]
    steps = [price.step_charge * last_decimal for price in prices]
    minimum = factor * Fraction(rate.minimum_charge)
    scale = lcm(*(part.denominator for part in (surcharge, minimum, connect_fee, block_charge, *a_second, *steps)))
    return SpanTerms(
        denominator=scale * percent.denominator,
        connect_fee=int(connect_fee * scale),
        block_charge=int(block_charge * scale),
        a_second=tuple(int(part * scale) for part in a_second),
        step_charges=tuple(int(part * scale) for part in steps),
        before_surcharge=percent.denominator,
        surcharge_factor=percent.numerator,
        surcharge=int(surcharge * scale) * percent.denominator,
        minimum=int(minimum * scale) * percent.denominator,
    )
