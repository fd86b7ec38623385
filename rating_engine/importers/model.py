"""What a mapped rate card consists of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from rating_engine.domain.tariff import PackageKind, Period
from rating_engine.rating.rate import IncrementMode, Rate
from rating_engine.rating.schedule import Window

UNLIMITED_SECONDS: Final = 2**31 - 1  # what a package's column holds: 68 years of talk in a month


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator says about an import.

    `tariff`: name of the tariff, where one rate plan is imported. `plans`: names of the rate plans to take; empty: all.
    `time_zone`: of the old server, whose clock its rates go by. `columns`: of an A2Billing CSV file without a header,
    after the three that always come first. `increments`: those of an ASTPP rate group, for its CSV file.
    `min_duration`: A2Billing's min_duration_2bill; None: as the dump says.
    `cost`: whether cost decks are made too. `now`: what was over before it is not taken.
    """

    now: datetime
    tariff: str | None = None
    plans: tuple[str, ...] = ()
    currency: str | None = None
    time_zone: str = "UTC"
    columns: tuple[str, ...] = ()
    increments: tuple[int, int] = (0, 0)
    min_duration: int | None = None
    cost: bool = False


@dataclass(frozen=True, slots=True)
class DeckRow:
    """One row of a deck, as the table `rates` has it. An instant that is None is endless."""

    prefix: str
    direction: str
    rate: Rate
    origin: str = ""
    band: str = ""
    effective_from: datetime | None = None
    effective_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class FreePackage:
    """Seconds that cost nothing in each period, for every rate of its tariff."""

    name: str
    seconds: int
    period: Period
    waives_fees: bool
    kind: PackageKind = PackageKind.FREE


@dataclass(slots=True)
class MappedTariff:
    """A tariff to be: its settings, and its rows when they are asked for, once.

    `is_option`: beside a subscriber's tariff, for those who have its package. `is_cost`: what a carrier charges us.
    """

    name: str
    rows: Iterator[DeckRow]
    currency: str | None
    decimals: int
    increment_mode: IncrementMode
    description: str = ""
    time_zone: str = "UTC"
    windows: tuple[Window, ...] = ()
    packages: tuple[FreePackage, ...] = ()
    is_option: bool = False
    is_cost: bool = False

    def settings(self) -> dict[str, Any]:
        """What is to be set at the tariff besides its deck, by the names of the table `tariffs`."""
        return {
            "tariff": self.name,
            "currency": self.currency,
            "description": self.description,
            "is_option": self.is_option,
            "multiplier": "1",
            "decimals": self.decimals,
            "increment_mode": self.increment_mode.value,
            "time_zone": self.time_zone,
            "band_mode": "start",
            "bands": [
                {"band": window.band, "days": sorted(window.days), "starts": window.starts, "ends": window.ends}
                for window in self.windows
            ],
            "packages": [
                {
                    "name": package.name,
                    "kind": package.kind.value,
                    "seconds": package.seconds,
                    "period": package.period.value,
                    "carry_over": "none",
                    "waives_fees": package.waives_fees,
                }
                for package in self.packages
            ],
        }
