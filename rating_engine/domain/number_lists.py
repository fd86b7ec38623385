"""Pools of numbers, and the black and white lists that users make of them. No I/O.

Laws: of a whitelist nobody passes who is not in its pool, also who shows no number; a pool says nothing by itself until
a user's list names it. Source: shared/spec/mor.md, section 6 (User Details: Blacklists / Whitelists).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from rating_engine.domain.checks import check_name, check_text
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import DeclineReason

_NUMBER: Final = re.compile(r"\+?([0-9]{1,32})(\*?)", re.ASCII)


class ListSide(StrEnum):
    """Whose number a list is about: of who calls the user, or of whom its lines call."""

    SOURCE = "source"
    DESTINATION = "destination"


class ListKind(StrEnum):
    """What a list does with who is in its pool: it keeps them out, or lets nobody else in."""

    BLACKLIST = "blacklist"
    WHITELIST = "whitelist"


REASONS: Final[Mapping[tuple[ListSide, ListKind], DeclineReason]] = MappingProxyType(
    {
        (ListSide.DESTINATION, ListKind.BLACKLIST): DeclineReason.DESTINATION_BLACKLISTED,
        (ListSide.DESTINATION, ListKind.WHITELIST): DeclineReason.DESTINATION_NOT_WHITELISTED,
        (ListSide.SOURCE, ListKind.BLACKLIST): DeclineReason.SOURCE_BLACKLISTED,
        (ListSide.SOURCE, ListKind.WHITELIST): DeclineReason.SOURCE_NOT_WHITELISTED,
    }
)
# The hangup causes that MOR documents for them. Q.850 ends at 127: channels are hung up with 21.
LIST_CAUSES: Final[Mapping[DeclineReason, int]] = MappingProxyType(
    {
        DeclineReason.DESTINATION_BLACKLISTED: 255,
        DeclineReason.DESTINATION_NOT_WHITELISTED: 256,
        DeclineReason.SOURCE_BLACKLISTED: 262,
        DeclineReason.SOURCE_NOT_WHITELISTED: 263,
    }
)


@dataclass(frozen=True, slots=True, order=True)
class PoolNumber:
    """One entry of a pool, in digits: a number alone (`whole`), or all that begin so."""

    number: str
    whole: bool

    def __str__(self) -> str:
        return self.number + ("" if self.whole else "*")


@dataclass(frozen=True, slots=True)
class NumberPool:
    """A pool, and how many entries it has."""

    pool_id: int
    name: str
    description: str
    entries: int


@dataclass(frozen=True, slots=True)
class NewNumberPool:
    """A pool to be made. Raises InvalidRequest naming the field."""

    name: str
    description: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        check_text(self.description, "description")


@dataclass(frozen=True, slots=True)
class NumberList:
    """What a user makes of a pool, by its name."""

    kind: ListKind
    pool: str


def pool_number(text: str) -> PoolNumber:
    """An entry as it is written: 79010000001, or with a star behind it all that begin so. Raises InvalidRequest."""
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        problem = f"{text[:40]!r} is neither a number such as 79010000001 nor a beginning such as 7901*"
        raise InvalidRequest("numbers", problem)
    return PoolNumber(found[1], whole=not found[2])


def refusal_of(side: ListSide, kind: ListKind, *, in_pool: bool) -> DeclineReason | None:
    """Why a list keeps a number out; None: it does not."""
    return REASONS[side, kind] if in_pool is (kind is ListKind.BLACKLIST) else None
