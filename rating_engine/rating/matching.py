"""Which of a deck's rows prices a call: by destination, caller, time of day and date.

Rule: the longest destination prefix that has a row that counts for the call wins; among its rows the longest origin,
then that of the call's jurisdiction, then the band itself before '' (any other time), then the row that came into
effect last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, NamedTuple

from rating_engine.rating.nanp import jurisdiction_of
from rating_engine.rating.rate import Rate

# The ends of a row that is not limited in time: -infinity and infinity as Python has them.
EVER_SINCE: Final = datetime.min.replace(tzinfo=UTC)
FOR_EVER: Final = datetime.max.replace(tzinfo=UTC)


class AttemptPrice(NamedTuple):
    """What a minute costs when a call is tried for the n-th time, and the route that it goes by then."""

    attempt: int
    price: Decimal
    route_id: int


@dataclass(frozen=True, slots=True)
class CandidateRate:
    """A row of a deck whose prefix a destination begins with.

    It counts for calls that start in [effective_from, effective_to), of callers whose digits begin with `origin` (or,
    where that is a nanp.Jurisdiction, for calls of it), in its `band` ('': in any). `direction` is a code. `rate`: None
    where the row is blocked, or says what no rate can be. `attempts`: where the price depends on the attempt, each with
    its own in the place of those of `rate`, and its route; empty: any attempt has the rate.
    """

    prefix: str
    origin: str
    band: str
    effective_from: datetime
    effective_to: datetime
    direction: str
    blocked: bool
    rate: Rate | None
    attempts: tuple[AttemptPrice, ...] = ()

    @property
    def is_unconditional(self) -> bool:
        """Whether it counts for every call."""
        return (self.origin, self.band, self.effective_from, self.effective_to) == ("", "", EVER_SINCE, FOR_EVER)

    def counts(self, at: datetime, origin: str, band: str, jurisdiction: str | None = None) -> bool:
        """Whether it counts for a call that starts at `at` from a caller with the digits `origin` in this band."""
        if self.band not in ("", band) or not (origin.startswith(self.origin) or self.origin == jurisdiction):
            return False
        return self.effective_from <= at < self.effective_to


@dataclass(frozen=True, slots=True)
class RateEdit:
    """A single rate that was changed after its deck was published: for calls that start while `row` counts it stands
    in the place of the deck's rows of the same prefix, origin and band. `removed`: there is none of them then.
    """

    row: CandidateRate
    removed: bool = False

    def counts(self, at: datetime) -> bool:
        """Whether it says something of calls that start at `at`."""
        return self.row.effective_from <= at < self.row.effective_to


def below_removed(edits: Iterable[RateEdit], at: datetime) -> list[str]:
    """Numbers whose rows a call at `at` may have to choose from as well, where rates of its number were removed.

    The rows of a number reach down to the first that counts for every call: it may be the one that is removed.
    """
    return [edit.row.prefix[:-1] for edit in edits if edit.removed and edit.counts(at) and len(edit.row.prefix) > 1]


def edited(candidates: Iterable[CandidateRate], edits: Iterable[RateEdit], at: datetime) -> tuple[CandidateRate, ...]:
    """What calls at `at` have to choose from, where some rates of the deck were edited.

    `candidates`: the deck's rows for the number, and for those of `below_removed`.
    """
    counting = [edit for edit in edits if edit.counts(at)]
    replaced = {_key(edit.row) for edit in counting}
    kept = (row for row in candidates if _key(row) not in replaced)
    return (*kept, *(edit.row for edit in counting if not edit.removed))


def choose(
    candidates: Iterable[CandidateRate], *, at: datetime, origin: str, band: str, destination: str = ""
) -> CandidateRate | None:
    """The row that prices a call, which may be one that blocks it; None where no row counts. Their order is no matter.

    `at` has a time zone. `origin`, `destination`: the caller's and the called digits, '' where they are not known: then
    no row of a jurisdiction counts. `band`: '' outside all windows.
    """
    jurisdiction = jurisdiction_of(origin, destination)
    counting = [candidate for candidate in candidates if candidate.counts(at, origin, band, jurisdiction)]
    return max(counting, key=_precedence, default=None)


def needed(candidates: Iterable[CandidateRate]) -> tuple[CandidateRate, ...]:
    """The rows that can win for some call: from the longest prefix down to the first that has an unconditional row.

    All are of one destination. In the order in which they win, so that equal sets are equal tuples.
    """
    rows = sorted(candidates, key=_precedence, reverse=True)
    floor = max((len(row.prefix) for row in rows if row.is_unconditional), default=0)
    return tuple(row for row in rows if len(row.prefix) >= floor)


def _key(row: CandidateRate) -> tuple[str, str, str]:
    return row.prefix, row.origin, row.band


def _precedence(row: CandidateRate) -> tuple[int, int, str, str, datetime]:
    digits = len(row.origin) if row.origin.isdigit() else 0  # a jurisdiction is less exact than any caller's number
    return len(row.prefix), digits, row.origin, row.band, row.effective_from
