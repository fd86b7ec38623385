"""Which column of a file holds what: header names matched generously, and refused where a guess could cost money."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rating_engine.services.decks.file.errors import DeckFileError
from rating_engine.services.decks.file.limits import MAX_CELLS

HEADER_SEARCH_LINES: Final = 20  # carriers put their name, dates and remarks above the header

# What FILE.rejected.csv has besides the columns of FILE.
REJECTED_LINE: Final = "rejected_line"
REJECTED_REASON: Final = "rejected_reason"


class Column(StrEnum):
    """What a column can hold. `PRICE` is per minute, `INTERVALS` is both increments, as in 60/1.

    `COUNTRY_CODE` and `AREA_CODE` make the prefix together, in the place of `PREFIX`. `PRICE_PEAK` and its like are
    prices per minute of one band each: a row has a rate for each of them that says something.
    """

    PREFIX = "prefix"
    COUNTRY_CODE = "country_code"
    AREA_CODE = "area_code"
    PRICE_1 = "price_1"
    PRICE_N = "price_n"
    PRICE = "price"
    PRICE_PEAK = "price_peak"
    PRICE_OFF_PEAK = "price_off_peak"
    PRICE_WEEKEND = "price_weekend"
    PRICE_UNIT = "price_unit"
    INTERVAL_1 = "interval_1"
    INTERVAL_N = "interval_n"
    INTERVALS = "intervals"
    CONNECT_FEE = "connect_fee"
    FREE_SECONDS = "free_seconds"
    GRACE_PERIOD = "grace_period"
    POSTCALL_SURCHARGE = "postcall_surcharge"
    MINIMUM_CHARGE = "minimum_charge"
    EXTRAS = "extras"
    ORIGIN = "origin"
    BAND = "band"
    EFFECTIVE_FROM = "effective_from"
    EFFECTIVE_TO = "effective_to"
    CURRENCY = "currency"
    DIRECTION = "direction"
    STATUS = "status"
    BLOCKED = "blocked"


# By preference: where a header has several names of one column, the first of them here is it, the others are ignored.
# Compared without case, spaces, punctuation, currencies and what stands in brackets.
SYNONYMS: Final[Mapping[Column, tuple[str, ...]]] = {
    Column.PREFIX: (
        *("prefix", "dial prefix", "destination prefix", "number prefix", "full code", "dial code", "dialing code"),
        *("dialling code", "dest code", "destination code", "code", "codes", "prefixes", "pattern", "breakout"),
        *("префикс", "код"),
    ),
    Column.COUNTRY_CODE: ("country_code", "cc", "country prefix", "country dial code"),
    Column.AREA_CODE: ("area_code", "area codes", "city code", "city codes", "network code", "network codes", "ndc"),
    Column.PRICE_1: ("price_1", "first price", "initial price", "price first", "first interval price"),
    Column.PRICE_N: (
        *("price_n", "next price", "price next", "next interval price", "subsequent price", "additional price"),
    ),
    Column.PRICE: (
        *("price per minute", "rate per minute", "price per min", "rate per min", "price/min", "rate/min"),
        *(
            "per minute",
            "price",
            "rate",
            "sell rate",
            "sell price",
            "selling rate",
            "rate initial",
            "new rate",
            "new price",
        ),
        *("current rate", "current price", "charge", "cost", "цена", "стоимость"),
    ),
    Column.PRICE_PEAK: (*("price_peak", "peak rate per minute", "peak rate", "peak price", "rate peak", "peak"),),
    Column.PRICE_OFF_PEAK: (
        *("price_off_peak", "off-peak rate per minute", "off-peak rate", "off-peak price", "rate off-peak"),
        "off-peak",
    ),
    Column.PRICE_WEEKEND: (
        *("price_weekend", "weekend rate per minute", "weekend rate", "weekend price", "rate weekend", "weekend"),
    ),
    Column.PRICE_UNIT: ("price_unit", "price per", "unit", "rate unit"),
    Column.INTERVAL_1: (
        *("interval_1", "first interval", "initial interval", "initial increment", "first increment", "init block"),
        *("initial block", "minimum", "minimum duration", "minimum time", "minimum seconds", "min duration"),
        *("min time", "min charge seconds", "increment 1", "initial billing increment", "initial period"),
    ),
    Column.INTERVAL_N: (
        *("interval_n", "next interval", "subsequent interval", "next increment", "subsequent increment"),
        *("additional increment", "billing block", "increment n", "increment 2", "interval 2", "recurring interval"),
        *("subsequent billing increment", "subsequent period", "step"),
    ),
    Column.INTERVALS: (
        *("intervals", "increments", "billing increments", "increment", "billing increment", "billing interval"),
        *("interval", "billing", "rounding", "rounding rule", "billing terms", "billing rule"),
    ),
    Column.CONNECT_FEE: (
        *("connect_fee", "connection fee", "connect charge", "connection charge", "setup fee", "set up fee"),
        *("setup charge", "call setup fee", "connect cost", "connection cost", "setup", "initial fee"),
    ),
    Column.FREE_SECONDS: ("free_seconds", "free time", "seconds free"),
    Column.GRACE_PERIOD: ("grace_period", "grace", "grace time", "free threshold", "grace seconds"),
    Column.POSTCALL_SURCHARGE: ("postcall_surcharge", "surcharge", "post call surcharge", "disconnect charge"),
    Column.MINIMUM_CHARGE: ("minimum_charge", "min charge", "minimum price", "minimum cost", "minimum fee"),
    Column.EXTRAS: ("extras",),
    Column.ORIGIN: (
        *("origin", "origin prefix", "origin code", "origin codes", "origins", "originating prefix"),
        *("originating code", "calling number prefix", "calling prefix", "a-number prefix", "a-number", "anumbers"),
        *("caller prefix", "caller id prefix", "cli prefix", "cli", "ani prefix", "ani", "source prefix", "src prefix"),
    ),
    Column.BAND: (
        *("band", "time class", "time band", "rate band", "time period", "time of day", "peak/off-peak", "day part"),
        *("time type", "tariff period"),
    ),
    Column.EFFECTIVE_FROM: (
        *("effective_from", "effective date", "effective from date", "effective start date", "rate effective date"),
        *("effective", "effective on", "effective as of", "valid from", "valid from date", "start date", "date from"),
        *("from date", "activation date", "begin date", "действует с", "дата начала"),
    ),
    Column.EFFECTIVE_TO: (
        *("effective_to", "effective to date", "effective end date", "effective until", "effective till", "valid to"),
        *("valid to date", "valid until", "valid till", "end date", "date to", "to date", "expiry date", "expiry"),
        *("expiration date", "expiration", "expires", "expire date", "действует до", "дата окончания"),
    ),
    Column.CURRENCY: ("currency", "currency code", "cur", "ccy"),
    Column.DIRECTION: (
        *("direction", "destination", "destination name", "dest", "dest name", "direction name", "zone", "zone name"),
        *("area name", "code name", "breakout name", "name", "description", "region", "country", "country name"),
        *("направление", "название", "страна"),
    ),
    Column.STATUS: ("status", "rate status", "code status", "availability"),
    Column.BLOCKED: ("blocked", "block", "is blocked", "barred"),
}

# Beside a country code or an area code, only these are certain to hold the whole prefix; a "code" may lack its country.
WHOLE_PREFIX: Final = ("prefix", "dial prefix", "destination prefix", "number prefix", "full code")

# The columns of prices that are for one band, and the band.
BAND_PRICES: Final[Mapping[Column, str]] = {
    Column.PRICE_PEAK: "peak",
    Column.PRICE_OFF_PEAK: "off-peak",
    Column.PRICE_WEEKEND: "weekend",
}

PRICES: Final = (Column.PRICE, Column.PRICE_1, Column.PRICE_N, *BAND_PRICES)

# Currencies that decks are sold in. A price column that names one must agree with the tariff.
CURRENCIES: Final = frozenset(
    (
        *("AED", "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "INR", "JPY", "KZT", "MXN"),
        *("NOK", "PLN", "RUB", "SEK", "TRY", "UAH", "USD", "ZAR"),
    )
)

_BRACKETS: Final = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_WORD: Final = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Layout:
    """A header understood. `positions`: where each column is. `currency`: what its price columns name, or None."""

    header: tuple[str, ...]
    positions: Mapping[Column, int]
    currency: str | None

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
    names = [_plain(cell) for cell in header]
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
    if not positions.keys() & {Column.PRICE, Column.PRICE_1, *BAND_PRICES} or not _has_prefix(positions):
        return None
    _refuse_rejects(header)
    _refuse_ambiguity(header, names, positions)
    if Column.PREFIX in positions:
        positions = {column: position for column, position in positions.items() if column not in _SPLIT}
    return Layout(header, positions, _currency(header, positions))


def no_header(file: str, begins: str, columns: Mapping[Column, str] | None) -> DeckFileError:
    """That a file has no header in its first lines, of which the first that says something is `begins`."""
    wanted = (
        "it must name a prefix column (prefix, code, dial code ...) and a price column (price, rate, price_1 ...)"
        if columns is None
        else f"the profile wants {', '.join(map(repr, columns.values()))}"
    )
    return DeckFileError(
        f"no header in the first {HEADER_SEARCH_LINES} lines of {file}: {wanted}."
        + (f" The file begins with: {begins[:200]!r}" if begins else " The file is empty.")
    )


def _chosen_layout(header: tuple[str, ...], names: list[str], columns: Mapping[Column, str]) -> Layout | None:
    """Names are compared as written first, then without case and punctuation."""
    positions: dict[Column, int] = {}
    for column, name in columns.items():
        found = [position for position, cell in enumerate(header) if cell == name.strip()]
        found = found or [position for position, plain in enumerate(names) if plain == _plain(name)]
        if not found:
            return None
        if len(found) > 1:
            raise DeckFileError(f"two columns are called {name}: remove one of them")
        positions[column] = found[0]
    return Layout(header, positions, _currency(header, positions))


def _plain(name: str) -> str:
    words = _WORD.findall(_BRACKETS.sub("", name))
    return "".join(word for word in words if word.upper() not in CURRENCIES).casefold()


_PLAIN_SYNONYMS: Final = {column: tuple(map(_plain, names)) for column, names in SYNONYMS.items()}
_SPLIT: Final = (Column.COUNTRY_CODE, Column.AREA_CODE)
_CONDITIONS: Final = (Column.ORIGIN, Column.BAND, Column.EFFECTIVE_FROM, Column.EFFECTIVE_TO)
_PLAIN_SPLIT: Final = frozenset(name for column in _SPLIT for name in _PLAIN_SYNONYMS[column])
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
    by_band, by_minute = BAND_PRICES.keys() & positions.keys(), {Column.PRICE, *BAND_PRICES} & positions.keys()
    if by_minute and {Column.PRICE_1, Column.PRICE_N} & positions.keys():
        priced = (positions[column] for column in PRICES if column in positions)
        raise DeckFileError(
            f"more than one column says the price ({', '.join(header[position] for position in sorted(priced))}):"
            " keep one price, or price_1 and price_n"
        )
    if by_band and Column.BAND in positions:
        banded = sorted(positions[column] for column in (*by_band, Column.BAND))
        raise DeckFileError(
            f"the band stands in several columns ({', '.join(header[position] for position in banded)}): keep a band"
            " column and one price, or a price column for each band"
        )
    for column in (Column.PREFIX, *_SPLIT, *PRICES, *_CONDITIONS):
        if column in positions and names.count(name := names[positions[column]]) > 1:
            raise DeckFileError(f"two columns are called {header[names.index(name)]}: remove one of them")


def _currency(header: Sequence[str], positions: Mapping[Column, int]) -> str | None:
    """The currency that the names of the price columns say, as in `Rate (USD)`."""
    named = {
        word
        for column in (*PRICES, Column.CONNECT_FEE, Column.MINIMUM_CHARGE)
        if column in positions
        for word in map(str.upper, _WORD.findall(header[positions[column]]))
        if word in CURRENCIES
    }
    if len(named) > 1:
        raise DeckFileError(f"the price columns name different currencies: {', '.join(sorted(named))}")
    return named.pop() if named else None
