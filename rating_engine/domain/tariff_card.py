"""Tariffs as operators see them: settings, the timeline of decks, packages, and who has them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import (
    MAX_INTEGER,
    check_amount,
    check_currency,
    check_factor,
    check_name,
    check_text,
    check_whole,
    check_zone,
)
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import BandMode, PackageKind, Period, RouteOrder
from rating_engine.rating.money import MAX_PRICE, PRICE_DECIMALS
from rating_engine.rating.rate import MAX_DECIMALS, DurationRounding, IncrementMode
from rating_engine.rating.schedule import MINUTES_PER_DAY, Window

MAX_STEPS: Final = 50  # of a volume
DEFAULT_CURRENCY: Final = "EUR"  # of a new tariff whose currency nobody names

_BAND: Final = re.compile(r"[a-z][a-z0-9_-]{0,31}")


@dataclass(frozen=True, slots=True)
class TariffSettings:
    """What can be set of a tariff. `switch_price` is in its currency; `holiday_calendar` '': none. `route_plan`: by
    which its calls go, in place of its own list and order; None: by these."""

    tariff_id: int
    name: str
    version: int
    currency: str
    description: str
    is_option: bool
    multiplier: Decimal
    switch_price: Decimal
    decimals: int
    increment_mode: IncrementMode
    duration_rounding: DurationRounding
    minimum_charge: Decimal
    time_zone: str
    band_mode: BandMode
    holiday_calendar: str
    by_routing_number: bool
    route_order: RouteOrder
    allow_loss: bool
    route_plan: str | None = None


@dataclass(frozen=True, slots=True)
class TariffChanges:
    """What is to be changed of a tariff; LEAVE: as it is. `holiday_calendar` '': none.

    Raises InvalidRequest naming the field.
    """

    currency: str | Leave = LEAVE
    description: str | Leave = LEAVE
    is_option: bool | Leave = LEAVE
    multiplier: Decimal | Leave = LEAVE
    switch_price: Decimal | Leave = LEAVE
    decimals: int | Leave = LEAVE
    increment_mode: IncrementMode | Leave = LEAVE
    duration_rounding: DurationRounding | Leave = LEAVE
    minimum_charge: Decimal | Leave = LEAVE
    time_zone: str | Leave = LEAVE
    band_mode: BandMode | Leave = LEAVE
    holiday_calendar: str | Leave = LEAVE
    by_routing_number: bool | Leave = LEAVE
    route_order: RouteOrder | Leave = LEAVE
    allow_loss: bool | Leave = LEAVE
    route_plan: str | Leave | None = LEAVE

    def __post_init__(self) -> None:
        if self.currency is not LEAVE:
            check_currency(self.currency)
        if self.description is not LEAVE:
            check_text(self.description, "description")
        if self.multiplier is not LEAVE:
            check_factor(self.multiplier, "multiplier")
        if self.switch_price is not LEAVE:
            check_amount(self.switch_price, "switch_price")
        if self.decimals is not LEAVE:
            check_whole(self.decimals, "decimals", most=MAX_DECIMALS)
        if self.minimum_charge is not LEAVE:
            check_amount(self.minimum_charge, "minimum_charge", PRICE_DECIMALS, MAX_PRICE)
        if self.time_zone is not LEAVE:
            check_zone(self.time_zone)
        if self.route_plan is not LEAVE and self.route_plan is not None:
            check_name(self.route_plan, "route_plan")
        if self.holiday_calendar is not LEAVE and self.holiday_calendar:
            check_name(self.holiday_calendar, "holiday_calendar")


@dataclass(frozen=True, slots=True)
class MarkedUp:
    """The multiplier of a tariff before and after it was marked up."""

    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class Holiday:
    """A day of a calendar, on which the bands of other days don't count."""

    calendar: str
    day: date
    name: str


@dataclass(frozen=True, slots=True)
class ListedTariff:
    """A tariff in a list. `deck_version` None: no deck is in force. `users`: subscribers that have it now."""

    settings: TariffSettings
    deck_version: int | None
    rates: int
    users: int


class DeckPlace(StrEnum):
    """Where a deck stands in the timeline of its tariff."""

    IN_FORCE = "in force"
    AHEAD = "ahead"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class TimelineDeck:
    """A deck of a tariff's timeline, and where it stands now."""

    version: int
    place: DeckPlace
    effective_from: datetime
    rates: int


