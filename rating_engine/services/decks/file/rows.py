"""One row of a deck checked and made ready for COPY.

Law: what is taken is a rate that the meter takes (tests build a `Rate` of it). The prices of a row are checked by
themselves. Everything else it says, decks repeat over and over: each distinct set of these terms is checked once, by
building a `Rate` of it, and looked up from then on. That keeps the check of a row far cheaper than storing it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Final

from rating_engine.rating.money import MAX_PRICE, PRICE_DECIMALS, InvalidAmount, format_amount, parse_amount
from rating_engine.rating.number import MAX_NUMBER_DIGITS
from rating_engine.services.decks.file.amounts import AmountReader
from rating_engine.services.decks.file.codes import MAX_CODES_IN_ROW, CodeReader, possible_areas, possible_codes, shown
from rating_engine.services.decks.file.columns import BAND_PRICES, JURISDICTION_PRICES, PRICES, Column
from rating_engine.services.decks.file.errors import DeckFileError, RowRejected
from rating_engine.services.decks.file.layout import Layout, find_layout
from rating_engine.services.decks.file.notes import Notes
from rating_engine.services.decks.file.terms import DeckTerms, TermReader, Terms
from rating_engine.services.decks.file.words import says_blocked, says_no_price

KEPT_TERMS: Final = 20_000  # distinct sets kept while reading: some 10 MB, and several times what a deck has

# Prices that need no second look: every one of them fits NUMERIC(18,8).
_PLAIN_PRICE: Final = re.compile(r"\d{1,10}(?:\.\d{1,8})?", re.ASCII).fullmatch
# The same where commas may be decimal marks: one that might be of thousands is looked at.
_CERTAIN_PRICE: Final = re.compile(r"0|[1-9]\d{0,9}", re.ASCII).fullmatch
_CODES: Final = (Column.PREFIX, Column.COUNTRY_CODE, Column.AREA_CODE)
_ROW_BY_ROW: Final = (*_CODES, *PRICES)  # what terms leave out


@dataclass(frozen=True, slots=True)
class Closing:
    """A row of a delta that is no rate: it ends what there is of its codes. `texts`: see storage/decks/deck_delta."""

    texts: tuple[str, ...]


# What a row says of each of its codes. A rate is what tells it from others of the prefix ('' where nothing does), and
# the COPY text of everything but the prefix (see storage/decks/deck_columns). No rate at all: the deck shall lack the
# code.
Says = tuple[tuple[str, str], ...] | Closing


@dataclass(frozen=True, slots=True)
class _Known:
    """Terms seen before. A usual row has one rate, under `key`: `before`, its prices, and what comes after them."""

    terms: Terms
    is_usual: bool
    key: str
    before: str


class RowChecker:
    """Turns the cells of a row into its prefixes and the COPY text of its rates."""

    def __init__(self, layout: Layout, terms: DeckTerms) -> None:
        at = layout.positions
        self.bands: set[str] = set()  # of the rates so far, but ''
        self.notes = Notes()
        self._code_reader = CodeReader(terms.dash, terms.digits_before, self.notes, of_nanp=layout.of_nanp)
        self._of_nanp = layout.of_nanp
        self._by_state = [(origin, at[column]) for column, origin in JURISDICTION_PRICES.items() if column in at]
        self._layout = layout
        self._plain_from = terms.digits_before
        self._delta = terms.delta
        self.amounts = AmountReader(terms.currency, self.notes, decimal_comma=terms.decimal_comma)
        # Where there is but one decimal mark, most prices need no second look.
        self._is_plain_price = _CERTAIN_PRICE if terms.decimal_comma else _PLAIN_PRICE
        self._width = len(layout.header)
        self._country_at = at.get(Column.COUNTRY_CODE)
        self._code_at = at[Column.AREA_CODE if Column.COUNTRY_CODE in at else Column.PREFIX]
        self._unnamed = layout.unnamed
        self._is_scaled = any(column in layout.factors for column in PRICES)
        self._factors = {at[column]: factor for column, factor in layout.factors.items()}
        self._split = self._country_at is not None
        self._price_columns = _price_columns(layout)
        _, self._price_1_at, self._price_n_at = self._price_columns[0]
        self._term_columns = [column for column in at if column not in _ROW_BY_ROW]
        self._term_cells = _picker([at[column] for column in self._term_columns])
        self._terms = TermReader(layout, terms, self.amounts)
        self._known_terms: dict[tuple[str, ...], _Known] = {}
        self._known_prices: dict[str, str] = {}

    def check(self, cells: list[str]) -> tuple[tuple[str, ...], Says]:
        """The prefixes, each once, and what the row says of each.

        Raises RowRejected with the reason, which names the column as the file does.
        """
        if len(cells) != self._width:
            cells = self._fitted(cells)
        if self._unnamed:
            self._refuse_unnamed(cells)
        code = cells[self._code_at]
        if self._is_plain(code):
            codes: tuple[str, ...] = (code,)
        else:
            codes = self._codes(cells)
        term_cells = self._term_cells(cells)
        known = self._known_terms.get(term_cells) or self._new_terms(term_cells)
        if known.is_usual and not self._is_scaled:
            price_1, price_n = cells[self._price_1_at], cells[self._price_n_at]
            if self._is_plain_price(price_1) and self._is_plain_price(price_n):
                return codes, ((known.key, f"{known.before}{price_1}\t{price_n}\t{known.terms.after}"),)
            if price_1 == price_n and (price_1 := self._known_prices.get(price_1, "")):
                return codes, ((known.key, f"{known.before}{price_1}\t{price_1}\t{known.terms.after}"),)
        says = self._says(cells, known.terms)
        if len(codes) * len(says.texts if isinstance(says, Closing) else says) > MAX_CODES_IN_ROW:
            raise RowRejected(f"says more than {MAX_CODES_IN_ROW} rates")
        return codes, says

    def _is_plain(self, code: str) -> bool:
        """Whether a cell is one code as it stands, which most are."""
        return (
            code.isdigit()
            and code.isascii()
            and code[0] != "0"
            and len(code) <= MAX_NUMBER_DIGITS
            and not self._split
            and not self._of_nanp
            and code.startswith(self._plain_from)
        )

    def blocked_codes(self, cells: list[str]) -> tuple[tuple[str, ...], str]:
        """The codes of a row that cannot be taken, and the COPY text of a rate by which they are not called.

        Raises RowRejected where not even the codes can be read for certain.
        """
        terms = self._terms.read(self._date_of(cells))
        _, conditions = terms.conditions.keys("")[0]
        if len(cells) > self._width and any(map(str.strip, cells[self._width :])):
            codes = self._code_of_misfit(cells)
        else:
            cells = self._fitted(cells)
            try:
                codes = self._codes(cells)
            except RowRejected:
                codes = self._possible_codes(cells)
                if not codes:
                    raise
        return codes, f"{conditions}\t{terms.direction}\t0\t0\t{terms.after_blocked}"

    def refuse_contradictions(self) -> None:
        """Raises DeckFileError where the rows so far show that others were read wrongly."""
        self.amounts.refuse_contradictions()
        if self._layout.guessed:
            self._code_reader.refuse_repeated_countries()

    def _possible_codes(self, cells: list[str]) -> tuple[str, ...]:
        if self._of_nanp:
            at = [*([] if self._country_at is None else [self._country_at]), self._code_at]
            digits = "".join(re.findall(r"[0-9]+", " ".join(cells[position] for position in at))).removeprefix("1")
            return (f"1{digits}",) if 0 < len(digits) < MAX_NUMBER_DIGITS else ()
        if self._country_at is not None:
            return possible_areas(cells[self._country_at], cells[self._code_at])
        return possible_codes(cells[self._code_at])

    def says_nothing(self, cells: list[str]) -> bool:
        """Whether a row has neither a code nor a price, as a title, a remark or the header once more have none."""
        if len(cells) > self._width and any(map(str.strip, cells[self._width :])):
            return not any(character.isdigit() for cell in cells for character in cell)
        cells = self._fitted(cells)
        if tuple(map(str.strip, cells)) == self._layout.header:
            return True
        codes = [cells[at] for at in (self._code_at, self._country_at) if at is not None]
        prices = [cells[at] for one, at in self._layout.positions.items() if one in PRICES]
        has_digits = any(character.isdigit() for cell in (*codes, *prices) for character in cell)
        return not has_digits and not any(map(says_no_price, prices))

    def is_another_header(self, cells: list[str]) -> bool:
        """Whether a row that cannot be taken names columns in another order: below it nothing is where it was."""
        try:
            layout = find_layout(cells)
        except DeckFileError:
            return True
        return layout is not None and layout.positions != self._layout.positions

    def _date_of(self, cells: list[str]) -> dict[Column, str]:
        """When a row that cannot be taken would have begun, where that can be read: until then nothing changes."""
        at = self._layout.positions.get(Column.EFFECTIVE_FROM)
        if at is None or len(cells) != self._width or not cells[at].strip():
            return {}
        said = {Column.EFFECTIVE_FROM: cells[at].strip()}
        try:
            self._terms.read(said)
        except RowRejected:
            return {}
        return said

    def _code_of_misfit(self, cells: list[str]) -> tuple[str, ...]:
        """The code of a row that has more cells than the header, as one with a delimiter in a name has."""
        if self._country_at is not None or self._of_nanp:
            return ()
        reach = self._code_at + len(cells) - self._width + 1
        digits = (cell.strip().removeprefix("+") for cell in cells[self._code_at : reach])
        return next((possible_codes(cell) for cell in digits if cell.isascii() and cell.isdigit()), ())

    def _says(self, cells: list[str], terms: Terms) -> Says:
        """What a row says, however unusual: closed, one of several prices or callers, with a price in words."""
        conditions = terms.conditions
        if conditions.closed:
            return Closing(tuple(conditions.closings())) if self._delta else ()
        if self._by_state:
            return self._by_jurisdiction(cells, terms)
        rates: list[tuple[str, str]] = []
        for band, at_1, at_n in self._price_columns:
            text = self._priced(cells, band, at_1, at_n, terms)
            if text is not None:
                rates += self._rates(terms, band or conditions.band, text)
        if not rates and (terms.blocked or any(says_no_price(cells[at]) for _, at, _ in self._price_columns)):
            rates += self._rates(terms, conditions.band, f"0\t0\t{terms.after_blocked}")
        if not rates:
            raise RowRejected(f"{self._layout.header[self._price_1_at]}: is empty")
        return tuple(rates)

    def _by_jurisdiction(self, cells: list[str], terms: Terms) -> Says:
        """A rate of calls between states, one of calls within one, and one of all others.

        Where the row has none for the others, theirs is the dearest: nobody knows which of the two they are.
        """
        band = terms.conditions.band
        if terms.blocked:
            return tuple(self._rates(terms, band, f"0\t0\t{terms.after_blocked}", ""))
        rates: list[tuple[str, str]] = []
        found: dict[str, str | None] = {}  # origin to price; None: blocked
        general = self._layout.positions.get(Column.PRICE)
        for origin, at in [*self._by_state, *([] if general is None else [("", general)])]:
            if origin or cells[at].strip():
                found[origin] = None if says_no_price(cells[at]) else self._clean_price(at, cells[at])
        if "" not in found:
            prices = [price for price in found.values() if price is not None]
            found[""] = max(prices, key=Decimal) if len(prices) == len(found) else None
            told = "blocked" if found[""] is None else f"at {found['']}"
            self.notes.add(
                "calls of no certain jurisdiction were given the dearest price", f"{cells[self._code_at]} {told}"
            )
        for origin, price in found.items():
            text = f"0\t0\t{terms.after_blocked}" if price is None else f"{price}\t{price}\t{terms.after}"
            rates += self._rates(terms, band, text, origin)
        return tuple(rates)

    def _rates(self, terms: Terms, band: str, text: str, origin: str | None = None) -> list[tuple[str, str]]:
        """A rate of a band for every origin, or the given one; `text`: from the prices on."""
        self.bands.update([band] if band else [])
        keys = terms.conditions.keys(band, origin)
        return [(key, f"{conditions}\t{terms.direction}\t{text}") for key, conditions in keys]

    def _priced(self, cells: list[str], band: str, at_1: int, at_n: int, terms: Terms) -> str | None:
        """The COPY text from the prices on; None where the cell says nothing and need not.

        A blocked row needs no price, and a word for one blocks the calls of its column alone: it is kept as 0. "-" in
        the column of a band is no price of its own where the row has one for any time.
        """
        price_1, price_n = cells[at_1], cells[at_n]
        if says_no_price(price_1):
            is_soft = len(self._price_columns) > 1 and not says_blocked(price_1)
            return None if is_soft and (not band or self._has_general_price(cells)) else f"0\t0\t{terms.after_blocked}"
        if not price_1.strip() and (terms.blocked or len(self._price_columns) > 1):
            return None
        price_1 = self._clean_price(at_1, price_1)
        price_n = self._clean_price(at_n, price_n) if price_n.strip() else price_1
        return f"{price_1}\t{price_n}\t{terms.after}"

    def _refuse_unnamed(self, cells: list[str]) -> None:
        for position in self._unnamed:
            if cells[position].strip():
                raise RowRejected(f"{shown(cells[position].strip())} stands in a column that has no name")

    def _has_general_price(self, cells: list[str]) -> bool:
        band, at, _ = self._price_columns[0]
        return not band and bool(cells[at].strip()) and not says_no_price(cells[at])

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
            return self._code_reader.whole(cells[self._code_at], name)
        country_name = self._layout.header[self._country_at]
        return self._code_reader.joined(cells[self._country_at], cells[self._code_at], country_name, name)

    def _clean_price(self, position: int, text: str) -> str:
        """A price as it is kept: of the currency and its minute, with a decimal point and without spaces."""
        factor = self._factors.get(position)
        if factor is None and self._is_plain_price(text):
            return text
        key = text if factor is None else f"{position}\t{text}"
        known = self._known_prices.get(key)
        if known is not None:
            return known
        name = self._layout.header[position]
        if not text.strip():
            raise RowRejected(f"{name}: is empty")
        try:
            plain = self.amounts.read(text, name)
            plain = self.amounts.rounded(plain if factor is None else self.amounts.scaled(plain, factor, name))
            price = format_amount(parse_amount(plain, name, PRICE_DECIMALS, maximum=MAX_PRICE))
        except InvalidAmount as error:
            raise RowRejected(str(error)) from None
        if len(self._known_prices) >= KEPT_TERMS:
            self._known_prices.clear()
        self._known_prices[key] = price
        return price

    def _new_terms(self, term_cells: tuple[str, ...]) -> _Known:
        cells = zip(self._term_columns, term_cells, strict=True)
        terms = self._terms.read({column: stripped for column, text in cells if (stripped := text.strip())})
        conditions = terms.conditions
        is_usual = (
            not self._by_state
            and len(self._price_columns) == 1
            and len(conditions.origins) == 1
            and not conditions.closed
        )
        band = self._price_columns[0][0] or conditions.band
        if is_usual and band:
            self.bands.add(band)
        key, text = conditions.keys(band)[0]
        if len(self._known_terms) >= KEPT_TERMS:
            self._known_terms.clear()
        known = self._known_terms[term_cells] = _Known(terms, is_usual, key, f"{text}\t{terms.direction}\t")
        return known


def _picker(positions: list[int]) -> Callable[[Sequence[str]], tuple[str, ...]]:
    """A function from a row to its cells at these positions; itemgetter gives a tuple only for several."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return lambda cells: tuple(cells[position] for position in positions)


def _price_columns(layout: Layout) -> list[tuple[str, int, int]]:
    """The band of each price column ('' where it says none), its position, and that of the price of later intervals."""
    at = layout.positions
    columns = [(band, at[column], at[column]) for column, band in BAND_PRICES.items() if column in at]
    if Column.PRICE in at or Column.PRICE_1 in at:
        first = at[Column.PRICE if Column.PRICE in at else Column.PRICE_1]
        columns.insert(0, ("", first, at.get(Column.PRICE_N, first)))
    return columns or [("", at[column], at[column]) for column in JURISDICTION_PRICES if column in at]
