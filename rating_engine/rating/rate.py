"""What one prefix costs: prices, increments, fees. Immutable and checked, so the meter need not check again.

Law: `Rate.from_json(rate.to_json()) == rate`. That text is what a reservation freezes, so a call is charged at
the rate it was promised, whatever is published meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, TypeVar

from rating_engine.rating.money import MAX_PRICE, PRICE_DECIMALS, InvalidAmount, format_amount, parse_amount
from rating_engine.rating.terms import Terms, terms_of
from rating_engine.rating.units import DurationRounding, IncrementMode, PriceUnit, SurchargeUnit

__all__ = ["DurationRounding", "IncrementMode", "InvalidRate", "PriceUnit", "Rate", "SurchargeUnit"]

MAX_INTERVAL_SECONDS: Final = 86_400 * 31  # the longest month; more is a slip of units
MAX_DECIMALS: Final = 6  # what the amount columns hold
DEFAULT_DECIMALS: Final = 5  # "Precision is five digits", the tenant billing REST document
PARSED_RATES_KEPT: Final = 4096  # frozen rates that finishing calls share: about 1 kB each

Amount = Decimal | int | str
_Choice = TypeVar("_Choice", bound=StrEnum)


class InvalidRate(ValueError):
    """A field of a rate that cannot be used; names it and what was wrong."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


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

    Prices and fees are Decimal, int or text, from 0 to below 10^10, with at most 8 decimals: NUMERIC(18,8).
    Raises InvalidRate naming the field. Source: the rate of the tenant billing REST document.
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
    _terms: Terms | None = field(repr=False, compare=False, init=False)
    _json: str | None = field(repr=False, compare=False, init=False)

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
    ) -> None:
        put = object.__setattr__  # the way past `frozen`, for construction alone
        first_price = _price("price_1", price_1)
        put(self, "price_1", first_price)
        put(self, "price_n", first_price if price_n is None else _price("price_n", price_n))
        put(self, "price_unit", _choice("price_unit", price_unit, PriceUnit))
        put(self, "interval_1", _whole("interval_1", interval_1, 1, MAX_INTERVAL_SECONDS))
        put(self, "interval_n", _whole("interval_n", interval_n, 1, MAX_INTERVAL_SECONDS))
        put(self, "free_seconds", _whole("free_seconds", free_seconds, 0, MAX_INTERVAL_SECONDS))
        put(self, "grace_period", _whole("grace_period", grace_period, 0, MAX_INTERVAL_SECONDS))
        put(self, "connect_fee", _price("connect_fee", connect_fee))
        put(self, "postcall_surcharge", _price("postcall_surcharge", postcall_surcharge))
        put(self, "surcharge_unit", _choice("surcharge_unit", surcharge_unit, SurchargeUnit))
        put(self, "decimals", _whole("decimals", decimals, 0, MAX_DECIMALS))
        put(self, "increment_mode", _choice("increment_mode", increment_mode, IncrementMode))
        put(self, "duration_rounding", _choice("duration_rounding", duration_rounding, DurationRounding))
        put(self, "_terms", None)
        put(self, "_json", None)

    @property
    def terms(self) -> Terms:
        """The rate as integers for the meter; made at the first use and kept."""
        if self._terms is None:
            object.__setattr__(self, "_terms", terms_of(self))
        return self._terms  # type: ignore[return-value]  # set just above

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


_PRICES: Final = ("price_1", "price_n", "connect_fee", "postcall_surcharge")
_FIELDS: Final = frozenset(name for name in Rate.__dataclass_fields__ if not name.startswith("_"))


def _render(rate: Rate) -> str:
    plain = Rate(price_1=rate.price_1)  # every other field at its default
    values: dict[str, str | int] = {"price_1": format_amount(rate.price_1)}
    for name in _FIELDS:
        value = getattr(rate, name)
        if value != getattr(plain, name):
            values[name] = format_amount(value) if name in _PRICES else value
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


@lru_cache(maxsize=PARSED_RATES_KEPT)
def _parse(text: str) -> Rate:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRate("rate", "is not JSON") from error
    if not isinstance(values, dict):
        raise InvalidRate("rate", "is not a JSON object")
    for name in values:
        if name not in _FIELDS:
            raise InvalidRate(name, "is not a field of a rate")
    if "price_1" not in values:
        raise InvalidRate("price_1", "is missing")
    return Rate(**values)


def _price(name: str, value: Amount) -> Decimal:
    try:
        return parse_amount(value, name, PRICE_DECIMALS, maximum=MAX_PRICE)
    except InvalidAmount as error:
        raise InvalidRate(name, error.problem) from None


def _whole(name: str, value: int, least: int, most: int) -> int:
    if type(value) is not int:  # a bool is an int, and no length
        raise InvalidRate(name, f"is a {type(value).__name__}; give a whole number (int)")
    if not least <= value <= most:
        raise InvalidRate(name, f"must be from {least} to {most}")
    return value


def _choice(name: str, value: _Choice | str, choices: type[_Choice]) -> _Choice:
    try:
        return choices(value)
    except ValueError:
        raise InvalidRate(name, f"must be one of {', '.join(choices)}") from None
