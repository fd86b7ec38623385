"""Taxes: percents of what something costs without them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from rating_engine.domain.checks import check_above_zero, check_amount, check_name, check_whole

PERCENT_DECIMALS: Final = 4
MAX_PERCENT: Final = Decimal(100)
MAX_TAXES: Final = 4  # of one user: as many as MOR's parameters have places for (tax1_name to tax4_value)


@dataclass(frozen=True, slots=True)
class Tax:
    """One tax: `percent` of a price without it. `tax_id` 0: not kept yet. Raises InvalidRequest naming the field."""

    name: str
    percent: Decimal
    tax_id: int = 0

    def __post_init__(self) -> None:
        check_name(self.name)
        check_amount(self.percent, "percent", PERCENT_DECIMALS, MAX_PERCENT)


@dataclass(frozen=True, slots=True)
class PartyTax:
    """One of the taxes of a user, at its place of MAX_TAXES. Raises InvalidRequest naming the field."""

    position: int
    name: str
    percent: Decimal

    def __post_init__(self) -> None:
        check_whole(self.position, "taxes", least=1, most=MAX_TAXES)
        check_name(self.name, "taxes")
        check_amount(self.percent, "taxes", PERCENT_DECIMALS, MAX_PERCENT)
        check_above_zero(self.percent, "taxes")


@dataclass(frozen=True, slots=True)
class TaxLine:
    """What one tax came to on a paper."""

    name: str
    percent: Decimal
    amount: Decimal
