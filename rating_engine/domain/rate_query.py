"""Which call rates are asked for: `filter`, `search` and `orderby` of the tenant surface, read into plain values.

filter: comparisons (`price_1 ge 0.05`, `type eq 'MOBILE'`, `contains(description,'x')`, `startswith(prefix,'37')`)
joined by `and` and `or`, of which `and` binds closer. Text is in single quotes, a quote in it is written twice. Law:
what is not understood whole is refused; a text of the asker is only ever a value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tenant import AMOUNTS, WHOLES

MAX_QUERY: Final = 2_048  # characters of a filter, a search or an order
MAX_TERMS: Final = 50  # comparisons of a filter: each is gone through for every rate
TOP_MAX: Final = 100
TEXTS: Final = ("prefix", "type", "description")
NUMBERS: Final = (*(name for name, _ in WHOLES), *AMOUNTS)
FIELDS: Final = frozenset((*TEXTS, *NUMBERS))

_TOKEN: Final = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?[0-9]{1,20}(?:\.[0-9]{1,10})?)(?![\w.])"
    r"|(?P<word>[A-Za-z_][A-Za-z_0-9]*)|(?P<mark>[(),]))",
    re.ASCII,
)


class Operator(StrEnum):
    """How a field is compared; CONTAINS and STARTSWITH are of texts alone."""

    EQ = "eq"
    NE = "ne"
    GT = "gt"
    GE = "ge"
    LT = "lt"
    LE = "le"
    CONTAINS = "contains"
    STARTSWITH = "startswith"


_FUNCTIONS: Final = (Operator.CONTAINS, Operator.STARTSWITH)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a field with a value: of its text, or of its number."""

    field: str
    operator: Operator
    value: str | Decimal


@dataclass(frozen=True, slots=True)
class Order:
    """One field that rates are ordered by."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class RateQuery:
    """Which rates: those of which every comparison of one of the groups of `filter` is true (none: all), and that have
    `search` in prefix or description, without regard to case. `skip` of them are left out, `top` at most are shown.
    """

    filter: tuple[tuple[Comparison, ...], ...] = ()
    search: str = ""
    orderby: tuple[Order, ...] = (Order("prefix"),)
    skip: int = 0
    top: int = TOP_MAX


def parse_filter(text: str) -> tuple[tuple[Comparison, ...], ...]:
    """The groups of a filter; empty for an empty one. Raises InvalidRequest (filter)."""
    check_query(text, "filter")
    if not text.strip():
        return ()
    return _FilterParser(text).parse()


def parse_orderby(text: str) -> tuple[Order, ...]:
    """What an order says; by prefix for an empty one. Raises InvalidRequest (orderby)."""
    check_query(text, "orderby")
    if not text.strip():
        return (Order("prefix"),)
    orders: list[Order] = []
    for part in text.split(","):
        field, *direction = part.split()[:3] or [""]
        if field not in FIELDS or len(direction) > 1 or direction not in ([], ["asc"], ["desc"]):
            raise InvalidRequest("orderby", f"{part[:60]!r} is not a field of a rate, with asc or desc behind it")
        if any(order.field == field for order in orders):
            raise InvalidRequest("orderby", f"{field} stands in it twice")
        orders.append(Order(field, direction == ["desc"]))
    return tuple(orders)


def check_query(text: str, field: str) -> None:
    """A text that can be looked for. Raises InvalidRequest."""
    if len(text) > MAX_QUERY:
        raise InvalidRequest(field, f"may have {MAX_QUERY} characters at most")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(field, "has a NUL or half a character, which no text can have")


class _FilterParser:
    """Reads a filter from left to right; an `or` begins another group."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0

    def parse(self) -> tuple[tuple[Comparison, ...], ...]:
        groups: list[list[Comparison]] = [[self._comparison()]]
        while self._at < len(self._tokens):
            joined = self._word()
            if joined == "and":
                groups[-1].append(self._comparison())
            elif joined == "or":
                groups.append([self._comparison()])
            else:
                raise _refused(f"{joined!r} stands where and, or, or the end is expected")
            if sum(map(len, groups)) > MAX_TERMS:
                raise _refused(f"may have {MAX_TERMS} comparisons at most")
        return tuple(tuple(group) for group in groups)

    def _comparison(self) -> Comparison:
        first = self._word()
        if first in _FUNCTIONS:
            self._mark("(")
            field = self._field(self._word())
            self._mark(",")
            comparison = self._compared(field, Operator(first))
            self._mark(")")
            return comparison
        field = self._field(first)
        operator = self._word()
        if operator not in tuple(Operator) or operator in _FUNCTIONS:
            raise _refused(f"{operator!r} is none of eq, ne, gt, ge, lt, le")
        return self._compared(field, Operator(operator))

    def _compared(self, field: str, operator: Operator) -> Comparison:
        kind, text = self._next()
        if field in TEXTS and kind == "text":
            return Comparison(field, operator, text[1:-1].replace("''", "'"))
        if field in NUMBERS and kind == "number" and operator not in _FUNCTIONS:
            return Comparison(field, operator, Decimal(text))
        wanted = "a text in single quotes" if field in TEXTS else "a number, compared by eq, ne, gt, ge, lt or le"
        raise _refused(f"{field} is {wanted}, and not {text[:40]!r}")

    def _field(self, word: str) -> str:
        if word not in FIELDS:
            raise _refused(f"{word[:40]!r} is no field of a rate")
        return word

    def _word(self) -> str:
        kind, text = self._next()
        if kind != "word":
            raise _refused(f"{text[:40]!r} stands where a word is expected")
        return text

    def _mark(self, wanted: str) -> None:
        _, text = self._next()
        if text != wanted:
            raise _refused(f"{text[:40]!r} stands where {wanted} is expected")

    def _next(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise _refused("ends too soon")
        self._at += 1
        return self._tokens[self._at - 1]


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    text, at = text.rstrip(), 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if token is None or token.lastgroup is None:
            raise _refused(f"{text[at : at + 40]!r} is not understood")
        found.append((token.lastgroup, token[token.lastgroup]))
        at = token.end()
    return found


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest("filter", problem)
