"""Rate decks as operators see them: their versions, what differs between two, and what a load came to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class VersionState(StrEnum):
    """Where a version stands in the timeline of its tariff."""

    IN_FORCE = "in force"
    SCHEDULED = "scheduled"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class DeckVersion:
    """A version of a tariff's deck, in force from `effective_from` until another one is; `time_zone`: the tariff's."""

    tariff: str
    currency: str
    time_zone: str
    deck_id: int
    version: int
    state: str
    rates: int
    longest_prefix: int
    published_at: datetime
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class Later:
    """How many rates of a deck begin after an instant, and when the first of them does."""

    rates: int
    first: datetime | None


@dataclass(frozen=True, slots=True)
class Difference:
    """One prefix (of an origin, in a band) that two decks price differently, prices a minute; of its kind `total`."""

    kind: str
    prefix: str
    origin: str
    band: str
    direction: str
    old_minute: Decimal | None
    new_minute: Decimal | None
    total: int


@dataclass(frozen=True, slots=True)
class Published:
    """A deck that is published when its transaction ends, and comes into force at `effective_from`."""

    deck_id: int
    version: int
    rates: int
    directions: int
    published_at: datetime
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class Ahead:
    """Prices of a deck that begin after it comes into force: of `keys` no row began before; the earliest at `first`.

    `prefix`: the first of them. `served`: keys of which a row began before.
    """

    keys: int
    first: datetime | None
    prefix: str | None
    served: int


@dataclass(frozen=True, slots=True)
class DeltaCounts:
    """What became of the rates of a delta: `unchanged` ones say what counts anyway; `closed` were there and end."""

    added: int
    changed: int
    closed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class TariffLine:
    """A tariff as listed for people; the last four are None while it has no deck."""

    name: str
    currency: str
    version: int | None
    rates: int | None
    longest_prefix: int | None
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class DeckRate:
    """One rate as people read it. `name`: of its direction; `band`: '' where it counts at any time."""

    prefix: str
    direction: str
    name: str
    band: str
    per_minute: Decimal
    connect_fee: Decimal
    interval_1: int
    interval_n: int
