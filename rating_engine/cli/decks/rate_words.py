"""A rate in one line, for people: every term that is not as it is for most rates."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from rating_engine.rating.money import EXACT, PRICE_DECIMALS, format_amount, quantise
from rating_engine.rating.rate import DEFAULT_DECIMALS, Change, IncrementMode, PriceUnit, Rate, SurchargeUnit, Tier


def rate_words(rate: Rate) -> str:
    """`0.2 then 0.1 per minute, 60/1, connect fee 0.05, all x 1.2`; amounts are before the multiplier."""
    return ", ".join((*_prices(rate), *_seconds(rate), *_fees(rate), *_wholes(rate)))


def _prices(rate: Rate) -> Iterator[str]:
    intervals = f"{rate.interval_1}/{rate.interval_n}"
    first, later = format_amount(rate.price_1), format_amount(rate.price_n)
    if rate.tiers:
        yield from map(_tier, rate.tiers)
        yield f"then {later} per {rate.price_unit}"
    else:
        yield f"{first} then {later} per {rate.price_unit}" if first != later else f"{first} per {rate.price_unit}"
    yield intervals
    yield from map(_change, rate.changes)


def _tier(tier: Tier) -> str:
    words = f"{tier.seconds} s at {format_amount(tier.price)} per minute"
    words += f" by {tier.increment} s" if tier.increment != 1 else ""
    return words + (f" plus {format_amount(tier.step_charge)}" if tier.step_charge else "")


def _change(change: Change) -> str:
    price = format_amount(quantise(EXACT.multiply(change.price_n, change.multiplier), PRICE_DECIMALS))
    interval = "" if change.price_unit is PriceUnit.MINUTE and change.interval_n == 1 else f" by {change.interval_n} s"
    return f"from second {change.at_second} {price} per {change.price_unit}{interval}"


def _seconds(rate: Rate) -> Iterator[str]:
    """Which seconds count."""
    if rate.free_seconds:
        yield f"{rate.free_seconds} s free"
    if rate.grace_period:
        yield f"{rate.grace_period} s grace"
    if rate.added_seconds:
        yield f"{rate.added_seconds} s added"
    if rate.added_percent:
        yield f"{rate.added_percent} % of seconds added"
    if rate.round_up_to:
        yield f"{rate.round_up_above + 1} to {rate.round_up_to} s count as {rate.round_up_to}"
    if rate.increment_mode is IncrementMode.TOTAL:
        yield "increments from the start"
    if rate.covered_seconds:
        yield f"{rate.covered_seconds} s paid by packages"


def _fees(rate: Rate) -> Iterator[str]:
    if rate.connect_fee:
        yield f"connect fee {format_amount(rate.connect_fee)}"
    if rate.postcall_surcharge:
        per_cent = " %" if rate.surcharge_unit is SurchargeUnit.PERCENT else ""
        after = f" from second {rate.surcharge_after} on" if rate.surcharge_after else ""
        yield f"surcharge {format_amount(rate.postcall_surcharge)}{per_cent}{after}"
    if rate.block_charge:
        yield f"{format_amount(rate.block_charge)} for each {rate.block_seconds} s"
    if rate.minimum_charge:
        yield f"at least {format_amount(rate.minimum_charge)}"


def _wholes(rate: Rate) -> Iterator[str]:
    """What is done to all of it."""
    if rate.multiplier != Decimal(1):
        yield f"all x {format_amount(rate.multiplier)}"
    if rate.waived_fees:
        yield "no fees if packages pay the whole call"
    if rate.decimals != DEFAULT_DECIMALS:
        yield f"to {rate.decimals} decimals"
