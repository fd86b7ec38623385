"""Taxes: percents of what something costs without them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rating_engine.domain.checks import check_amount, check_name

PERCENT_DECIMALS: Final = 4
MAX_PERCENT: Final = Decimal(100)


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax: `percent` of a price without it. `tax_id` 0: not kept yet. Raises InvalidRequest naming the field."""

    name: str
    percent: Decimal
    tax_id: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)
        check_amount(self.percent, "percent", PERCENT_DECIMALS, MAX_PERCENT)
