"""How calls went by routes lately, and what they carry now."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from rating_engine.domain.tariff import RouteQuality


@dataclass(frozen=True, slots=True)
class RouteMoney:
    """What calls by a route were sold for in one currency of accounts.

    `margin` is what is left of `sold_known`, the part of it of calls whose cost is known; `unknown`: answered calls
    whose cost is not.
    """

    currency: str
    sold: Decimal
    sold_known: Decimal
    margin: Decimal
    unknown: int


@dataclass(frozen=True, slots=True)
class RouteFigures:
    """How calls went by a route. Its name may be of one that is no more."""

    name: str
    quality: RouteQuality
    money: tuple[RouteMoney, ...]


@dataclass(frozen=True, slots=True)
class RouteLoad:
    """The open calls of a route with a limit, and those it was given in the second that runs."""

    name: str
    max_calls: int | None
    max_calls_per_second: int | None
    open_calls: int
    started: int
