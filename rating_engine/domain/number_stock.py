"""Numbers that can be had, as they are offered: by region, kind and series.

A series is what numbers begin with, all but their last SERIES_REST digits: numbers of one series stand together.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

SERIES_REST: Final = 4
MAX_SERIES: Final = 1_000  # of one answer


@dataclass(frozen=True, slots=True)
class Named:
    """A region or a kind of numbers."""

    number: int
    name: str


@dataclass(frozen=True, slots=True)
class FreeNumber:
    """One that can be ordered from `pool_id`. `cost`: what that takes in `currency`: connection and first month.

    `region_id`, `kind_id` 0: of none.
    """

    did_id: int
    number: str
    pool_id: int
    region_id: int
    kind_id: int
    cost: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Stock:
    """A part of the numbers of a question: `count` of all, their `series`, and some of them in their order."""

    count: int
    series: tuple[str, ...]
    numbers: tuple[FreeNumber, ...]
