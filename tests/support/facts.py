"""Facts about calls in memory: the port that calls are planned by, without PostgreSQL, and a ledger that is a table.

A world of one account 1001 in EUR on the tariff `retail`, which has one deck in force since ever; tests add the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.reservation import (
    EndedCall,
    ExtendAnswer,
    ExtendOutcome,
    ExtendRequest,
    OpenCall,
    ReserveAnswer,
    ReserveOutcome,
    ReserveRequest,
    SettleAnswer,
    SettleOutcome,
    SettleRequest,
    SettleSource,
)
from rating_engine.domain.route_plan import KnownPlans
from rating_engine.domain.tariff import Direction, Package, PackageKind, Period, PublishedDeck, RateMatch, Route, Tariff
from rating_engine.rating.exchange import ExchangeRate, ExchangeRates
from rating_engine.rating.matching import EVER_SINCE, FOR_EVER, CandidateRate
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.rating.prefix import longest_match
from rating_engine.rating.rate import Rate
from rating_engine.services.facts.books import NumberingBook, PlanBook
from rating_engine.services.facts.memory import DEFAULT_ROUTE
from rating_engine.services.facts.sources import CallSources
from rating_engine.storage.calls.package_usage import PackageState

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)  # a Monday
RETAIL = 1
SOMEWHERE = Direction("somewhere", "Somewhere")


def minute(price: str, **more: object) -> Rate:
    """A price a minute, charged by the second."""
    return Rate(price_1=price, price_unit="minute", **more)  # type: ignore[arg-type]


def tariff(tariff_id: int = RETAIL, name: str = "retail", **more: object) -> Tariff:
    """A tariff in EUR with one deck."""
    deck = PublishedDeck(10 * tariff_id, 1, EVER_SINCE, 8, f"deck {tariff_id}")
    return Tariff(**{"tariff_id": tariff_id, "version": 1, "name": name, "currency": "EUR", "decks": (deck,), **more})  # type: ignore[arg-type]


def package(package_id: int, kind: PackageKind, **more: object) -> Package:
    """A package of the tariff `retail` that covers every direction."""
    given = {"tariff_id": RETAIL, "name": kind.value, "directions": None, "seconds": None, "period": Period.MONTH}
    return Package(**{"package_id": package_id, "kind": kind, "waives_fees": False, "position": 1, **given, **more})  # type: ignore[arg-type]


def route(name: str, position: int = 1, **more: object) -> Route:
    """A route to everywhere; its id is made of its name."""
    return replace(Route(name, "", "", position, sum(map(ord, name))), **more)  # type: ignore[arg-type]


@dataclass
class Facts:
    """`rates`: by tariff and band ('' any other time), then prefix; None blocks. `packages`: (used, left) by id."""

    tariffs: dict[int, Tariff] = field(default_factory=lambda: {RETAIL: tariff()})
    rates: dict[tuple[int, str], Mapping[str, Rate | None]] = field(
        default_factory=lambda: {(RETAIL, ""): {"49": minute("0.60")}}
    )
    routes: tuple[Route, ...] = (DEFAULT_ROUTE,)
    packages: dict[int, tuple[int, int | None]] = field(default_factory=dict)
    exchange: tuple[ExchangeRate, ...] = ()
    directions: dict[str, Direction] = field(default_factory=dict)
    subscriber: Subscriber = field(
        default_factory=lambda: Subscriber(7, 3, "1001", 0, 70, RETAIL, "EUR", "", None, None, None)
    )
    plans: KnownPlans = field(default_factory=lambda: KnownPlans({}))
    is_away: bool = False

    def sources(self) -> CallSources:
        """As calls are planned by them."""

        async def numbering() -> tuple[dict[str, NumberingPlan], dict[str, str]]:
            return {}, {}

        async def plans() -> KnownPlans:
            return self.plans

        return CallSources(
            subscriber=self._subscriber,
            tariff=self._tariff,
            rate=self._rate,
            row=self._row,
            routes=self._routes,
            exchange_rates=self._exchange_rates,
            numbering=NumberingBook(numbering, NumberingPlan("")),
            route_plans=PlanBook(plans),
            packages=self._packages,
        )

    async def _subscriber(self, login: str) -> Subscriber | None:
        if self.is_away:
            raise Unavailable("away")
        return self.subscriber if login == self.subscriber.login else None

    async def _tariff(self, tariff_id: int, at: datetime | None = None) -> Tariff | None:
        return self.tariffs.get(tariff_id)

    async def _rate(self, tariff: Tariff, number: str, /, *, at: datetime, origin: str, band: str) -> RateMatch | None:
        row = await self._row(tariff, number, at=at, origin=origin, band=band)
        if row is None or row.rate is None:
            return None
        direction = self.directions.get(row.prefix, SOMEWHERE)
        return RateMatch(tariff.tariff_id, tariff.decks[0].deck_id, tariff.currency, row.prefix, direction, row.rate)

    async def _row(
        self, tariff: Tariff, number: str, /, *, at: datetime, origin: str, band: str
    ) -> CandidateRate | None:
        for one in (band, "") if band else ("",):
            found = longest_match(number, self.rates.get((tariff.tariff_id, one), {}))
            if found is not None:
                prefix, rate = found
                return CandidateRate(prefix, "", one, EVER_SINCE, FOR_EVER, "somewhere", rate is None, rate)
        return None

    async def _routes(self) -> tuple[Route, ...]:
        return self.routes

    async def _exchange_rates(self) -> ExchangeRates:
        return ExchangeRates(self.exchange)

    async def _packages(
        self, bucket: int, subscriber_id: int, wanted: Sequence[tuple[int, date]]
    ) -> list[PackageState]:
        return [PackageState(one, start, *self.packages.get(one, (0, None))) for one, start in wanted]


class Book:
    """A ledger that is a table in memory: no money but `funds` (None: endless), one account, no limits.

    `answers`: outcomes of reserve() to be given first, in their order. `lost`: so many answers of reserve() are lost
    after it was carried out.
    """

    def __init__(self, funds: str | None = None) -> None:
        self.funds = None if funds is None else Decimal(funds)
        self.answers: list[ReserveOutcome] = []
        self.lost = 0
        self.open: dict[CallKey, OpenCall] = {}
        self.claims: dict[CallKey, list[int | None]] = {}
        self.ended: dict[CallKey, EndedCall] = {}
        self.reserved: list[ReserveRequest] = []
        self.extended: list[ExtendRequest] = []
        self.settled: list[SettleRequest] = []
        self.finds = 0
        self.error: Exception | None = None

    async def reserve(self, request: ReserveRequest) -> ReserveAnswer:
        """Holds the most there is."""
        self._fail()
        self.reserved.append(request)
        outcome = self.answers.pop(0) if self.answers else self._reserve(request)
        if self.lost:
            self.lost -= 1
            raise Unavailable("the answer was lost")
        granted = self.open[request.call_key].granted if outcome is ReserveOutcome.RESERVED else Decimal(0)
        return ReserveAnswer(outcome, granted)

    def _reserve(self, request: ReserveRequest) -> ReserveOutcome:
        known = self.open.get(request.call_key) or self.ended.get(request.call_key)
        if known is not None:
            if request.call_key in self.open:
                self.claims[request.call_key].append(request.claim)
            return ReserveOutcome.EXISTS
        if self.funds is not None and self.funds < request.minimum:
            return ReserveOutcome.INSUFFICIENT_FUNDS
        granted = request.maximum if self.funds is None else min(self.funds, request.maximum)
        self.open[request.call_key] = OpenCall(
            request.account_id, granted, request.steered, request.cap_seconds, request.route_prefix, request.details
        )
        self.claims[request.call_key] = [request.claim]
        return ReserveOutcome.RESERVED

    async def extend(self, request: ExtendRequest) -> ExtendAnswer:
        """Holds what is asked for as far as there are funds, or keeps no more."""
        self._fail()
        self.extended.append(request)
        held = self.open.get(request.call_key)
        if held is None:
            return ExtendAnswer(ExtendOutcome.UNKNOWN, Decimal(0))
        granted = min(held.granted, request.maximum)
        if not request.give_back:
            most = request.maximum if self.funds is None else min(request.maximum, held.granted + self.funds)
            granted = max(held.granted, most)
        self.open[request.call_key] = replace(held, granted=granted)
        return ExtendAnswer(ExtendOutcome.EXTENDED, granted)

    async def settle(self, request: SettleRequest) -> SettleAnswer:
        """Ends what is open, once."""
        self._fail()
        self.settled.append(request)
        return SettleAnswer(self._settle(request), Decimal(0))

    def _settle(self, request: SettleRequest) -> SettleOutcome:
        key, held = request.call_key, self.open.get(request.call_key)
        if held is None and key in self.ended:
            ended = self.ended[key]
            if not ended.provisional or request.source is not SettleSource.FINISH:
                same = request.source is not SettleSource.FINISH or ended.seconds == request.seconds
                return SettleOutcome.REPEATED if same else SettleOutcome.CONFLICT
        elif held is None and request.details is None:
            return SettleOutcome.UNKNOWN
        if held is not None and request.source is SettleSource.ABANDONED:
            if request.claim not in self.claims[key]:
                return SettleOutcome.STILL_OPEN
            self.claims[key].remove(request.claim)
            if self.claims[key]:
                return SettleOutcome.STILL_OPEN
        details = held.details if held is not None else request.details or self.ended[key].details
        self.open.pop(key, None)
        self.ended[key] = EndedCall(
            account_id=request.account_id,
            provisional=request.source is not SettleSource.FINISH,
            seconds=request.seconds,
            billed_seconds=request.billed_seconds,
            cost=request.cost,
            disposition=request.disposition,
            cause=request.cause,
            details=details,
        )
        return SettleOutcome.SETTLED

    async def find(self, bucket: int, call_key: CallKey) -> OpenCall | EndedCall | None:
        """As it is."""
        self._fail()
        self.finds += 1
        return self.open.get(call_key) or self.ended.get(call_key)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error
