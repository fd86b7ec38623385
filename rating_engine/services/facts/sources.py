"""Where the facts about a call come from, so that calls are planned alike with the database and without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import DeclineReason
from rating_engine.domain.tariff import RateMatch, Route, Tariff
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.matching import CandidateRate
from rating_engine.services.facts.books import NumberingBook, PlanBook
from rating_engine.storage.calls.package_usage import PackageState
from rating_engine.storage.numbers.inbound import CalledNumber


class RateSource(Protocol):
    """Finds the rate of a number in a tariff at an instant; see services/decks."""

    def __call__(
        self, tariff: Tariff, destination: str, /, *, at: datetime, origin: str, band: str
    ) -> Awaitable[RateMatch | None]:
        """The rate, or None where none counts."""


class RowSource(Protocol):
    """Finds the row of a deck that decides, which may be one that blocks the call."""

    def __call__(
        self, tariff: Tariff, destination: str, /, *, at: datetime, origin: str, band: str
    ) -> Awaitable[CandidateRate | None]:
        """The row, or None where none counts."""


async def nobodys_line(party_id: int, number: str) -> bool:
    """No number is a line of a party: what only lines may be called by calls nobody then."""
    return False


async def nobodys_number(number: str) -> tuple[str, bool] | None:
    """No number is known to ring from a line."""
    return None


async def no_number(number: str) -> CalledNumber | None:
    """No number is one of ours."""
    return None


async def unknown_list(party_id: int, number: str) -> DeclineReason | None:
    """What a list says is not known here: nobody who has one calls. Raises Unavailable."""
    raise Unavailable("the user's list of destinations is not known while the database is away")


async def unknown_scores(subjects: Sequence[str]) -> int:
    """Scores are not known here: nobody whose calls go by them calls. Raises Unavailable."""
    raise Unavailable("what numbers are suspected of is not known while the database is away")


PackageSource = Callable[[int, int, Sequence[tuple[int, date]]], Awaitable[list[PackageState]]]


@dataclass(frozen=True, slots=True)
class CallSources:
    """Who calls, on what tariff, at what rate, by which routes. Everything here may raise Unavailable.

    `tariff`: with the decks that were in force at an instant and since. `packages`: their states for a bucket and
    subscriber, by package and the day its period began. `is_line_of`: whether a party has a line of that number.
    `list_refusal`: why a party's list of destinations keeps it from a number; None: it does not.
    `sum_of_scores`: what numbers and addresses have together.
    `known_caller`: the login of the line that a number in digits is known to ring from, and whether it is banned.
    `called_number`: the number of ours that calls come in by; None: it is none.
    """

    subscriber: Callable[[str], Awaitable[Subscriber | None]]
    tariff: Callable[[int, datetime], Awaitable[Tariff | None]]
    rate: RateSource
    row: RowSource
    routes: Callable[[], Awaitable[tuple[Route, ...]]]
    exchange_rates: Callable[[], Awaitable[ExchangeRates]]
    numbering: NumberingBook
    route_plans: PlanBook
    packages: PackageSource
    is_line_of: Callable[[int, str], Awaitable[bool]] = nobodys_line
    list_refusal: Callable[[int, str], Awaitable[DeclineReason | None]] = unknown_list
    sum_of_scores: Callable[[Sequence[str]], Awaitable[int]] = unknown_scores
    known_caller: Callable[[str], Awaitable[tuple[str, bool] | None]] = nobodys_number
    called_number: Callable[[str], Awaitable[CalledNumber | None]] = no_number
