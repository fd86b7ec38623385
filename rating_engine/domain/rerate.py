"""Re-rating: calls of the past priced by another deck, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from rating_engine.domain.past_call import CallPosition, CallRange


class RerateState(StrEnum):
    """`reading`: calls are being priced, or that was cut off. `open`: to be posted or discarded."""

    READING = "reading"
    OPEN = "open"
    POSTED = "posted"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Rerate:
    """One re-rating. `tariff_version`: of the tariff when it was begun. `login` '': everybody's calls.

    `calls`: found in its range so far; `position`: up to where.
    """

    rerate_id: int
    tariff: str
    tariff_version: int
    time_zone: str
    deck_id: int
    deck_version: int
    range: CallRange
    login: str
    state: RerateState
    created_at: datetime
    calls: int
    position: CallPosition


@dataclass(frozen=True, slots=True)
class RerateItem:
    """A call whose price is another one now, or cannot be said (`new_cost` None: `problem` says why)."""

    bucket: int
    call_key: str
    account_id: int
    subscriber_id: int
    currency: str
    destination: str
    seconds: int
    old_cost: Decimal
    new_cost: Decimal | None
    billed_seconds: int = 0
    rate: str = ""
    deck_id: int = 0
    prefix: str = ""
    direction: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Sum:
    """Calls of one currency and what they cost: before, and by the deck. `name`: what they have in common."""

    currency: str
    name: str
    calls: int
    old_cost: Decimal
    new_cost: Decimal

    @property
    def difference(self) -> Decimal:
        """What the deck makes more."""
        return self.new_cost - self.old_cost


@dataclass(frozen=True, slots=True)
class ListedItem:
    """A call of a re-rating as people see it."""

    call_key: str
    login: str
    destination: str
    direction: str
    seconds: int
    currency: str
    old_cost: Decimal
    new_cost: Decimal | None
    problem: str


@dataclass(frozen=True, slots=True)
class RerateSums:
    """What a re-rating comes to. Calls that can be priced: `totals` (a line a currency), `directions` and `logins`, the
    largest difference first, and `calls` so too.

    `unpriced`: calls by problem, and `unpriced_calls` the dearest of them. `left_alone`: their CDRs had changed when
    they were to be posted. `posted`: corrected calls.
    """

    totals: Sequence[Sum]
    directions: Sequence[Sum]
    logins: Sequence[Sum]
    calls: Sequence[ListedItem]
    unpriced: Mapping[str, int]
    unpriced_calls: Sequence[ListedItem]
    left_alone: int
    left_alone_calls: Sequence[ListedItem]
    posted: int
    unposted: int


class CorrectionOutcome(StrEnum):
    """Answers of the SQL function correct_calls()."""

    CORRECTED = "corrected"
    REPEATED = "repeated"  # it was corrected before
    CHANGED = "changed"  # its CDR is not as it was read: left alone
    UNPRICED = "unpriced"
    CLOSED = "closed"  # the re-rating is not open any more
    UNKNOWN = "unknown"
