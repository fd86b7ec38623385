"""Which column of a file holds what: header names matched generously, and refused where a guess could cost money."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from rating_engine.services.decks.file.columns import (
    BAND_PRICES,
    BY_MINUTE,
    JURISDICTION_PRICES,
    NANP_CODES,
    PRICES,
    SOLE_PRICES,
    SYNONYMS,
    WHOLE_PREFIX,
    Column,
)
from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.limits import MAX_CELLS
from rating_engine.services.decks.file.units import CURRENCIES, Unit, names_a_pair, unit_of

# What FILE.rejected.csv has besides the columns of FILE.
REJECTED_LINE: Final = "rejected_line"
REJECTED_REASON: Final = "rejected_reason"


_BRACKETS: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Layout:
    """A header understood. `positions`: where each column is.

    `currencies`: which ones its amounts may be in; empty where it does not say. `factors`: what the numbers of a column
    are multiplied by, where they are cents, per second or minutes. `guessed`: by their names; a profile says otherwise.
    """

    header: tuple[str, ...]
    positions: Mapping[Column, int]
    currencies: frozenset[str] = frozenset()
    factors: Mapping[Column, Decimal] = field(default_factory=dict)
    guessed: bool = field(default=True, compare=False)

    @property
    def unnamed(self) -> tuple[int, ...]:
        """Where columns without a name are: what stands in one says something that nobody reads."""
        return tuple(position for position, name in enumerate(self.header) if not name)

    @property
    def of_nanp(self) -> bool:
        """Whether its codes are of the North American plan, with or without its country code 1."""
        if JURISDICTION_PRICES.keys() & self.positions.keys():
            return True
        codes = (self.positions.get(column) for column in (Column.PREFIX, Column.COUNTRY_CODE))
        return any(_plain(self.header[at]) in _PLAIN_NANP for at in codes if at is not None)

    @property
    def has_number_after_price(self) -> bool:
        """Whether numbers stand right of a price: a decimal comma there makes two cells of one price."""
        numbers = {at for column, at in self.positions.items() if column in _SECONDS or column in _FEES}
        return any(at + 1 in numbers for column, at in self.positions.items() if column in PRICES)

    @property
    def ignored(self) -> tuple[str, ...]:
        """Header names that were not understood, or gave way to a better one: their cells are not looked at."""
        used = set(self.positions.values())
        return tuple(name for position, name in enumerate(self.header) if position not in used and name)

    def name(self, column: Column) -> str:
        """The column as the file calls it."""
        position = self.positions.get(column)
        return column if position is None else self.header[position]


def find_layout(cells: Sequence[str], columns: Mapping[Column, str] | None = None) -> Layout | None:
    """The layout of a header row, or None when this is no header: it names no prefix, or no price.

    `columns`: by a profile's names alone; then None where one of them is missing. Raises DeckFileError for a header
    that can be read in two ways of which one would cost money.
    """
    header = tuple(cell.strip() for cell in cells)
    if len(header) > MAX_CELLS:
        raise DeckFileError(f"a row above the rates has {len(header):,} cells, more than {MAX_CELLS:,}: it is no deck")
    names = [_known_name(cell) for cell in header]
    if columns is not None:
        layout = _chosen_layout(header, names, columns)
        if layout is not None:
            _refuse_rejects(header)
        return layout
    positions = {column: position for column in SYNONYMS if (position := _find(column, names)) is not None}
    if Column.INTERVALS in positions and {Column.INTERVAL_1, Column.INTERVAL_N} & positions.keys():
        # beside a first interval, "increment" is the next one; beside both it says nothing new
        increments = positions.pop(Column.INTERVALS)
        positions.setdefault(Column.INTERVAL_N, increments)
    if not positions.keys() & set(SOLE_PRICES) or not _has_prefix(positions):
        return None
    _refuse_rejects(header)
    _refuse_ambiguity(header, names, positions)
    if Column.PREFIX in positions:
        positions = {column: position for column, position in positions.items() if column not in _SPLIT}
    return _measured(header, positions)


def no_header(file: str, begins: str, columns: Mapping[Column, str] | None) -> DeckFileError:
    """That a file has no header in the lines where one may be, of which the first that says something is `begins`."""
    wanted = (
        "it must name a prefix column (prefix, code, dial code ...) and a price column (price, rate, price_1 ...)"
        if columns is None
        else f"the profile wants {', '.join(map(repr, columns.values()))}"
    )
    return DeckFileError(
        f"no header in {file}: {wanted}."
        + (f" The file begins with: {begins[:200]!r}" if begins else " The file is empty.")
    )


def _chosen_layout(header: tuple[str, ...], names: list[str], columns: Mapping[Column, str]) -> Layout | None:
    """Names are compared as written first, then without case and punctuation."""
    positions: dict[Column, int] = {}
    for column, name in columns.items():
        found = [position for position, cell in enumerate(header) if cell == name.strip()]
        found = found or [position for position, cell in enumerate(header) if _plain(cell) == _plain(name)]
        if not found:
            return None
        if len(found) > 1:
            raise DeckFileError(f"two columns are called {name}: remove one of them")
        positions[column] = found[0]
    return _measured(header, positions, guessed=False)


def _plain(name: str) -> str:
    words = _WORD.findall(_BRACKETS.sub("", name))
    return "".join(word for word in words if word.upper() not in CURRENCIES).casefold()


_PLAIN_SYNONYMS: Final = {column: tuple(map(_plain, names)) for column, names in SYNONYMS.items()}
_KNOWN: Final = frozenset(name for names in _PLAIN_SYNONYMS.values() for name in names)
_PLAIN_PRICES: Final = frozenset(_PLAIN_SYNONYMS[Column.PRICE])
_OLD_PRICES: Final = frozenset(map(_plain, ("current rate", "current price")))
_PRICE: Final = _PLAIN_SYNONYMS[Column.PRICE][0]
_SPLIT: Final = (Column.COUNTRY_CODE, Column.AREA_CODE)
_CONDITIONS: Final = (Column.ORIGIN, Column.BAND, Column.EFFECTIVE_FROM, Column.EFFECTIVE_TO)
_FEES: Final = (Column.CONNECT_FEE, Column.POSTCALL_SURCHARGE, Column.MINIMUM_CHARGE)
_AMOUNTS: Final = (*PRICES, *_FEES)
_PER_CALL: Final = re.compile(r"(?:\bper|/)\s*call\b", re.IGNORECASE)
_SECONDS: Final = (*(Column.INTERVAL_1, Column.INTERVAL_N, Column.INTERVALS, Column.FREE_SECONDS, Column.GRACE_PERIOD),)
_MINUTE: Final = 60
_CENT: Final = Decimal("0.01")
_PLAIN_SPLIT: Final = frozenset(name for column in _SPLIT for name in _PLAIN_SYNONYMS[column])
_PLAIN_NANP: Final = frozenset(map(_plain, NANP_CODES))
_PLAIN_WHOLE: Final = frozenset(map(_plain, WHOLE_PREFIX))


def _find(column: Column, names: list[str]) -> int | None:
    return next((names.index(synonym) for synonym in _PLAIN_SYNONYMS[column] if synonym in names), None)


def _has_prefix(positions: Mapping[Column, int]) -> bool:
    return Column.PREFIX in positions or positions.keys() >= set(_SPLIT)


def _refuse_rejects(header: Sequence[str]) -> None:
    if REJECTED_REASON in header:
        raise DeckFileError(
            f"this lists rows that were rejected (it has a column {REJECTED_REASON}): mend them in the deck they came"
            " from and import that, since an import replaces the whole deck"
        )


def _refuse_ambiguity(header: Sequence[str], names: list[str], positions: Mapping[Column, int]) -> None:
    prefix = names[positions[Column.PREFIX]] if Column.PREFIX in positions else ""
    split = [name for name, plain in zip(header, names, strict=True) if plain in _PLAIN_SPLIT]
    if prefix not in _PLAIN_WHOLE and len(split) > (0 if prefix else len(_SPLIT)):
        told = [header[positions[Column.PREFIX]], *split] if prefix else split
        raise DeckFileError(
            f"the number could stand in several columns ({', '.join(told)}): keep a country code and an area code, or"
            " put the whole number into one column called prefix"
        )
    _refuse_several_prices(header, positions)
    _refuse_other_prices(header, names, positions)
    for column in (Column.PREFIX, *_SPLIT, *PRICES, *_CONDITIONS):
        if column in positions and names.count(name := names[positions[column]]) > 1:
            raise DeckFileError(f"two columns are called {header[names.index(name)]}: remove one of them")


def _refuse_several_prices(header: Sequence[str], positions: Mapping[Column, int]) -> None:
    """Of a row there is one price, or one for each band or for each jurisdiction."""
    by_band, by_state = BAND_PRICES.keys() & positions.keys(), JURISDICTION_PRICES.keys() & positions.keys()
    priced = _told(header, positions, PRICES)
    if set(BY_MINUTE) & positions.keys() and {Column.PRICE_1, Column.PRICE_N} & positions.keys():
        raise DeckFileError(f"more than one column says the price ({priced}): keep one price, or price_1 and price_n")
    if (by_band and by_state) or positions.keys() >= {Column.PRICE, Column.PRICE_INDETERMINATE}:
        raise DeckFileError(f"more than one column says the price ({priced}): keep those of one kind")
    if by_band and Column.BAND in positions:
        raise DeckFileError(
            f"the band stands in several columns ({_told(header, positions, (*by_band, Column.BAND))}): keep a band"
            " column and one price, or a price column for each band"
        )
    if by_state and Column.ORIGIN in positions:
        raise DeckFileError(
            f"the caller stands in several columns ({_told(header, positions, (*by_state, Column.ORIGIN))}): keep an"
            " origin column and one price, or a price column for each jurisdiction"
        )


def _refuse_other_prices(header: Sequence[str], names: list[str], positions: Mapping[Column, int]) -> None:
    """Two columns that may each be the price, as Cost and Sell Rate; of an old and a new one the new one is it."""
    named = [at for at, name in enumerate(names) if name in _PLAIN_PRICES and name not in _OLD_PRICES]
    if Column.PRICE in positions and len({names[at] for at in named}) > 1:
        told = ", ".join(header[at] for at in named)
        raise DeckFileError(
            f"more than one column says the price ({told}): remove all but one, or name the one that is meant in a"
            " profile"
        )


def _told(header: Sequence[str], positions: Mapping[Column, int], columns: Iterable[Column]) -> str:
    return ", ".join(header[position] for position in sorted(positions[one] for one in columns if one in positions))


def _known_name(name: str) -> str:
    """A name as it is compared: without units too, where it is not known with them. `USD/min` is a price."""
    plain = _plain(name)
    if plain in _KNOWN or not name:
        return plain
    try:
        unit = unit_of(name)
    except DeckFileError:  # said when the column turns out to be used
        return plain
    if not unit.base and unit.seconds and (unit.currencies or unit.hundredths):
        return _PRICE
    return unit.base if unit.base in _KNOWN else plain


def _measured(header: tuple[str, ...], positions: Mapping[Column, int], *, guessed: bool = True) -> Layout:
    """The layout with what the names of its columns say of their amounts."""
    factors: dict[Column, Decimal] = {}
    possible: list[frozenset[str]] = []
    for column, position in positions.items():
        if column not in _AMOUNTS and column not in _SECONDS:
            continue
        name = header[position]
        if column in _SECONDS and names_a_pair(name):
            continue
        unit = unit_of(_PER_CALL.sub("", name) if column in _FEES else name)
        factor = _seconds_factor(name, unit) if column in _SECONDS else _factor(column, header, position, unit)
        if unit.unknown and (guessed or factor != 1):
            raise DeckFileError(
                f"the column {name!r} says {unit.unknown!r}, which is not understood: name the unit, as in"
                " Rate (EUR/min), or name the column in a profile"
            )
        if factor != 1:
            factors[column] = factor
        possible += [unit.currencies] if unit.currencies else []
    currencies = frozenset.intersection(*possible) if possible else frozenset()
    if possible and not currencies:
        named = ", ".join(sorted({min(some) if len(some) == 1 else "/".join(sorted(some)) for some in possible}))
        raise DeckFileError(f"the price columns name different currencies: {named}")
    return Layout(header, positions, currencies, factors, guessed)


def _factor(column: Column, header: Sequence[str], position: int, unit: Unit) -> Decimal:
    """What makes an amount one of the currency, and of a minute where it is a price of one."""
    factor = _CENT if unit.hundredths else Decimal(1)
    if not unit.seconds or (column in BY_MINUTE and unit.seconds == _MINUTE):
        return factor
    if column in BY_MINUTE and _MINUTE % unit.seconds == 0:
        return factor * (_MINUTE // unit.seconds)
    raise DeckFileError(f"the column {header[position]!r} is per {unit.seconds} seconds, which it cannot be")


def _seconds_factor(name: str, unit: Unit) -> Decimal:
    if unit.hundredths or unit.currencies or unit.seconds not in (0, 1, _MINUTE):
        raise DeckFileError(f"the column {name!r} has a unit that seconds have not")
    return Decimal(unit.seconds or 1)
