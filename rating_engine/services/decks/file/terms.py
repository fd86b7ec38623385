"""What a row says besides its codes and prices: increments, fees, direction, conditions, whether it is blocked.

Law: what is taken is a rate that the meter takes: a `Rate` is built of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from rating_engine.rating.money import InvalidAmount, format_amount
from rating_engine.rating.rate import InvalidRate, PriceUnit, Rate
from rating_engine.services.decks.file.amounts import AmountReader
from rating_engine.services.decks.file.codes import Dash, shown
from rating_engine.services.decks.file.columns import PRICES, Column
from rating_engine.services.decks.file.conditions import ConditionReader, Conditions
from rating_engine.services.decks.file.dates import DateOrder
from rating_engine.services.decks.file.errors import RowRejected
from rating_engine.services.decks.file.extras import extra_fields, extras_text
from rating_engine.services.decks.file.formulas import unquoted
from rating_engine.services.decks.file.layout import Layout
from rating_engine.services.decks.file.units import currencies_of
from rating_engine.services.decks.file.words import says_blocked, says_closed, says_open

MAX_DIRECTION_CHARACTERS: Final = 200  # a name on an invoice; longer is a remark in the wrong column
MAX_WHOLE_DIGITS: Final = 9  # of a number of seconds; Rate then says what is too many

PRICE_UNITS: Final = {
    **dict.fromkeys(("minute", "minutes", "min", "m", "per minute", "per min", "/min", "1 min"), PriceUnit.MINUTE),
    **dict.fromkeys(("interval", "intervals", "per interval", "increment", "per increment"), PriceUnit.INTERVAL),
}

_BLOCKED: Final = ("blocked", "block", "barred", "bar")
BLOCKED_ANSWERS: Final = {
    **dict.fromkeys((*_BLOCKED, "yes", "y", "true", "t", "1", "x"), True),
    **dict.fromkeys(("", "no", "n", "false", "f", "0", "open"), False),
}

_TIME_UNIT: Final = r"\s*(s|secs?|seconds?|m|mins?|minutes?)?\.?"
_PAIR: Final = re.compile(
    rf"(\d{{1,9}}){_TIME_UNIT}\s*[/+:-]\s*(\d{{1,9}}){_TIME_UNIT}", re.ASCII | re.IGNORECASE
)  # 60/1
_SINGLE: Final = re.compile(rf"(\d{{1,{MAX_WHOLE_DIGITS}}}){_TIME_UNIT}", re.ASCII | re.IGNORECASE)
_MINUTE: Final = 60
BLOCKED_COPY: Final = ("f", "t")  # as COPY reads a boolean; the last column of a row
_COPY_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_AMOUNTS: Final = (Column.CONNECT_FEE, Column.POSTCALL_SURCHARGE, Column.MINIMUM_CHARGE)
_WHOLES: Final = (Column.INTERVAL_1, Column.INTERVAL_N, Column.FREE_SECONDS, Column.GRACE_PERIOD)
_EVER_SINCE: Final = datetime.min.replace(tzinfo=UTC)
_CHECKED_COLUMNS: Final = frozenset((*_AMOUNTS, *_WHOLES, Column.PRICE_UNIT))  # fields of `Rate` too


@dataclass(frozen=True, slots=True)
class DeckTerms:
    """What holds for every row of a file that does not say otherwise.

    `zone`: of its dates. `comes_at`: when its version comes into force. `delta`: it changes another version. `dash`,
    `digits_before`: see codes.CodeReader.
    """

    currency: str
    price_unit: PriceUnit
    decimal_comma: bool  # 0,05 is five cents; never in a comma-separated file, where it may be two cells
    zone: tzinfo = UTC
    comes_at: datetime = _EVER_SINCE
    delta: bool = False
    dash: Dash | None = None
    digits_before: str = ""
    date_order: DateOrder | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """All that a row says but its codes and prices. `after`: COPY text of what comes after the prices."""

    conditions: Conditions
    direction: str
    after: str
    blocked: bool

    @property
    def after_blocked(self) -> str:
        """The same of a row that is blocked."""
        return self.after[:-1] + BLOCKED_COPY[True]


class TermReader:
    """Reads them, by the column names of a file."""

    def __init__(self, layout: Layout, terms: DeckTerms, amounts: AmountReader) -> None:
        self._layout = layout
        self._terms = terms
        self._amounts = amounts
        at = layout.positions
        self._after_price = at.get(Column.DIRECTION, 0) in {at[column] + 1 for column in PRICES if column in at}
        self._conditions = ConditionReader(
            layout, terms.zone, terms.comes_at, delta=terms.delta, date_order=terms.date_order
        )

    def read(self, values: Mapping[Column, str]) -> Terms:
        """The terms of a row by its cells that say something. Raises RowRejected."""
        self._check_currency(values.get(Column.CURRENCY, ""))
        conditions = self._conditions.read(values)
        try:
            rate = Rate(price_1=0, **self._rate_fields(values))
        except InvalidRate as error:
            raise RowRejected(f"{self._field_name(error.field)}: {error.problem}") from None
        blocked = self._says_blocked(values)
        return Terms(conditions, self._direction(values.get(Column.DIRECTION, "")), _copy_text(rate, blocked), blocked)

    def _says_blocked(self, values: Mapping[Column, str]) -> bool:
        status = values.get(Column.STATUS, "")
        is_blocked = says_blocked(status)
        if not (is_blocked or says_open(status) or says_closed(status)):
            name = self._layout.name(Column.STATUS)
            raise RowRejected(f"{name}: {shown(status)} says neither that calls are taken nor that they are blocked")
        answer = BLOCKED_ANSWERS.get(values.get(Column.BLOCKED, "").casefold())
        if answer is None:
            raise RowRejected(
                f"{self._layout.name(Column.BLOCKED)}: {shown(values[Column.BLOCKED])} is neither yes nor no"
            )
        return is_blocked or answer

    def _rate_fields(self, values: Mapping[Column, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {"price_unit": self._price_unit(values.get(Column.PRICE_UNIT, ""))}
        if text := values.get(Column.INTERVALS):
            fields["interval_1"], fields["interval_n"] = self._both_intervals(text)
        fields |= {column: self._whole(column, values[column]) for column in _WHOLES if column in values}
        fields |= {column: self._amount(column, values[column]) for column in _AMOUNTS if column in values}
        return fields | extra_fields(values.get(Column.EXTRAS, ""), self._layout.name(Column.EXTRAS))

    def _amount(self, column: Column, text: str) -> str:
        name, factor = self._layout.name(column), self._layout.factors.get(column)
        try:
            plain = self._amounts.read(text, name)
            return self._amounts.rounded(plain if factor is None else self._amounts.scaled(plain, factor, name))
        except InvalidAmount as error:
            raise RowRejected(str(error)) from None

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
            if pair[4] and not pair[2] and _seconds(pair[4]) > 1:
                raise RowRejected(f"{self._layout.name(Column.INTERVALS)}: {shown(text)} may be of minutes or seconds")
            return self._in_seconds(Column.INTERVALS, pair[1], pair[2]), self._in_seconds(
                Column.INTERVALS, pair[3], pair[4]
            )
        both = self._whole(Column.INTERVALS, text)
        return both, both

    def _whole(self, column: Column, text: str) -> int:
        if len(text) > 1 and text[0] == "0" and not self._terms.decimal_comma:
            raise RowRejected(f"{self._layout.name(column)}: {shown(text)}: was a price written with a decimal comma?")
        if not (found := _SINGLE.fullmatch(text)):
            raise RowRejected(f"{self._layout.name(column)}: {shown(text)} is not a whole number of seconds")
        return self._in_seconds(column, found[1], found[2])

    def _in_seconds(self, column: Column, digits: str, unit: str | None) -> int:
        """By the unit in the cell, or else by that of the column."""
        return int(digits) * (_seconds(unit) if unit else int(self._layout.factors.get(column, 1)))

    def _check_currency(self, text: str) -> None:
        if text and text.upper() != self._terms.currency and self._terms.currency not in currencies_of(text):
            name = self._layout.name(Column.CURRENCY)
            raise RowRejected(f"{name}: {shown(text)} is not the tariff's currency, {self._terms.currency}")

    def _direction(self, text: str) -> str:
        name = self._layout.name(Column.DIRECTION)
        if text.isdigit() and self._after_price and not self._terms.decimal_comma:
            raise RowRejected(f"{name}: {shown(text)} is no name: was the price written with a decimal comma?")
        text = unquoted(text)
        if len(text) > MAX_DIRECTION_CHARACTERS:
            raise RowRejected(f"{name}: is longer than {MAX_DIRECTION_CHARACTERS} characters")
        if "\0" in text:
            raise RowRejected(f"{name}: has a NUL character")
        # a workbook's cell may have several lines; a name has one, in every file it may be written to
        return " ".join(text.replace("\r", "\n").split("\n")).translate(_COPY_ESCAPES)

    def _field_name(self, field: str) -> str:
        """A field of `Rate` as the file calls the column it came from."""
        if field not in _CHECKED_COLUMNS:
            return f"{self._layout.name(Column.EXTRAS)}: {field}"
        both = Column.INTERVALS in self._layout.positions and field in (Column.INTERVAL_1, Column.INTERVAL_N)
        return self._layout.name(Column.INTERVALS if both else Column(field))


def _seconds(unit: str) -> int:
    return _MINUTE if unit.casefold().startswith("m") else 1


def _copy_text(rate: Rate, blocked: bool) -> str:
    """The columns of storage/decks/deck_columns.TERMS that come after the prices, in COPY's text format."""
    return "\t".join(
        (
            rate.price_unit,
            str(rate.interval_1),
            str(rate.interval_n),
            format_amount(rate.connect_fee),
            str(rate.free_seconds),
            str(rate.grace_period),
            format_amount(rate.postcall_surcharge),
            format_amount(rate.minimum_charge),
            extras_text(rate).translate(_COPY_ESCAPES),
            BLOCKED_COPY[blocked],
        )
    )
