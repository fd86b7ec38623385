"""Route plans: named lists of routes with an order of their own; and when calls that are suspected go by another.

Laws: who goes by a plan goes by it alone: a plan without routes has none, and is not "every route". A call's plan is
that of its group of cards, else of the user or the nearest above it, else of its tariff; one that is suspected goes by
the blacklist's, whatever it had. Source: shared/spec/domain.md 2.9 and 2.11, mor.md section 6 (LCR, dynamic blacklist).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_name, check_text, check_whole
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import RouteOrder, Tariff

MAX_PLANS: Final = 1_000  # all are held in memory by every engine
MAX_PLAN_ROUTES: Final = 500  # of one; gone through at each of its calls
MAX_SCORE: Final = 1_000_000
MAX_THRESHOLD: Final = 3 * MAX_SCORE  # what source, destination and address can have together
NO_ROUTE: Final[Mapping[int, int]] = MappingProxyType({-1: 0})  # a list that no route is on; an empty one would be none


class BlacklistMode(StrEnum):
    """Whether suspected calls of a user go by another plan; GLOBAL: as the whole installation has it."""

    OFF = "off"
    ON = "on"
    GLOBAL = "global"


@dataclass(frozen=True, slots=True)
class RoutePlan:
    """A plan as calls go by it. `routes`: their numbers with their places; NO_ROUTE where it has none."""

    plan_id: int
    name: str
    order: RouteOrder
    routes: Mapping[int, int]

    def of(self, tariff: Tariff) -> Tariff:
        """The tariff, of whose calls the plan says where they go."""
        return replace(tariff, routes=self.routes, route_order=self.order)


@dataclass(frozen=True, slots=True)
class Blacklisting:
    """Calls whose scores are above `threshold` together go by the plan of that number."""

    threshold: int
    plan_id: int


@dataclass(frozen=True, slots=True)
class KnownPlans:
    """All plans by their numbers, and what counts for who has the dynamic blacklist as everybody (None: it is off)."""

    plans: Mapping[int, RoutePlan]
    blacklisting: Blacklisting | None = None


@dataclass(frozen=True, slots=True)
class NewRoutePlan:
    """A plan to be made, with its routes by name in their manual order. Raises InvalidRequest naming the field."""

    name: str
    routes: tuple[str, ...]
    order: RouteOrder = RouteOrder.MANUAL
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        check_text(self.description, "description")
        check_routes(self.routes)


@dataclass(frozen=True, slots=True)
class RoutePlanChanges:
    """What is to be changed of a plan; LEAVE: as it is. Raises InvalidRequest naming the field."""

    name: str | Leave = LEAVE
    routes: tuple[str, ...] | Leave = LEAVE
    order: RouteOrder | Leave = LEAVE
    description: str | Leave = LEAVE

    def __post_init__(self) -> None:
        if self.name is not LEAVE:
            check_name(self.name)
        if self.description is not LEAVE:
            check_text(self.description, "description")
        if self.routes is not LEAVE:
            check_routes(self.routes)


@dataclass(frozen=True, slots=True)
class ListedRoutePlan:
    """A plan as it is shown; `users`: tariffs, users, groups of cards and the blacklist that point to it."""

    plan_id: int
    name: str
    order: RouteOrder
    description: str
    routes: tuple[str, ...]
    users: int


@dataclass(frozen=True, slots=True)
class GlobalBlacklist:
    """The dynamic blacklist of everybody who has no own. `plan`: by name. Raises InvalidRequest naming the field."""

    enabled: bool
    threshold: int | None = None
    plan: str | None = None

    def __post_init__(self) -> None:
        check_threshold(self.threshold)
        if self.enabled and (self.threshold is None or self.plan is None):
            field = "threshold" if self.threshold is None else "plan"
            raise InvalidRequest(field, "has to be said before it is switched on")


def check_routes(names: tuple[str, ...]) -> None:
    """Routes of a plan. Raises InvalidRequest."""
    if not 1 <= len(names) <= MAX_PLAN_ROUTES:
        raise InvalidRequest("routes", f"a plan has 1 to {MAX_PLAN_ROUTES} routes")
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InvalidRequest("routes", f"{twice!r} is named twice")


def check_threshold(threshold: int | None, field: str = "threshold") -> None:
    """A sum of scores. Raises InvalidRequest."""
    check_whole(threshold, field, most=MAX_THRESHOLD)
