"""Lists in pages: so many items, and a text with which the next page is asked for.

Laws: a page holds MAX_LIMIT items at most. A cursor names the last item seen by what the list is ordered by, and not by
a count of rows, so that nothing is left out or comes twice when others come and go meanwhile. It is opaque: who has it
hands it back as it is.
"""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Generic, TypeVar

import orjson

from rating_engine.domain.errors import InvalidRequest

DEFAULT_LIMIT: Final = 50  # a screenful or two
MAX_LIMIT: Final = 1_000  # held at once by the server, the engine and the reader; two pages are as quick as one of both
MAX_CURSOR: Final = 1_024  # characters; the longest names a list is ordered by are far shorter

_NUMBERS: Final = 2**63  # no column has more; and no text of one has a NUL

R = TypeVar("R")
T = TypeVar("T")
Ordered = str | int | datetime | Decimal  # what a list can be ordered by
_Kind = type[str] | type[int] | type[datetime] | type[Decimal]


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which page of a list is asked for: `limit` items behind `after`, the `next` of a page; None: from the first on.

    Raises InvalidRequest (limit).
    """

    limit: int = DEFAULT_LIMIT
    after: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= MAX_LIMIT:
            raise InvalidRequest("limit", f"must be from 1 to {MAX_LIMIT}")

    def position(self, *kinds: _Kind) -> tuple[Any, ...]:
        """What the list was ordered by at its last item, a value of each kind; as many None for the first page.

        Raises InvalidRequest (after) for what is no cursor of such a list.
        """
        if self.after is None:
            return (None,) * len(kinds)
        try:
            values = orjson.loads(urlsafe_b64decode(self.after[:MAX_CURSOR].encode("ascii")))
            if not isinstance(values, list) or len(values) != len(kinds):
                raise ValueError
            return tuple(_read(kind, value) for kind, value in zip(kinds, values, strict=True))
        except (ValueError, binascii.Error, InvalidOperation):
            raise InvalidRequest("after", "is not the cursor that came with a page of this list") from None

    @property
    def rows(self) -> int:
        """How many rows to read: one more than are wanted says whether there are more."""
        return self.limit + 1


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items of a list in its order, and the cursor of the page behind them; `next` None: these are the last."""

    items: tuple[T, ...]
    next: str | None = None


def page_of(found: Sequence[T], cursor: Cursor, position: Callable[[T], tuple[Ordered, ...]]) -> Page[T]:
    """The page of items that were read, `cursor.rows` of them at most. `position`: what the list is ordered by."""
    return page_of_rows(found, cursor, position, lambda item: item)


def page_of_rows(
    rows: Sequence[R], cursor: Cursor, position: Callable[[R], tuple[Ordered, ...]], item: Callable[[R], T]
) -> Page[T]:
    """The same of rows, where what the list is ordered by is not of its items."""
    items = tuple(item(row) for row in rows[: cursor.limit])
    if len(rows) <= cursor.limit:
        return Page(items)
    values = [value.isoformat() if isinstance(value, datetime) else value for value in position(rows[cursor.limit - 1])]
    return Page(items, urlsafe_b64encode(orjson.dumps(values, default=str)).decode("ascii"))


def _read(kind: _Kind, value: Any) -> Any:
    """Raises ValueError, InvalidOperation."""
    if kind is datetime:
        moment = datetime.fromisoformat(_read(str, value))
        if moment.tzinfo is None:
            raise ValueError
        return moment
    if kind is Decimal:
        return Decimal(_read(str, value))
    is_text, is_number = isinstance(value, str), isinstance(value, int) and not isinstance(value, bool)
    if not (is_text if kind is str else is_number):
        raise ValueError
    if (is_text and "\0" in value) or (is_number and abs(value) >= _NUMBERS):
        raise ValueError
    return value
