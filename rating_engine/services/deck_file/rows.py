"""One row of a deck checked and made ready for COPY.

Law: what is taken is a rate that the meter takes (tests build a `Rate` of it). The prices of a row are checked by
themselves. Everything else it says, decks repeat over and over: each distinct set of these terms is checked once, by
building a `Rate` of it, and looked up from then on. That keeps the check of a row far cheaper than storing it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from rating_engine.rating.money import MAX_PRICE, PRICE_DECIMALS, InvalidAmount, format_amount, parse_amount
from rating_engine.rating.number import MAX_NUMBER_DIGITS
from rating_engine.rating.rate import InvalidRate, PriceUnit, Rate
from rating_engine.services.deck_file.codes import joined_codes, shown, whole_codes
from rating_engine.services.deck_file.errors import RowRejected
from rating_engine.services.deck_file.layout import Column, Layout

MAX_DIRECTION_CHARACTERS: Final = 200  # a name on an invoice; longer is a remark in the wrong column
MAX_WHOLE_DIGITS: Final = 9  # of a number of seconds; Rate then says what is too many
KEPT_TERMS: Final = 20_000  # distinct sets kept while reading: some 10 MB, and several times what a deck has

PRICE_UNITS: Final = {
    **dict.fromkeys(("minute", "minutes", "min", "m", "per minute", "per min", "/min", "1 min"), PriceUnit.MINUTE),
    **dict.fromkeys(("interval", "intervals", "per interval", "increment", "per increment"), PriceUnit.INTERVAL),
}

# What stands for a price, or in a column of its own, where a carrier does not take calls to a code.
BLOCKED_WORDS: Final = frozenset(("blocked", "block", "barred", "bar"))
NO_PRICE: Final = frozenset(("", "-", "n/a", "na"))  # in a row that is said to be blocked
BLOCKED_STATUS: Final = {
    **dict.fromkeys(BLOCKED_WORDS, True),
    **dict.fromkeys(("", "active", "open", "enabled", "allowed", "available", "ok", "current", "new"), False),
    **dict.fromkeys(("unchanged", "no change", "same", "changed", "change"), False),
    **dict.fromkeys(("increase", "increased", "decrease", "decreased"), False),
}
BLOCKED_ANSWERS: Final = {
    **dict.fromkeys((*BLOCKED_WORDS, "yes", "y", "true", "t", "1", "x"), True),
    **dict.fromkeys(("", "no", "n", "false", "f", "0", "open"), False),
}

# Prices that need no second look: every one of them fits NUMERIC(18,8).
_PLAIN_PRICE: Final = re.compile(r"\d{1,10}(?:\.\d{1,8})?", re.ASCII).fullmatch
_PAIR: Final = re.compile(r"(\d{1,9})\s*[/+:-]\s*(\d{1,9})", re.ASCII)  # 60/1
_BLOCKED: Final = ("f", "t")  # as COPY reads a boolean; the last column of a row
_COPY_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_CODES: Final = (Column.PREFIX, Column.COUNTRY_CODE, Column.AREA_CODE)
_ROW_BY_ROW: Final = (*_CODES, Column.PRICE, Column.PRICE_1, Column.PRICE_N)  # what terms leave out
_AMOUNTS: Final = (Column.CONNECT_FEE, Column.POSTCALL_SURCHARGE)
_WHOLES: Final = (Column.INTERVAL_1, Column.INTERVAL_N, Column.FREE_SECONDS, Column.GRACE_PERIOD)


@dataclass(frozen=True, slots=True)
class DeckTerms:
    """What holds for every row of a file that does not say otherwise."""

    currency: str
    price_unit: PriceUnit
    decimal_comma: bool  # 0,05 is five cents; never in a comma-separated file, where it may be two cells


class RowChecker:
    """Turns the cells of a row into its prefixes and the COPY text of its terms."""

    def __init__(self, layout: Layout, terms: DeckTerms) -> None:
        at = layout.positions
        self._layout = layout
        self._terms = terms
        self._width = len(layout.header)
        self._country_at = at.get(Column.COUNTRY_CODE)
        self._code_at = at[Column.AREA_CODE if Column.COUNTRY_CODE in at else Column.PREFIX]
        self._split = self._country_at is not None
        self._price_1_at = at[Column.PRICE if Column.PRICE in at else Column.PRICE_1]
        self._price_n_at = at.get(Column.PRICE_N, self._price_1_at)
        self._term_columns = [column for column in at if column not in _ROW_BY_ROW]
        self._term_cells = _picker([at[column] for column in self._term_columns])
        self._known_terms: dict[tuple[str, ...], tuple[str, str]] = {}
        self._known_prices: dict[str, str] = {}

    def check(self, cells: list[str]) -> tuple[tuple[str, ...], str]:
        """The prefixes, each once, and the COPY text of the other columns (see storage/deck_load.TERMS).

        Raises RowRejected with the reason, which names the column as the file does.
        """
        if len(cells) != self._width:
            cells = self._fitted(cells)
        code, price_1, price_n = cells[self._code_at], cells[self._price_1_at], cells[self._price_n_at]
        if code.isdigit() and code.isascii() and len(code) <= MAX_NUMBER_DIGITS and not self._split:
            codes: tuple[str, ...] = (code,)
        else:
            codes = self._codes(cells)
        if not _PLAIN_PRICE(price_1):
            if self._is_blocked(price_1, cells):
                return codes, self._blocked_terms(cells)
            price_1 = self._clean_price(self._price_1_at, price_1)
        if not _PLAIN_PRICE(price_n):
            price_n = self._clean_price(self._price_n_at, price_n) if price_n.strip() else price_1
        term_cells = self._term_cells(cells)
        terms = self._known_terms.get(term_cells)
        if terms is None:
            terms = self._checked_terms(term_cells)
        return codes, f"{terms[0]}\t{price_1}\t{price_n}\t{terms[1]}"

    def _fitted(self, cells: list[str]) -> list[str]:
        """The row as wide as the header: empty cells at its end may be missing, or too many."""
        if any(map(str.strip, cells[self._width :])):
            raise RowRejected(
                f"has {len(cells)} cells, the header has {self._width}: a name or a price with the delimiter in it"
                " must stand in quotes"
            )
        return cells[: self._width] + [""] * (self._width - len(cells))

    def _codes(self, cells: list[str]) -> tuple[str, ...]:
        name = self._layout.header[self._code_at]
        if self._country_at is None:
            return whole_codes(cells[self._code_at], name)
        country_name = self._layout.header[self._country_at]
        return joined_codes(cells[self._country_at], cells[self._code_at], country_name, name)

    def _is_blocked(self, price: str, cells: list[str]) -> bool:
        """Whether a row without a number for a price needs none: calls to its codes are declined."""
        word = price.strip().casefold()
        return word in BLOCKED_WORDS or (word in NO_PRICE and self._says_blocked(self._values(self._term_cells(cells))))

    def _blocked_terms(self, cells: list[str]) -> str:
        """The terms of a blocked row that has no price: it is kept as 0, which no call is charged."""
        before, after = self._checked_terms(self._term_cells(cells))
        return f"{before}\t0\t0\t{after[:-1]}{_BLOCKED[True]}"

    def _clean_price(self, position: int, text: str) -> str:
        """A price with a decimal comma, spaces around it, or something wrong with it."""
        known = self._known_prices.get(text)
        if known is not None:
            return known
        name = self._layout.header[position]
        if not text.strip():
            raise RowRejected(f"{name}: is empty")
        try:
            price = format_amount(parse_amount(self._amount(text), name, PRICE_DECIMALS, maximum=MAX_PRICE))
        except InvalidAmount as error:
            raise RowRejected(str(error)) from None
        if len(self._known_prices) >= KEPT_TERMS:
            self._known_prices.clear()
        self._known_prices[text] = price
        return price

    def _checked_terms(self, term_cells: tuple[str, ...]) -> tuple[str, str]:
        """The COPY text of what comes before the prices, and of what comes after them."""
        values = self._values(term_cells)
        self._check_currency(values.get(Column.CURRENCY, ""))
        try:
            rate = Rate(price_1=0, **self._rate_fields(values))
        except InvalidRate as error:
            raise RowRejected(f"{self._field_name(error.field)}: {error.problem}") from None
        terms = self._direction(values.get(Column.DIRECTION, "")), _copy_text(rate, self._says_blocked(values))
        if len(self._known_terms) >= KEPT_TERMS:
            self._known_terms.clear()
        self._known_terms[term_cells] = terms
        return terms

    def _values(self, term_cells: tuple[str, ...]) -> dict[Column, str]:
        cells = zip(self._term_columns, term_cells, strict=True)
        return {column: stripped for column, text in cells if (stripped := text.strip())}

    def _says_blocked(self, values: dict[Column, str]) -> bool:
        status = BLOCKED_STATUS.get(values.get(Column.STATUS, "").casefold())
        if status is None:
            name, text = self._layout.name(Column.STATUS), values[Column.STATUS]
            raise RowRejected(f"{name}: {shown(text)} says neither that calls are taken nor that they are blocked")
        answer = BLOCKED_ANSWERS.get(values.get(Column.BLOCKED, "").casefold())
        if answer is None:
            raise RowRejected(
                f"{self._layout.name(Column.BLOCKED)}: {shown(values[Column.BLOCKED])} is neither yes nor no"
            )
        return status or answer

    def _rate_fields(self, values: dict[Column, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {"price_unit": self._price_unit(values.get(Column.PRICE_UNIT, ""))}
        if text := values.get(Column.INTERVALS):
            fields["interval_1"], fields["interval_n"] = self._both_intervals(text)
        fields |= {column: self._whole(column, values[column]) for column in _WHOLES if column in values}
        fields |= {column: self._amount(values[column]) for column in _AMOUNTS if column in values}
        return fields

    def _amount(self, text: str) -> str:
        if self._terms.decimal_comma and "." not in text:
            return text.replace(",", ".", 1)
        return text

    def _price_unit(self, text: str) -> PriceUnit:
        if not text:
            return self._terms.price_unit
        unit = PRICE_UNITS.get(text.casefold())
        if unit is None:
            raise RowRejected(f"{self._layout.name(Column.PRICE_UNIT)}: {shown(text)} is neither minute nor interval")
        return unit

    def _both_intervals(self, text: str) -> tuple[int, int]:
        """`60/1`, or one number for both."""
        if pair := _PAIR.fullmatch(text):
            return int(pair[1]), int(pair[2])
        both = self._whole(Column.INTERVALS, text)
        return both, both

    def _whole(self, column: Column, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= MAX_WHOLE_DIGITS):
            raise RowRejected(f"{self._layout.name(column)}: {shown(text)} is not a whole number of seconds")
        return int(text)

    def _check_currency(self, text: str) -> None:
        if text and text.upper() != self._terms.currency:
            name = self._layout.name(Column.CURRENCY)
            raise RowRejected(f"{name}: {shown(text)} is not the tariff's currency, {self._terms.currency}")

    def _direction(self, text: str) -> str:
        name = self._layout.name(Column.DIRECTION)
        if len(text) > MAX_DIRECTION_CHARACTERS:
            raise RowRejected(f"{name}: is longer than {MAX_DIRECTION_CHARACTERS} characters")
        if "\0" in text:
            raise RowRejected(f"{name}: has a NUL character")
        # a workbook's cell may have several lines; a name has one, in every file it may be written to
        return " ".join(text.replace("\r", "\n").split("\n")).translate(_COPY_ESCAPES)

    def _field_name(self, field: str) -> str:
        """A field of `Rate` as the file calls the column it came from."""
        both = Column.INTERVALS in self._layout.positions and field in (Column.INTERVAL_1, Column.INTERVAL_N)
        return self._layout.name(Column.INTERVALS if both else Column(field))


def _picker(positions: list[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """A function from a row to its cells at these positions; itemgetter gives a tuple only for several."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda cells: tuple(cells[position] for position in positions)


def _copy_text(rate: Rate, blocked: bool) -> str:
    """The columns of storage/deck_load.TERMS that come after the prices, in COPY's text format."""
    return "\t".join(
        (
            rate.price_unit,
            str(rate.interval_1),
            str(rate.interval_n),
            format_amount(rate.connect_fee),
            str(rate.free_seconds),
            str(rate.grace_period),
            format_amount(rate.postcall_surcharge),
            _BLOCKED[blocked],
        )
    )
