"""Monitorings (seed MOR): whose calls may cost how much within how many minutes, and what then."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_above_zero, check_amount, check_whole
from rating_engine.domain.errors import InvalidRequest

MAX_MINUTES: Final = 1_440  # every call that ended within them is added up each minute
MAX_USERS: Final = 10_000


class Watched(StrEnum):
    """Calls of which accounts count."""

    ALL = "all"
    PREPAID = "prepaid"
    POSTPAID = "postpaid"


@dataclass(frozen=True, slots=True)
class NewMonitoring:
    """One to be made, in the system's currency; it is on. `users`: by number; empty: everybody.

    Raises InvalidRequest naming the field.
    """

    amount: Decimal
    minutes: int
    watched: Watched = Watched.ALL
    block: bool = False
    users: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount")
        check_above_zero(self.amount, "amount")
        check_whole(self.minutes, "minutes", least=1, most=MAX_MINUTES)
        _check_users(self.users)


@dataclass(frozen=True, slots=True)
class Monitoring:
    """One as it is kept. `block`: whether who spends more is blocked; told by mail is everybody."""

    monitoring_id: int
    amount: Decimal
    minutes: int
    watched: Watched
    block: bool
    users: tuple[int, ...]
    enabled: bool


@dataclass(frozen=True, slots=True)
class MonitoringChanges:
    """What is to be set; LEAVE: as it is. Raises InvalidRequest naming the field."""

    enabled: bool | Leave = LEAVE
    block: bool | Leave = LEAVE
    users: tuple[int, ...] | Leave = LEAVE

    def __post_init__(self) -> None:
        if self.users is not LEAVE:
            _check_users(self.users)


def _check_users(users: tuple[int, ...]) -> None:
    if len(users) > MAX_USERS:
        raise InvalidRequest("users", f"has more than {MAX_USERS:,} numbers")
