"""What one prefix costs: prices, increments, fees. Immutable and checked, so the meter need not check again.

Law: `Rate.from_json(rate.to_json()) == rate`. That text is what a reservation freezes, so a call is charged at
the rate it was promised, whatever is published meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final

from rating_engine.rating import checks
from rating_engine.rating.checks import MAX_INTERVAL_SECONDS, Amount, InvalidRate
from rating_engine.rating.money import format_amount
from rating_engine.rating.parts import Change, Tier, changes_from, tiers_from
from rating_engine.rating.units import DurationRounding, IncrementMode, PriceUnit, SurchargeUnit

__all__ = [
    "Amount",
    "Change",
    "DurationRounding",
    "IncrementMode",
    "InvalidRate",
    "PriceUnit",
    "Rate",
    "SurchargeUnit",
    "Tier",
]

MAX_DECIMALS: Final = 6  # what the amount columns hold
MAX_ADDED_PERCENT: Final = 1_000  # eleven times the talk: more is a slip
MAX_COVERED_SECONDS: Final = 2**31 - 1  # what a package's column holds
DEFAULT_DECIMALS: Final = 5  # "Precision is five digits", the tenant billing REST document
PARSED_RATES_KEPT: Final = 4096  # frozen rates that finishing calls share: about 1 kB each

_PRICES: Final = ("price_1", "price_n", "connect_fee", "postcall_surcharge", "minimum_charge", "block_charge")
_LIMITS: Final = {  # of the whole numbers: the least and the most
    "interval_1": (1, MAX_INTERVAL_SECONDS),
    "interval_n": (1, MAX_INTERVAL_SECONDS),
    "free_seconds": (0, MAX_INTERVAL_SECONDS),
    "grace_period": (0, MAX_INTERVAL_SECONDS),
    "decimals": (0, MAX_DECIMALS),
    "surcharge_after": (0, MAX_INTERVAL_SECONDS),
    "added_seconds": (0, MAX_INTERVAL_SECONDS),
    "added_percent": (0, MAX_ADDED_PERCENT),
    "round_up_above": (0, MAX_INTERVAL_SECONDS),
    "round_up_to": (0, MAX_INTERVAL_SECONDS),
    "block_seconds": (0, MAX_INTERVAL_SECONDS),
    "covered_seconds": (0, MAX_COVERED_SECONDS),
}
_CHOICES: Final[dict[str, type[StrEnum]]] = {
    "price_unit": PriceUnit,
    "surcharge_unit": SurchargeUnit,
    "increment_mode": IncrementMode,
    "duration_rounding": DurationRounding,
}


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Rate:
    """The price of calls to one prefix, in the currency of its tariff.

    `price_1`: of the first interval. `price_n`: of each later one; the same as `price_1` where not given.
    `price_unit`: `interval` (a price pays one interval) or `minute` (it pays sixty seconds, pro rata).
    `interval_1`, `interval_n`: lengths, 1 to 2,678,400 whole seconds.
    `free_seconds`: not charged, at the start. `grace_period`: a call of at most so many seconds is free
    altogether. Both 0 to 2,678,400.
    `connect_fee`: of every call past its grace. `postcall_surcharge`: an `amount` of money, or a `percent` of
    fee and usage, by `surcharge_unit`. `decimals`: places of the cost, 0 to 6, rounded half up, once.
    `increment_mode`: `total` is the meaning of A2Billing and MagnusBilling. `duration_rounding`: see its class.

    `multiplier`: an exact factor of every price and fee, above 0, of at most 40 significant digits.
    `minimum_charge`: what a call past its grace costs at least, with fees and surcharge, inside free seconds too;
    a call that packages pay whole has none.
    `surcharge_after`: the surcharge is due from this second of the call on.
    `added_seconds`, `added_percent`: are added to the seconds of a call past its grace; a started second is whole.
    `round_up_above`, `round_up_to`: then more seconds than the one and fewer than the other count as the other.
    `block_charge`: a fee for each whole `block_seconds` of the seconds so far, free ones included.
    `tiers`: take the place of the first interval, of which `interval_1` remains as the least that is billed; what
    comes after them is paid at `price_n` in started increments of `interval_n`, whatever the increment mode.
    `changes`: of `price_n`, `price_unit` and `interval_n` while a call lasts. An increment is of the price at its own
    start, as billed time runs from the call's start, free seconds included; the first interval is the rate's own.
    `covered_seconds`: the first so many billed seconds are paid by packages and cost nothing, in parts of an increment
    too; fees are paid. With `waived_fees` a call that is covered whole costs nothing at all.
    `volume_factor`: what volume steps gave, a part of `multiplier` already: a call that is re-rated keeps it.

    Prices and fees are Decimal, int or text, from 0 to below 10^10, with at most 8 decimals: NUMERIC(18,8).
    Raises InvalidRate naming the field. Sources: the rate of the tenant billing REST document; what A2Billing,
    MagnusBilling, ASTPP, rate-o-mat and YETI can say of a rate.
    """

    price_1: Decimal
    price_n: Decimal
    price_unit: PriceUnit
    interval_1: int
    interval_n: int
    free_seconds: int
    grace_period: int
    connect_fee: Decimal
    postcall_surcharge: Decimal
    surcharge_unit: SurchargeUnit
    decimals: int
    increment_mode: IncrementMode
    duration_rounding: DurationRounding
    multiplier: Decimal
    minimum_charge: Decimal
    surcharge_after: int
    added_seconds: int
    added_percent: int
    round_up_above: int
    round_up_to: int
    block_charge: Decimal
    block_seconds: int
    tiers: tuple[Tier, ...]
    changes: tuple[Change, ...]
    covered_seconds: int
    waived_fees: bool
    volume_factor: Decimal
    _terms: object = field(repr=False, compare=False, init=False)  # kept by `terms.terms_of`, opaque here
    _json: str | None = field(repr=False, compare=False, init=False)
    _hash: int | None = field(repr=False, compare=False, init=False)

    def __init__(
        self,
        *,
        price_1: Amount,
        price_n: Amount | None = None,
        price_unit: PriceUnit | str = PriceUnit.INTERVAL,
        interval_1: int = 1,
        interval_n: int = 1,
        free_seconds: int = 0,
        grace_period: int = 0,
        connect_fee: Amount = 0,
        postcall_surcharge: Amount = 0,
        surcharge_unit: SurchargeUnit | str = SurchargeUnit.AMOUNT,
        decimals: int = DEFAULT_DECIMALS,
        increment_mode: IncrementMode | str = IncrementMode.INTERVAL,
        duration_rounding: DurationRounding | str = DurationRounding.UP,
        multiplier: Amount = 1,
        minimum_charge: Amount = 0,
        surcharge_after: int = 0,
        added_seconds: int = 0,
        added_percent: int = 0,
        round_up_above: int = 0,
        round_up_to: int = 0,
        block_charge: Amount = 0,
        block_seconds: int = 0,
        tiers: Sequence[Tier | dict[str, Any]] = (),
        changes: Sequence[Change | dict[str, Any]] = (),
        covered_seconds: int = 0,
        waived_fees: bool = False,
        volume_factor: Amount = 1,
    ) -> None:
        given = locals()
        put = object.__setattr__  # the way past `frozen`, for construction alone
        given["price_n"] = price_1 if price_n is None else price_n
        for name in _PRICES:
            put(self, name, checks.price(name, given[name]))
        for name, (least, most) in _LIMITS.items():
            put(self, name, checks.whole(name, given[name], least, most))
        for name, choices in _CHOICES.items():
            put(self, name, checks.choice(name, given[name], choices))
        put(self, "multiplier", checks.multiplier("multiplier", multiplier))
        put(self, "tiers", tiers_from(tiers))
        put(self, "changes", changes_from(changes))
        put(self, "waived_fees", checks.yes_or_no("waived_fees", waived_fees))
        put(self, "volume_factor", checks.multiplier("volume_factor", volume_factor))
        if round_up_above and round_up_to <= round_up_above:
            raise InvalidRate("round_up_to", "must be above round_up_above")
        if self.block_charge and not block_seconds:
            raise InvalidRate("block_seconds", "must be at least 1 where there is a block_charge")
        put(self, "_terms", None)
        put(self, "_json", None)
        put(self, "_hash", None)

    def __hash__(self) -> int:
        """Of all that it says, counted once: a call looks what was made of its rate up by it several times."""
        if self._hash is None:
            object.__setattr__(self, "_hash", hash(_said(self)))
        return self._hash  # type: ignore[return-value]  # set just above

    def __reduce__(self) -> tuple[Callable[[str], Rate], tuple[str]]:
        """By its text: the hash of one process is none in another."""
        return _parse, (self.to_json(),)

    def to_json(self) -> str:
        """Compact JSON: sorted keys, amounts as text, fields with their default left out.

        The defaults are thereby part of the stored form: a changed default would re-price frozen rates.
        """
        if self._json is None:
            object.__setattr__(self, "_json", _render(self))
        return self._json  # type: ignore[return-value]  # set just above

    @staticmethod
    def from_json(text: str) -> Rate:
        """The rate that `to_json` wrote. Raises InvalidRate, with field `rate` where no field is to blame."""
        return _parse(text)


_AMOUNTS: Final = frozenset({*_PRICES, "multiplier", "volume_factor"})
_PARTS: Final = frozenset({"tiers", "changes"})
_FIELDS: Final = frozenset(name for name in Rate.__dataclass_fields__ if not name.startswith("_"))
_said: Final = attrgetter(*sorted(_FIELDS))


def _render(rate: Rate) -> str:
    plain = Rate(price_1=rate.price_1)  # every other field at its default
    values: dict[str, Any] = {"price_1": format_amount(rate.price_1)}
    for name in _FIELDS:
        value = getattr(rate, name)
        if value == getattr(plain, name):
            continue
        if name in _AMOUNTS:
            values[name] = format_amount(value)
        elif name in _PARTS:
            values[name] = [part.to_values() for part in value]
        else:
            values[name] = value
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=PARSED_RATES_KEPT)
def _parse(text: str) -> Rate:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRate("rate", "is not JSON") from error
    fields: Any = checks.named(values, frozenset({"price_1"}), _FIELDS, "rate")
    return Rate(**fields)
