"""The details of a call as JSON values, as the spool and its promises keep them on disk.

Law: `details_from_values(details_to_values(details)) == details`. What a record of an earlier version does not say has
its default; what has none, or is of another type, makes the record unreadable.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, fields
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from rating_engine.domain.reservation import CallDetails, PackageUse, ResellerPrice

_FIELDS: Final = {field.name: field for field in fields(CallDetails)}


def details_to_values(details: CallDetails) -> dict[str, Any]:
    """A dict of what JSON has: text, whole numbers, lists, null."""
    values = asdict(details)
    values["carrier_exchange"] = _text(details.carrier_exchange)
    values["packages"] = [[use.package_id, use.period_start.isoformat(), use.seconds] for use in details.packages]
    values["resellers"] = [{**asdict(price), "exchange": _text(price.exchange)} for price in details.resellers]
    return values


def details_from_values(values: dict[str, Any]) -> CallDetails:
    """The details. Raises ValueError naming the field."""
    kept: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        if name in values:
            kept[name] = _value(name, values[name])
        elif field.default is MISSING:
            raise ValueError(f"{name} is missing")
    return CallDetails(**kept)


def _value(name: str, value: Any) -> Any:
    match name:
        case "carrier_exchange":
            return _exchange(name, value)
        case "packages":
            return tuple(_package_use(each) for each in value)
        case "resellers":
            return tuple(_reseller_price(each) for each in value)
    wanted = int if _FIELDS[name].type == "int" else str
    if type(value) is not wanted:
        raise ValueError(f"{name} is not a {'whole number' if wanted is int else 'text'}")
    return value


def _text(exchange: Decimal | None) -> str | None:
    return None if exchange is None else str(exchange)


def _exchange(name: str, value: Any) -> Decimal | None:
    return None if value is None else _decimal(name, value)


def _decimal(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(value) if type(value) is str else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise ValueError(f"{name} is not a number")
    return number


def _reseller_price(values: Any) -> ResellerPrice:
    numbers, texts = ("account_id", "tariff_id", "deck_id"), ("prefix", "rate")
    if {*values} != {*numbers, *texts, "exchange"} or any(type(values[name]) is not int for name in numbers):
        raise ValueError("resellers: is not a list of prices")
    if any(type(values[name]) is not str for name in texts):
        raise ValueError("resellers: is not a list of prices")
    return ResellerPrice(**{**values, "exchange": _exchange("resellers", values["exchange"])})


def _package_use(values: Any) -> PackageUse:
    package_id, period_start, seconds = values
    if type(package_id) is not int or type(seconds) is not int:
        raise ValueError("packages: is not a list of packages")
    return PackageUse(package_id, date.fromisoformat(period_start), seconds)
