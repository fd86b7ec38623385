"""What a deck would have earned: calls of the past, or of a file, priced by it beside what they earned.

Laws: a call is priced by the planner and the meter that would charge it. Nothing is written: a file is loaded as an
import loads it, asked over that connection, and taken back. Memory depends on the directions, not on the calls.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

from rating_engine.domain.outcomes import Declined
from rating_engine.domain.past_call import CallPosition, CallRange, PastCall
from rating_engine.domain.tariff import PublishedDeck, Tariff
from rating_engine.rating.charge import charge
from rating_engine.rating.matching import EVER_SINCE, CandidateRate
from rating_engine.rating.number import InvalidNumber
from rating_engine.rating.numbering import destination_of
from rating_engine.services.calls.number import Dialled, origin_of
from rating_engine.services.calls.price import Pricing
from rating_engine.services.cdrs.call_file import BadCall, CallFile, FileCall
from rating_engine.services.cdrs.repricing import Problem, Repriced, Repricing
from rating_engine.services.cdrs.rerating import call_range, tariff_named
from rating_engine.services.decks.importing import AS_IT_IS, DeckFileOptions, Progress, loaded_for_a_while
from rating_engine.services.facts.memory import CallMemory
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.services.facts.sources import CallSources
from rating_engine.storage.calls.past_calls import about_how_many, read_portion
from rating_engine.storage.decks.deck_removal import decks_kept
from rating_engine.storage.decks.deck_versions import find_version
from rating_engine.storage.decks.rate_edits import load_edits
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs.tariffs import load_tariff

BEFORE_ANY_DECK: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_BAD_ROWS: Final = 20  # of a file, that are named; the others are counted


@dataclass(slots=True)
class Earned:
    """Calls of one currency that have something in common, and what they earned: then, and by the deck.

    `margin_calls`: those whose carrier's cost is known, to which both margins belong.
    """

    currency: str
    name: str
    calls: int = 0
    seconds: int = 0
    then: Decimal = Decimal(0)
    by_deck: Decimal = Decimal(0)
    margin_calls: int = 0
    margin_then: Decimal = Decimal(0)
    margin_by_deck: Decimal = Decimal(0)

    @property
    def difference(self) -> Decimal:
        """What the deck earns more."""
        return self.by_deck - self.then

    def add(self, call: PastCall, cost: Decimal) -> None:
        """Count a call that costs so much by the deck."""
        self.calls += 1
        self.seconds += call.seconds
        self.then += call.cost
        self.by_deck += cost
        if call.margin is not None:
            self.margin_calls += 1
            self.margin_then += call.margin
            self.margin_by_deck += call.margin + cost - call.cost


@dataclass(slots=True)
class Simulation:
    """What came out. `served`: by currency and direction; `unserved`: by currency and problem, earned then, not by the
    deck. `unpriced_then`: calls among both that had no price when they were made, and earned nothing. `rates_at`: as of
    when the deck's rates count. `rejected`: rows of the deck's file. Rows of a file that are no calls are counted, the
    first named.
    """

    tariff: str
    deck: str
    rates_at: datetime
    rejected: int = 0
    unanswered: int = 0
    unpriced_then: int = 0
    served: dict[tuple[str, str], Earned] = field(default_factory=dict)
    unserved: dict[tuple[str, str], Earned] = field(default_factory=dict)
    bad_rows: int = 0
    bad: list[BadCall] = field(default_factory=list)

    def totals(self) -> list[Earned]:
        """Of the calls that the deck serves, a line for each currency."""
        sums: dict[str, Earned] = {}
        for line in self.served.values():
            total = sums.setdefault(line.currency, Earned(line.currency, ""))
            total.calls += line.calls
            total.seconds += line.seconds
            total.then += line.then
            total.by_deck += line.by_deck
            total.margin_calls += line.margin_calls
            total.margin_then += line.margin_then
            total.margin_by_deck += line.margin_by_deck
        return [sums[currency] for currency in sorted(sums)]

    def largest(self, shown: int) -> list[Earned]:
        """Directions by their difference, the largest first."""
        return sorted(self.served.values(), key=lambda line: (-abs(line.difference), line.name))[:shown]


@dataclass(frozen=True, slots=True)
class SimulationProgress:
    """`done` of `total` CDRs or bytes of a file (None: not known); calls priced so far."""

    done: int
    total: int | None
    calls: int


@dataclass(frozen=True, slots=True)
class CallSpan:
    """Calls of the database that were prepared in [calls_from, calls_to)."""

    calls_from: datetime
    calls_to: datetime


@dataclass(frozen=True, slots=True)
class SimulationRequest:
    """Price calls by a deck of a tariff: a file, or a version (of those that are kept).

    Calls: of a file, or those of the database that the tariff priced and that were prepared in [calls_from, calls_to).
    `login`: only this one's. `at`: as of when the deck's rates count; None: when it comes into
    force, or now if it is already.
    """

    tariff: str
    deck: Path | int
    calls: Path | CallSpan
    login: str | None = None
    at: datetime | None = None
    options: DeckFileOptions = AS_IT_IS


async def simulate(
    database: Database,
    database_url: str,
    request: SimulationRequest,
    *,
    international_prefix: str,
    on_loading: Callable[[Progress], None] = lambda progress: None,
    on_progress: Callable[[SimulationProgress], None] = lambda progress: None,
) -> Simulation:
    """Price calls by a deck. Takes two connections of `database` and one of its own.

    Errors: those of an import of the file, NotFound (tariff, version, login), InvalidRequest, Unavailable.
    """
    tariff = await tariff_named(database, request.tariff)
    memory = CallMemory(database, international_prefix=international_prefix)
    calls = await _calls(database, memory, tariff, request)
    async with _deck(database, database_url, tariff, request, on_loading) as (result, deck, decks):
        repricing = Repricing(_as_of(memory.sources, decks, result.rates_at), tariff, deck)
        priced = 0
        async for portion, done, total in calls:
            for call in portion:
                if isinstance(call, BadCall):
                    result.bad_rows += 1
                    if len(result.bad) < MAX_BAD_ROWS:
                        result.bad.append(call)
                elif call.seconds == 0:
                    result.unanswered += 1
                else:
                    _count(result, call, await repricing.price(call))
                    priced += 1
            on_progress(SimulationProgress(done, total, priced))
    return result


_Portions = AsyncIterator[tuple[Iterable[PastCall | BadCall], int, int | None]]


@contextlib.asynccontextmanager
async def _deck(
    database: Database,
    database_url: str,
    tariff: Tariff,
    request: SimulationRequest,
    on_loading: Callable[[Progress], None],
) -> AsyncIterator[tuple[Simulation, PublishedDeck, RateDecks]]:
    """The deck, and where its rates are found; an empty result."""
    if isinstance(request.deck, int):
        async with decks_kept(database):
            async with database.connection() as connection:
                version = await find_version(connection, tariff.name, request.deck)
            rates_at = request.at or max(version.effective_from, datetime.now(UTC))
            edits = await load_edits(database, version.deck_id)
            longest = version.longest_prefix
            deck = PublishedDeck(version.deck_id, version.version, EVER_SINCE, longest, "simulated", edits)
            yield Simulation(tariff.name, f"version {version.version}", rates_at), deck, RateDecks(database)
        return
    async with loaded_for_a_while(
        database_url, request.deck, tariff.name, options=request.options, on_progress=on_loading
    ) as file:
        result = Simulation(tariff.name, request.deck.name, request.at or file.comes_at, rejected=file.rejected)
        deck = PublishedDeck(file.deck_id, 0, EVER_SINCE, file.longest_prefix, "simulated")
        yield result, deck, RateDecks(file.connection)


def _as_of(sources: CallSources, decks: RateDecks, rates_at: datetime) -> CallSources:
    """Rates of `decks` as they count at one instant, whenever a call was made; all else as it is."""

    async def row(tariff: Tariff, destination: str, /, *, at: datetime, origin: str, band: str) -> CandidateRate | None:
        return await decks.choose_row(tariff, destination, at=rates_at, origin=origin, band=band)

    return replace(
        sources,
        rate=lambda tariff, destination, /, *, at, origin, band: decks.match_rate(
            tariff, destination, at=rates_at, origin=origin, band=band
        ),
        row=row,
    )


def _count(result: Simulation, call: PastCall, found: Repriced | Problem) -> None:
    result.unpriced_then += not call.rate
    if isinstance(found, Problem):
        key = call.currency, found.value
        result.unserved.setdefault(key, Earned(*key)).add(call, Decimal(0))
    else:
        key = call.currency, found.direction
        result.served.setdefault(key, Earned(*key)).add(call, found.charge.cost)


async def _calls(database: Database, memory: CallMemory, tariff: Tariff, request: SimulationRequest) -> _Portions:
    """The calls in portions, with how far the reading is."""
    if isinstance(request.calls, Path):
        return _of_file(database, CallFile(request.calls, tariff.schedule.zone), memory, tariff, request.login)
    span = request.calls
    wanted = await call_range(database, tariff, span.calls_from, span.calls_to, login=request.login)
    return _of_database(database, wanted)


async def _of_database(database: Database, wanted: CallRange) -> _Portions:
    about, done, position = await about_how_many(database), 0, CallPosition()
    while (portion := await read_portion(database, wanted, position)) is not None:
        position = portion.last
        done += portion.gone_through
        yield portion.calls, done, about


async def _of_file(
    database: Database, file: CallFile, memory: CallMemory, tariff: Tariff, login: str | None
) -> _Portions:
    pricing = Pricing(memory.sources)
    since_ever = await load_tariff(database, tariff.tariff_id, BEFORE_ANY_DECK) or tariff
    for portion in file.calls():
        wanted = [row for row in portion if isinstance(row, BadCall) or login in (None, row.login)]
        yield [await _past_call(row, memory, pricing, since_ever) for row in wanted], file.read, file.size


async def _past_call(
    row: FileCall | BadCall, memory: CallMemory, pricing: Pricing, tariff: Tariff
) -> PastCall | BadCall:
    """A call of a file as if it had been made on the tariff: it earned what the deck in force then made it cost, and
    nothing where that would have declined it."""
    if isinstance(row, BadCall):
        return row
    subscriber = await memory.sources.subscriber(row.login) if row.login else None
    if row.login and subscriber is None:
        return BadCall(row.line, f"login: {row.login!r} does not exist")
    plan_name = None if subscriber is None else subscriber.numbering_plan
    plan = await memory.numbering.plan_of(plan_name)
    aliases = await memory.numbering.aliases_of({} if subscriber is None else subscriber.aliases)
    try:
        digits = destination_of(row.destination, plan, aliases)
    except InvalidNumber as error:
        return BadCall(row.line, f"destination: {error}")
    caller = row.caller or ("" if subscriber is None else subscriber.callerid)
    currency = tariff.currency if subscriber is None else subscriber.currency
    dialled = Dialled(digits, "", origin_of(caller, plan))
    price = await pricing.price_in(tariff, (tariff,), dialled, currency, row.started_at, max(row.seconds, 1))
    return PastCall(
        bucket=0,
        call_key=str(row.line),
        account_id=0,
        subscriber_id=0,
        login=row.login,
        currency=currency,
        numbering_plan=plan_name,
        callerid=caller,
        destination=digits,
        routing_number="",
        direction="",
        started_at=row.started_at,
        seconds=row.seconds,
        cost=Decimal(0) if isinstance(price, Declined) else charge(price.rate, row.seconds).cost,
        rate="" if isinstance(price, Declined) else price.rate.to_json(),
        provisional=False,
    )


class Simulations:
    """What decks would have earned."""

    def __init__(self, database: Database, database_url: str, *, international_prefix: str) -> None:
        self._database = database
        self._url = database_url
        self._international_prefix = international_prefix

    async def simulate(
        self,
        request: SimulationRequest,
        *,
        on_loading: Callable[[Progress], None] = lambda progress: None,
        on_progress: Callable[[SimulationProgress], None] = lambda progress: None,
    ) -> Simulation:
        """Price calls by a deck. Errors: as `simulate`."""
        return await simulate(
            self._database, self._url, request, international_prefix=self._international_prefix,
            on_loading=on_loading, on_progress=on_progress,
        )  # fmt: skip
