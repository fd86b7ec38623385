"""Tariffs, rates as they are found, and routes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import MAX_INTEGER, check_name, check_whole, check_zone
from rating_engine.domain.errors import InvalidRequest
from rating_engine.rating.lcr import ANY_CALLERID, INTERNATIONAL_CALLERID, NATIONAL_CALLERID
from rating_engine.rating.matching import AttemptPrice, RateEdit
from rating_engine.rating.rate import DurationRounding, IncrementMode, Rate
from rating_engine.rating.schedule import ALWAYS, Schedule

MAX_NUMBER: Final = 32  # digits of a destination

_ROUTE_NAME: Final = re.compile(r"[A-Za-z0-9_.@:/+-]{1,64}")  # what reaches a dialplan variable as it is
_DIAL_PREFIX: Final = re.compile(r"[A-Za-z0-9_.@:/*#+-]{0,64}")
_DIGITS: Final = re.compile(r"[0-9]{0,32}")
_COUNTRY: Final = re.compile(r"[1-9][0-9]{0,3}|")


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
    tariff adds (multiplier, rounding ...).

    `attempts`: prices and routes of each attempt, where they differ; `route_id`: the route that the price is for, None:
    any.
    """

    tariff_id: int
    deck_id: int
    currency: str
    prefix: str
    direction: Direction
    rate: Rate
    attempts: tuple[AttemptPrice, ...] = ()
    route_id: int | None = None

    def of_attempt(self, attempt: int) -> RateMatch | None:
        """What the n-th attempt of a call costs; None where it has no price, and so no route."""
        if not self.attempts:
            return self
        for each in self.attempts:
            if each.attempt == attempt:
                return replace(self, rate=at_price(self.rate, each.price), attempts=(), route_id=each.route_id)
        return None


@lru_cache(maxsize=4_096)  # as many as rates are kept: one object for each, so that its arithmetic is made once
def at_price(rate: Rate, price: Decimal) -> Rate:
    """The rate with this price from its first second to its last."""
    return replace(rate, price_1=price, price_n=price)


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
    99 any. `percentage`: of the calls it may serve at all; None: all. `weight`: its share among equals. `shared`:
    for any tariff; else for those that list it or have a price for it.
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
    shared: bool = True

    @property
    def is_limited(self) -> bool:
        """Whether its calls are counted."""
        return self.max_calls is not None or self.max_calls_per_second is not None


class CalleridPolicy(IntEnum):
    """Which caller ids a route takes: those of its country code alone, international numbers, any."""

    NATIONAL = NATIONAL_CALLERID
    INTERNATIONAL = INTERNATIONAL_CALLERID
    ANY = ANY_CALLERID


@dataclass(frozen=True, slots=True)
class RouteChanges:
    """What is to be changed of a route; LEAVE: as it is, None: no limit. `cost_tariff`: its name; None: not known.

    Raises InvalidRequest naming the field.
    """

    position: int | Leave = LEAVE
    dial_prefix: str | Leave = LEAVE
    number_prefix: str | Leave = LEAVE
    weight: int | Leave = LEAVE
    percentage: int | Leave | None = LEAVE
    max_calls: int | Leave | None = LEAVE
    max_calls_per_second: int | Leave | None = LEAVE
    callerid_policy: CalleridPolicy | Leave = LEAVE
    country_code: str | Leave = LEAVE
    default_allowed: bool | Leave = LEAVE
    time_zone: str | Leave = LEAVE
    cost_tariff: str | Leave | None = LEAVE
    enabled: bool | Leave = LEAVE

    def __post_init__(self) -> None:
        for name, least, most in (
            ("position", -MAX_INTEGER, MAX_INTEGER), ("weight", 1, MAX_INTEGER), ("percentage", 1, 100),
            ("max_calls", 0, MAX_INTEGER), ("max_calls_per_second", 1, MAX_INTEGER),
        ):  # fmt: skip
            if (number := getattr(self, name)) is not LEAVE:
                check_whole(number, name, least=least, most=most)
        for name, pattern, what in (
            ("dial_prefix", _DIAL_PREFIX, "may have letters, digits and _ . @ : / * # + - only, 64 at most"),
            ("number_prefix", _DIGITS, "may have digits only, 32 at most"),
            ("country_code", _COUNTRY, "must be 1 to 4 digits that don't begin with 0, or empty"),
        ):
            if (text := getattr(self, name)) is not LEAVE and not pattern.fullmatch(text):
                raise InvalidRequest(name, f"{text[:70]!r}: {what}")
        if self.time_zone is not LEAVE:
            check_zone(self.time_zone)
        if self.cost_tariff is not LEAVE and self.cost_tariff is not None:
            check_name(self.cost_tariff, "cost_tariff")


def check_route_name(name: str, field: str = "name") -> None:
    """A route's name, as it reaches the dialplan. Raises InvalidRequest."""
    if not _ROUTE_NAME.fullmatch(name):
        raise InvalidRequest(field, "must be 1 to 64 of letters, digits and _ . @ : / + -")


def check_direction(direction: Direction) -> None:
    """Lengths that a number can have. Raises InvalidRequest."""
    check_name(direction.code, "code")
    check_name(direction.name, "name")
    for name, length in (("min_len", direction.min_len), ("max_len", direction.max_len)):
        check_whole(length, name, least=1, most=MAX_NUMBER)
    if direction.min_len is not None and direction.max_len is not None and direction.min_len > direction.max_len:
        raise InvalidRequest("min_len", "must not be above max_len")


@dataclass(frozen=True, slots=True)
class ListedRoute:
    """A route as shown to people: a disabled one takes no calls. `cost_tariff`: its name, if any."""

    route: Route
    enabled: bool
    cost_tariff: str | None = None
