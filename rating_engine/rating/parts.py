"""What a rate may hold several of: tiers of price within a call, and changes of price while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, TypeVar

from rating_engine.rating import checks
from rating_engine.rating.checks import MAX_INTERVAL_SECONDS, Amount, InvalidRate
from rating_engine.rating.money import format_amount
from rating_engine.rating.units import PriceUnit

_Part = TypeVar("_Part", "Tier", "Change")


@dataclass(frozen=True, slots=True, init=False)
class Tier:
    """The next `seconds` of a call at a `price` a minute, in started increments of `increment` seconds.

    `step_charge` is paid once a second of the tier is paid. The last increment may be longer than what is left of the
    tier: it is paid whole, and what comes after the tier is paid all the same, as A2Billing does.
    """

    step_charge: Decimal
    price: Decimal
    seconds: int
    increment: int

    def __init__(self, step_charge: Amount, price: Amount, seconds: int, increment: int = 1) -> None:
        put = object.__setattr__
        put(self, "step_charge", checks.price("step_charge", step_charge))
        put(self, "price", checks.price("price", price))
        put(self, "seconds", checks.whole("seconds", seconds, 1, MAX_INTERVAL_SECONDS))
        put(self, "increment", checks.whole("increment", increment, 1, MAX_INTERVAL_SECONDS))

    def to_values(self) -> dict[str, str | int]:
        """What `tiers_from` reads again, fit for JSON."""
        values: dict[str, str | int] = {"price": format_amount(self.price), "seconds": self.seconds}
        if self.step_charge:
            values["step_charge"] = format_amount(self.step_charge)
        if self.increment != 1:
            values["increment"] = self.increment
        return values


@dataclass(frozen=True, slots=True, init=False)
class Change:
    """The price of later intervals that start in [at_second, next change), in seconds from the call's start.

    `multiplier`: a factor of this price beyond the rate's own.
    """

    at_second: int
    price_n: Decimal
    price_unit: PriceUnit
    interval_n: int
    multiplier: Decimal

    def __init__(
        self,
        at_second: int,
        price_n: Amount,
        price_unit: PriceUnit | str = PriceUnit.INTERVAL,
        interval_n: int = 1,
        multiplier: Amount = 1,
    ) -> None:
        put = object.__setattr__
        put(self, "at_second", checks.whole("at_second", at_second, 1, MAX_INTERVAL_SECONDS))
        put(self, "price_n", checks.price("price_n", price_n))
        put(self, "price_unit", checks.choice("price_unit", price_unit, PriceUnit))
        put(self, "interval_n", checks.whole("interval_n", interval_n, 1, MAX_INTERVAL_SECONDS))
        put(self, "multiplier", checks.multiplier("multiplier", multiplier))

    def to_values(self) -> dict[str, str | int]:
        """What `changes_from` reads again, fit for JSON."""
        values: dict[str, str | int] = {"at_second": self.at_second, "price_n": format_amount(self.price_n)}
        if self.price_unit is not PriceUnit.INTERVAL:
            values["price_unit"] = self.price_unit.value
        if self.interval_n != 1:
            values["interval_n"] = self.interval_n
        if self.multiplier != 1:
            values["multiplier"] = format_amount(self.multiplier)
        return values


MAX_TIERS: Final = 20  # A2Billing has three; each is a step of every charge
MAX_CHANGES: Final = 400  # two an hour for a week: beyond the longest call and the busiest schedule

_TIER_FIELDS: Final = frozenset(Tier.__dataclass_fields__)
_CHANGE_FIELDS: Final = frozenset(Change.__dataclass_fields__)


def tiers_from(values: Iterable[Tier | dict[str, Any]]) -> tuple[Tier, ...]:
    """Checked tiers, from tiers or from what JSON holds of them. InvalidRate names the field: `tiers[0].price`."""
    return _parts("tiers", values, MAX_TIERS, Tier, _read_tier)


def changes_from(values: Iterable[Change | dict[str, Any]]) -> tuple[Change, ...]:
    """Checked changes in the order of their seconds, from changes or from what JSON holds of them."""
    changes = _parts("changes", values, MAX_CHANGES, Change, _read_change)
    for index in range(1, len(changes)):
        if changes[index].at_second <= changes[index - 1].at_second:
            raise InvalidRate(f"changes[{index}].at_second", "must be after that of the change before it")
    return changes


def _parts(
    field: str, values: Iterable[Any], most: int, kind: type[_Part], read: Callable[[Any], _Part]
) -> tuple[_Part, ...]:
    if values == ():
        return ()
    if not isinstance(values, list | tuple):
        raise InvalidRate(field, f"is a {type(values).__name__}; give a list")
    if len(values) > most:
        raise InvalidRate(field, f"must be at most {most}")
    parts = []
    for index, value in enumerate(values):
        try:
            parts.append(value if isinstance(value, kind) else read(value))
        except InvalidRate as error:
            place = f"{field}[{index}]"
            name = f"{place}.{error.field}" if error.field != kind.__name__.lower() else place
            raise InvalidRate(name, error.problem) from None
    return tuple(parts)


def _read_tier(values: Any) -> Tier:
    fields: Any = checks.named(values, frozenset({"price", "seconds"}), _TIER_FIELDS, "tier")
    return Tier(**{"step_charge": 0, **fields})


def _read_change(values: Any) -> Change:
    fields: Any = checks.named(values, frozenset({"at_second", "price_n"}), _CHANGE_FIELDS, "change")
    return Change(**fields)
