"""Values of the old tables, read strictly: what is not understood rejects its row and names the column."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from operator import itemgetter
from typing import Final, Generic, TypeVar
from zoneinfo import ZoneInfo

from rating_engine.importers.scratch import Record
from rating_engine.rating.money import EXACT, PRICE_DECIMALS, InvalidAmount, parse_amount, unit
from rating_engine.rating.number import MAX_NUMBER_DIGITS
from rating_engine.services.decks.file.codes import shown
from rating_engine.services.decks.file.errors import RowRejected
from rating_engine.services.decks.file.rows import KEPT_TERMS

MAX_READ_DECIMALS: Final = 60  # of a float written out in a dump, before it is rounded as the old system does

T = TypeVar("T")

_WHOLE: Final = re.compile(r"[+-]?\d{1,10}(?:\.0*)?", re.ASCII)
_INSTANT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(?:\.\d+)?)?\s*(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII
)


class Known(Generic[T]):
    """What was made of the same terms before: rate cards repeat them over and over.

    `columns`: all that `make` looks at. What it raises is raised again each time.
    """

    def __init__(self, columns: Sequence[str], make: Callable[[Record], T]) -> None:
        self._key = itemgetter(*columns)
        self._make = make
        self._known: dict[tuple[str | None, ...], T] = {}

    def of(self, record: Record) -> T:
        """What the terms of a row make."""
        key = self._key(record)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= KEPT_TERMS:
                self._known.clear()
            found = self._known[key] = self._make(record)
        return found


def money(row: Record, column: str, decimals: int = PRICE_DECIMALS) -> Decimal:
    """A price or fee, rounded to so many decimals, halves away from zero; NULL and nothing is 0. May be negative."""
    text = (row[column] or "").strip()
    if not text:
        return Decimal(0)
    if "," in text and "." not in text:
        text = text.replace(",", ".", 1)
    try:
        amount = parse_amount(text, column, MAX_READ_DECIMALS, allow_negative=True)
    except InvalidAmount as error:
        raise RowRejected(str(error)) from None
    return amount.quantize(unit(decimals), ROUND_HALF_UP, EXACT)


def whole(row: Record, column: str) -> int:
    """A whole number; NULL and nothing is 0. Negative ones are rejected."""
    text = (row[column] or "").strip()
    if not text:
        return 0
    if not _WHOLE.fullmatch(text):
        raise RowRejected(f"{column}: {shown(text)} is not a whole number")
    number = int(text.split(".")[0])
    if number < 0:
        raise RowRejected(f"{column}: {shown(text)} is negative")
    return number


def reference(row: Record, column: str) -> int | None:
    """The id that a row points to; None for NULL, 0 and -1, which stand for nothing."""
    text = (row[column] or "").strip()
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def prefix(text: str | None, column: str) -> str:
    """A dial prefix of digits."""
    digits = (text or "").strip().removeprefix("+")
    if not digits:
        raise RowRejected(f"{column}: is empty")
    if not (digits.isascii() and digits.isdigit()):
        raise RowRejected(f"{column}: {shown(digits)} is not a prefix of digits")
    if len(digits) > MAX_NUMBER_DIGITS:
        raise RowRejected(f"{column}: has more than {MAX_NUMBER_DIGITS} digits")
    return digits


def instant(row: Record, column: str, zone: ZoneInfo) -> datetime | None:
    """An instant, in `zone` where it does not say its offset; None for NULL, nothing and the zero date of MySQL."""
    text = (row[column] or "").strip()
    if not text or text.startswith("0000-00-00") or text in ("infinity", "-infinity"):
        return None
    match = _INSTANT.fullmatch(text)
    try:
        if match is None:
            raise ValueError
        day, clock, offset = match.groups()
        if offset is None:
            return datetime.fromisoformat(f"{day} {clock or '00:00'}").replace(tzinfo=zone).astimezone(UTC)
        return datetime.fromisoformat(f"{day} {clock or '00:00'}{_offset(offset)}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise RowRejected(f"{column}: {shown(text)} is not a date and time") from None


def name(text: str | None) -> str:
    """A name as one line."""
    return " ".join((text or "").split())


def _offset(text: str) -> str:
    if text == "Z":
        return "+00:00"
    digits = text[1:].replace(":", "").ljust(4, "0")
    return f"{text[0]}{digits[:2]}:{digits[2:]}"
