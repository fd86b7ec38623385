"""How a deck's file is to be read, and what becomes of it: what `rates import` and its like are told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.rating.rate import PriceUnit
from rating_engine.services.decks.checking import UNSERVED_PERCENT
from rating_engine.services.decks.file.dates import DateOrder
from rating_engine.services.decks.file.profile import DeckProfile


@dataclass(frozen=True, slots=True)
class DeckFileOptions:
    """How a file is to be read, and what becomes of it.

    `price_unit`: of rows that don't say; None means per minute for a `price` column and per interval for `price_1` and
    `price_n`. `sheet`: of a workbook; None takes the first. `profile`: names of the columns, and unit and sheet where
    not given. `time_zone`: of dates without an offset; None: the tariff's.

    `date_order`: of day and month where dates are numbers; None: the profile's, else the one that the file shows.

    `effective_from`: when the version comes into force; None: at once. `delta`: the file changes the version `base`, or
    where that is None the one in force then; otherwise it is the whole deck. `full_country`: it changes it too, and has
    every code of the countries that it names.

    `dry_run`: everything but publishing. `strict`: what had to be guessed refuses the file. `force`: publish what would
    be held back (see checking), of called prefixes `unserved_percent`.
    """

    price_unit: PriceUnit | None = None
    sheet: str | None = None
    profile: DeckProfile | None = None
    time_zone: str | None = None
    effective_from: datetime | None = None
    delta: bool = False
    full_country: bool = False
    base: int | None = None
    date_order: DateOrder | None = None
    dry_run: bool = False
    strict: bool = False
    force: bool = False
    unserved_percent: int = UNSERVED_PERCENT

    @property
    def changes_a_version(self) -> bool:
        """Whether the file is not the whole deck."""
        return self.delta or self.full_country


AS_IT_IS: Final = DeckFileOptions()