class CarryOver(StrEnum):
    """What a package's next period is given of this one: nothing, what is left of its own seconds, or all."""

    NONE = "none"
    NEXT = "next"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ListedPackage:
    """A package as its tariff sells it. `group` '': every direction; `seconds` None: a volume.

    `steps`: (after so many seconds of the period, factor of every price), ascending.
    """

    tariff: str
    name: str
    kind: PackageKind
    group: str
    seconds: int | None
    period: Period
    carry_over: CarryOver
    waives_fees: bool
    position: int
    steps: tuple[tuple[int, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class DirectionGroup:
    """Directions (codes) that packages are for together."""

    name: str
    directions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackageUsage:
    """What a subscriber has used of a package in the present period, in seconds. `allowance` None: a volume.

    `carried`: the part of the allowance that earlier periods left. `multiplier`: of the next call's prices (a volume).
    """

    package: ListedPackage
    begins: date
    ends: date
    allowance: int | None
    carried: int
    used: int
    held: int
    multiplier: Decimal

    @property
    def left(self) -> int | None:
        """What new calls may use; None for a volume."""
        return None if self.allowance is None else self.allowance - self.used - self.held


@dataclass(frozen=True, slots=True)
class TariffCard:
    """Everything of a tariff. `routes`: (manual position, name) of those it may use; empty: every route.

    `cost_of`: the routes whose cost it is. `holidays`: the days of its calendar from today on.
    """

    listed: ListedTariff
    decks: tuple[TimelineDeck, ...]
    bands: tuple[Window, ...]
    holidays: tuple[Holiday, ...]
    packages: tuple[ListedPackage, ...]
    routes: tuple[tuple[int, str], ...]
    cost_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ListedOption:
    """An option of a subscriber. `effective_to` None: until it is revoked."""

    tariff: str
    position: int
    effective_from: datetime
    effective_to: datetime | None
    in_force: bool


class SwitchOutcome(StrEnum):
    """What became of a change of tariff or the granting of an option; the words of the SQL function switch_tariff."""

    SWITCHED = "switched"
    UNCHANGED = "unchanged"
    REPEATED = "repeated"
    INSUFFICIENT_FUNDS = "insufficient_funds"


@dataclass(frozen=True, slots=True)
class Switched:
    """The answer to a change: `price` is what it costs, in the account's currency; charged only when switched."""

    outcome: SwitchOutcome
    price: Decimal
    currency: str
    balance: Decimal


def check_package(package: ListedPackage) -> None:
    """Whether a package is one that a tariff can sell. Raises InvalidRequest naming the field."""
    check_name(package.name, "name")
    check_whole(package.position, "position")
    if package.kind is PackageKind.FREE:
        if package.seconds is None or package.steps:
            raise InvalidRequest("minutes", "must be given, and no steps, for free minutes")
        check_whole(package.seconds // 60, "minutes", least=1, most=MAX_INTEGER // 60)
        return
    if package.seconds is not None or package.waives_fees or package.carry_over is not CarryOver.NONE:
        raise InvalidRequest("minutes", "are for a package of free minutes; a volume has steps alone")
    after = [seconds for seconds, _ in package.steps]
    if not 1 <= len(after) <= MAX_STEPS:
        raise InvalidRequest("step", f"must be given 1 to {MAX_STEPS} times")
    if after != sorted(set(after)):
        raise InvalidRequest("step", "must come in ascending order, each of another number of minutes")
    for seconds, factor in package.steps:
        check_whole(seconds, "step", least=60)
        check_factor(factor, "step")


def check_window(window: Window) -> None:
    """Whether a window is one of a tariff's bands. Raises InvalidRequest naming the field."""
    if not _BAND.fullmatch(window.band):
        raise InvalidRequest("band", "must be 1 to 32 of a-z, 0-9, _ and -, beginning with a letter")
    if window.starts == MINUTES_PER_DAY:
        raise InvalidRequest("starts", "24:00 is the end of a day; 00:00 starts one")


def check_calendar(name: str, field: str = "calendar") -> None:
    """The name of a calendar of holidays. Raises InvalidRequest."""
    if name == "none":
        raise InvalidRequest(field, "'none' is the word for no calendar")
    check_name(name, field)
