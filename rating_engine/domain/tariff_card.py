"""Tariffs as operators see them: settings, the timeline of decks, packages, and who has them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.domain.tariff import BandMode, PackageKind, Period, RouteOrder
from rating_engine.rating.rate import DurationRounding, IncrementMode
from rating_engine.rating.schedule import Window


@dataclass(frozen=True, slots=True)
class TariffSettings:
    """What can be set of a tariff. `switch_price` is in its currency; `holiday_calendar` '': none."""

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
    holidays: tuple[tuple[date, str], ...]
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
