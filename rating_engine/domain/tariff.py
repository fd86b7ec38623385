"""Tariffs, rates as they are found, and routes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from rating_engine.rating.matching import RateEdit
from rating_engine.rating.rate import DurationRounding, IncrementMode, Rate
from rating_engine.rating.schedule import ALWAYS, Schedule

ANY_CALLERID: Final = 99


@dataclass(frozen=True, slots=True)
class Direction:
    """A named group of prefixes. Lengths are of the whole destination, in digits; None: any."""

    code: str
    name: str
    min_len: int | None = None
    max_len: int | None = None

    def accepts_length_of(self, destination: str) -> bool:
        """Whether a number of this direction can be as long as `destination`."""
        return (self.min_len or 0) <= len(destination) and (self.max_len is None or len(destination) <= self.max_len)


@dataclass(frozen=True, slots=True)
class PublishedDeck:
    """One deck of a tariff's timeline. What was published never changes; `edits` came after it, by their prefix.

    `key` names it in caches: the deck's id and the microsecond of its publishing, since ids alone come again when
    a database is restored or made anew beside a Redis that was not.
    """

    deck_id: int
    version: int
    effective_from: datetime
    longest_prefix: int
    key: str
    edits: Mapping[str, tuple[RateEdit, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def edits_of(self, destination: str) -> tuple[RateEdit, ...]:
        """Single rates changed since the deck was published whose prefix `destination` begins with."""
        return edits_of(self.edits, destination) if self.edits else ()


def edits_of(by_prefix: Mapping[str, tuple[RateEdit, ...]], destination: str) -> tuple[RateEdit, ...]:
    """Those whose prefix `destination` begins with."""
    ends = range(1, len(destination) + 1)
    return tuple(edit for end in ends for edit in by_prefix.get(destination[:end], ()))


class BandMode(StrEnum):
    """Which band prices a call: that of its start, or that of each interval's start."""

    START = "start"
    SPLIT = "split"


class RouteOrder(StrEnum):
    """What decides which route of a tariff's calls is tried first."""

    PRIORITY = "priority"
    COST = "cost"
    QUALITY = "quality"
    MANUAL = "manual"


class PackageKind(StrEnum):
    """`free`: seconds that cost nothing; `volume`: seconds are counted, and the price falls by steps."""

    FREE = "free"
    VOLUME = "volume"


class Period(StrEnum):
    """How long a package lasts before it begins anew."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Package:
    """Free minutes or a volume price of a tariff. `directions`: codes; None: every one.

    `steps`: (after so many seconds of the period, factor of every price), ascending.
    """

    package_id: int
    tariff_id: int
    name: str
    kind: PackageKind
    directions: frozenset[str] | None
    seconds: int | None
    period: Period
    waives_fees: bool
    position: int
    steps: tuple[tuple[int, Decimal], ...] = ()


@dataclass(frozen=True, slots=True)
class Tariff:
    """All that prices a call besides its rate, as of `version`; and the timeline of decks, the latest first.

    `routes`: route ids with their manual position; empty: every route.
    """

    tariff_id: int
    version: int
    name: str
    currency: str
    multiplier: Decimal = Decimal(1)
    decimals: int = 5
    increment_mode: IncrementMode = IncrementMode.INTERVAL
    duration_rounding: DurationRounding = DurationRounding.UP
    minimum_charge: Decimal = Decimal(0)
    schedule: Schedule = ALWAYS
    band_mode: BandMode = BandMode.START
    by_routing_number: bool = False
    route_order: RouteOrder = RouteOrder.PRIORITY
    allow_loss: bool = False
    packages: tuple[Package, ...] = ()
    routes: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({}))
    decks: tuple[PublishedDeck, ...] = ()

    def deck_at(self, at: datetime) -> PublishedDeck | None:
        """The deck in force at an instant; None before the first."""
        for deck in self.decks:  # every call asks: a generator would cost as much as the rest of its look-up
            if deck.effective_from <= at:
                return deck
        return None


@dataclass(frozen=True, slots=True)
class RateMatch:
    """The rate of the longest prefix of a destination that counts for a call, as its deck says it: without what the
    tariff adds (multiplier, rounding ...)."""

    tariff_id: int
    deck_id: int
    currency: str
    prefix: str
    direction: Direction
    rate: Rate


@dataclass(frozen=True, slots=True)
class RouteQuality:
    """How calls went by a route lately."""

    attempts: int
    answered: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Route:
    """Where a call may be sent. `position` is its priority; `number_prefix` limits what it serves.

    `prefixes`: destinations it serves (True) or not, by longest prefix; `default_allowed`: all others. `windows`: when
    it is used; without any, always. `callerid_policy`: 1 caller ids of `country_code` alone, 2 international numbers,
    99 any. `percentage`: of the calls it may serve at all; None: all. `weight`: its share among equals.
    """

    name: str
    dial_prefix: str
    number_prefix: str
    position: int
    route_id: int = 0
    weight: int = 1
    percentage: int | None = None
    max_calls: int | None = None
    max_calls_per_second: int | None = None
    cost_tariff_id: int | None = None
    callerid_policy: int = ANY_CALLERID
    country_code: str = ""
    prefixes: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))
    default_allowed: bool = True
    windows: Schedule = ALWAYS
    quality: RouteQuality | None = None

    @property
    def is_limited(self) -> bool:
        """Whether its calls are counted."""
        return self.max_calls is not None or self.max_calls_per_second is not None


@dataclass(frozen=True, slots=True)
class ListedRoute:
    """A route as shown to people: a disabled one takes no calls. `cost_tariff`: its name, if any."""

    route: Route
    enabled: bool
    cost_tariff: str | None = None
