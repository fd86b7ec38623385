"""callPrepare over facts and a ledger in memory: planned anew while it must be, and nothing stays held untold."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest

from rating_engine.domain.errors import AccountLocked, Overloaded, Unavailable
from rating_engine.domain.outcomes import (
    Allowed,
    CallKey,
    Claim,
    Declined,
    DeclineReason,
    FinishCall,
    FinishOutcome,
    NotSaved,
    PrepareCall,
    PrepareOutcome,
    Saved,
    Spooled,
)
from rating_engine.domain.reservation import OpenCall, ReserveOutcome
from rating_engine.services.calls.charging import Charging
from rating_engine.services.calls.finish import Finishing
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.plan import Planning
from rating_engine.services.calls.ports import NoOutage
from rating_engine.services.calls.prepare import PLANS_MAX, STALE_TRIES, Preparing
from rating_engine.services.calls.undo import ADOPT_SECONDS, DOUBT_SECONDS, Undo
from rating_engine.storage.calls.reseller_funds import ResellerFund
from tests.support.calls import finish, key_of, prepare
from tests.support.facts import NOON, Book, Facts, route


class Notes:
    """An UnheardBook in memory; `left`: what dead processes left."""

    def __init__(self) -> None:
        self.held: dict[int, Claim] = {}
        self.left: list[Claim] = []

    def note(self, claim: Claim) -> int | None:
        place = max(self.held, default=0) + 1
        self.held[place] = claim
        return place

    def clear(self, place: int) -> None:
        del self.held[place]

    def adopt(self) -> list[Claim]:
        left, self.left = self.left, []
        return left


async def nobodys_funds(bucket: int, accounts: object, destination: str) -> dict[int, ResellerFund]:
    return {}


class World:
    """Charging over facts in memory."""

    def __init__(self, funds: str | None = None) -> None:
        self.facts = Facts()
        self.book = Book(funds)
        self.notes = Notes()
        self.seconds = 1_000.0
        self.forgotten: list[tuple[str, tuple[int, ...]]] = []
        self.conflicts: list[PrepareCall] = []
        self.outage: NoOutage = NoOutage()
        sources = self.facts.sources()
        planning = Planning(sources, ChargingPolicy())
        self.finishing = Finishing(ledger=self.book, planning=planning, sources=sources, now=lambda: NOON)
        self.undo = Undo(self.book, self.notes, clock=lambda: self.seconds)
        self.preparing = Preparing(
            ledger=self.book,
            planning=planning,
            sources=sources,
            stale=self,
            remembered=self.finishing.remembered,
            undo=self.undo,
            now=lambda: NOON,
            funds_of=nobodys_funds,
            conflict=self.conflicts.append,
        )

    def forget_caller(self, login, tariffs) -> None:
        self.forgotten.append((login, tuple(tariffs)))

    @property
    def charging(self) -> Charging:
        async def nobody(login: str) -> None:
            return None

        return Charging(
            preparing=self.preparing,
            finishing=self.finishing,
            undo=self.undo,
            outage=self.outage,
            read_account=nobody,
        )

    async def prepare(self, call: PrepareCall | None = None) -> PrepareOutcome:
        return await self.charging.prepare_call(call or prepare("1"))

    async def later(self, seconds: float = 0.0) -> None:
        """So many seconds later the claims that are to be given back have their turn."""
        self.seconds += seconds
        await self.undo.turn()


@pytest.fixture
def world() -> World:
    return World()


# -- the answer ------------------------------------------------------------------------------------------------


async def test_an_allowed_call_has_the_seconds_that_are_held_for_it_and_leaves_no_note():
    world = World("3.00")

    outcome = await world.prepare()

    assert isinstance(outcome, Allowed)
    assert (outcome.max_seconds, outcome.reserved, outcome.currency) == (300, Decimal(3), "EUR")
    assert world.notes.held == {}
    assert (await world.prepare()) == replace(outcome, repeated=True, currency="EUR")
    assert world.notes.held == {}


@pytest.mark.parametrize(
    "outcome",
    [
        ReserveOutcome.INACTIVE,
        ReserveOutcome.BLOCKED_DESTINATION,
        ReserveOutcome.PRICE_TOO_HIGH,
        ReserveOutcome.TOO_MANY_CALLS,
        ReserveOutcome.INSUFFICIENT_FUNDS,
        ReserveOutcome.DAILY_LIMIT,
        ReserveOutcome.MONTHLY_LIMIT,
        ReserveOutcome.CONFLICT,
    ],
)
async def test_what_the_ledger_refuses_is_declined_for_its_reason(world, outcome):
    world.book.answers = [outcome]

    assert await world.prepare() == Declined(DeclineReason(outcome.value))
    assert world.notes.held == {}
    assert len(world.conflicts) == (outcome is ReserveOutcome.CONFLICT)


async def test_what_was_planned_from_old_facts_is_planned_anew_but_not_for_ever(world):
    world.book.answers = [ReserveOutcome.STALE] * STALE_TRIES
    assert isinstance(await world.prepare(), Allowed)
    assert world.forgotten == [("1001", (1,))] * STALE_TRIES

    world.book.answers = [ReserveOutcome.STALE] * (STALE_TRIES + 1)
    outcome = await world.prepare(prepare("2"))
    assert isinstance(outcome, Declined)
    assert outcome.reason is DeclineReason.UNAVAILABLE


async def test_a_package_that_others_emptied_is_looked_at_again_but_not_for_ever(world):
    world.book.answers = [ReserveOutcome.PACKAGE_TAKEN] * (PLANS_MAX - 1)
    assert isinstance(await world.prepare(), Allowed)

    world.book.answers = [ReserveOutcome.PACKAGE_TAKEN] * PLANS_MAX
    assert isinstance(await world.prepare(prepare("2")), Declined)
    assert len(world.book.reserved) == 2 * PLANS_MAX


async def test_a_route_that_is_full_is_left_out_until_none_is_left(world):
    world.facts.routes = (route("a", 1, max_calls=1), route("b", 2, max_calls=1))

    world.book.answers = [ReserveOutcome.ROUTE_FULL]
    outcome = await world.prepare()
    assert isinstance(outcome, Allowed)
    assert outcome.route_name == "b"

    world.book.answers = [ReserveOutcome.ROUTE_FULL] * 2
    assert await world.prepare(prepare("2")) == Declined(DeclineReason.NO_CAPACITY)


async def test_the_next_attempt_takes_a_route_that_the_first_did_not(world):
    world.facts.routes = (route("a", 1), route("b", 2))
    names = [(await world.prepare(prepare("1", attempt=attempt))).route_name for attempt in (1, 2)]
    assert names == ["a", "b"]


async def test_another_route_under_the_key_of_a_call_is_a_conflict_and_the_call_goes_on(world):
    world.facts.routes = (route("a", 1), route("b", 2))
    told = replace(prepare("1"), route="b")
    assert (await world.prepare(told)).route_name == "b"
    assert (await world.prepare(told)).repeated

    refused = await world.prepare(replace(told, route="a"))
    assert refused.reason is DeclineReason.CONFLICT
    await world.undo.turn()
    assert world.notes.held == {}
    assert (await world.prepare(told)).repeated


async def test_a_call_that_has_ended_is_not_begun_again(world):
    await world.prepare()
    await world.charging.finish_call(finish("1", 5))

    assert await world.prepare() == Declined(DeclineReason.ALREADY_FINISHED)
    assert world.notes.held == {}


# -- what nobody heard -----------------------------------------------------------------------------------------


async def test_a_reservation_whose_answer_was_lost_is_given_back(world):
    world.book.lost = 1

    assert await world.prepare() == Declined(DeclineReason.UNAVAILABLE, "the answer was lost")
    assert len(world.notes.held) == len(world.book.open) == 1
    await world.later()

    assert (world.notes.held, world.book.open) == ({}, {})


async def test_a_reservation_that_is_made_after_it_was_given_back_is_given_back_again(world):
    """The statement whose answer was lost still waited for a lock."""
    request = await _asked(world)
    world.book.error = None
    await world.later()  # nothing is held yet

    await world.book.reserve(request)
    await world.later(1.0)

    assert (world.book.open, world.notes.held) == ({}, {})


async def _asked(world: World):
    """A request whose outcome is not known, and which was not carried out yet."""
    reserve = world.book.reserve
    asked = []

    async def unanswered(request):
        asked.append(request)
        raise Unavailable("no answer in time")

    world.book.reserve = unanswered
    assert isinstance(await world.prepare(), Declined)
    world.book.reserve = reserve
    return asked[0]


async def test_who_asked_in_vain_stops_asking_when_no_statement_can_be_under_way_any_more(world):
    await _asked(world)
    await world.later()
    for _ in range(10):
        await world.later(DOUBT_SECONDS / 5)

    assert (len(world.undo), world.notes.held) == (0, {})


async def test_while_the_database_is_away_claims_wait_however_long(world):
    world.book.lost = 1
    await world.prepare()
    world.book.error = Unavailable("away")
    for _ in range(10):
        await world.later(3_600)
    assert len(world.undo) == len(world.notes.held) == 1
    world.book.error = None
    await world.later()

    assert (world.book.open, world.notes.held) == ({}, {})


async def test_two_requests_that_both_heard_nothing_leave_nothing(world):
    """The first one's answer was lost; the second found its reservation, and could not read it."""
    world.book.lost = 1
    await world.prepare()

    async def away(bucket: int, call_key: CallKey) -> None:
        raise Unavailable("away")

    world.book.find, find = away, world.book.find
    assert isinstance(await world.prepare(), Declined)
    world.book.find = find
    await world.later()

    assert (world.book.open, world.notes.held, len(world.undo)) == ({}, {}, 0)


async def test_a_call_that_somebody_was_told_of_goes_on_though_its_repetition_was_lost(world):
    assert isinstance(await world.prepare(), Allowed)
    world.book.lost = 1
    assert isinstance(await world.prepare(), Declined)
    await world.later()

    assert list(world.book.open) == [key_of("1")]
    assert (world.notes.held, len(world.undo)) == ({}, 0)


@pytest.mark.parametrize("error", [Overloaded("full"), AccountLocked("locked")])
async def test_what_was_refused_for_want_of_room_holds_nothing(world, error):
    world.book.error = error

    assert await world.prepare() == Declined(DeclineReason(error.code), str(error))
    assert (world.notes.held, len(world.undo)) == ({}, 0)


async def test_a_repetition_that_found_no_room_to_read_the_answer_gives_its_claim_back(world):
    await world.prepare()

    async def full(bucket: int, call_key: CallKey) -> None:
        raise Overloaded("full")

    world.book.find = full
    assert isinstance(await world.prepare(), Declined)
    await world.later()

    assert len(world.book.claims[key_of("1")]) == 1  # of the request that was told


async def test_a_request_that_is_cut_off_gives_back_what_it_may_hold(world):
    reserve = world.book.reserve
    started = asyncio.Event()

    async def slow(request):
        await reserve(request)
        started.set()
        await asyncio.Event().wait()

    world.book.reserve = slow
    task = asyncio.create_task(world.prepare())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(world.book.open) == 1
    await world.later()

    assert (world.book.open, world.notes.held) == ({}, {})


async def test_an_answer_that_could_not_be_delivered_is_given_back_also_while_the_database_is_away(world):
    allowed = await world.prepare()
    world.facts.is_away, world.book.error = True, Unavailable("away")

    assert await world.charging.abandon_call(key_of("1"), "1001", allowed.claim) is True
    assert len(world.notes.held) == 1
    world.book.error = None
    await world.later()

    assert (world.book.open, world.notes.held) == ({}, {})


async def test_of_two_answers_the_one_that_was_not_delivered_leaves_the_other_its_call(world):
    first, second = await world.prepare(), await world.prepare()

    await world.charging.abandon_call(key_of("1"), "1001", second.claim)
    assert list(world.book.open) == [key_of("1")]
    assert isinstance(await world.charging.finish_call(finish("1", 5)), Saved)
    assert world.book.finds == 1  # of the repetition: the call is remembered still

    await world.charging.abandon_call(key_of("1"), "1001", first.claim)


async def test_the_claims_of_a_dead_process_are_given_back(world):
    await world.prepare()
    claim = Claim(key_of("1"), 0, 70, world.book.claims[key_of("1")][0])
    world.notes.left = [claim]
    await world.later(ADOPT_SECONDS)

    assert (world.book.open, world.notes.held) == ({}, {})


# -- without the database --------------------------------------------------------------------------------------


class Promising(NoOutage):
    """Allows every call, and keeps every end."""

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self.kept: list[tuple[FinishCall, OpenCall | None]] = []

    async def prepare(self, call: PrepareCall, error: Unavailable, known: OpenCall | None) -> PrepareOutcome:
        return self.allowed

    async def keep(self, call: FinishCall, known: OpenCall | None, error: Exception, waited: float) -> FinishOutcome:
        self.kept.append((call, known))
        return Spooled(call.call_key, call.seconds, "", "", "", 0)


async def test_a_call_that_may_start_without_the_database_keeps_what_may_be_held_for_it(world):
    world.outage = Promising(await World().prepare())
    world.book.lost = 1

    assert isinstance(await world.prepare(), Allowed)
    await world.later()

    assert list(world.book.open) == [key_of("1")]
    assert (world.notes.held, len(world.undo)) == ({}, 0)


async def test_an_end_that_cannot_be_charged_is_kept_with_what_is_known_of_its_call(world):
    world.outage = outage = Promising(await World().prepare())
    await world.prepare()
    held = world.finishing.known(key_of("1"))
    world.book.error = Unavailable("away")

    assert isinstance(await world.charging.finish_call(finish("1", 5)), Spooled)
    assert outage.kept == [(finish("1", 5), held)]
    assert held is not None


async def test_without_anything_that_keeps_it_an_end_is_not_saved_and_a_fault_of_ours_not_hidden(world):
    world.book.error = Unavailable("away")
    assert await world.charging.finish_call(finish("1", 5)) == NotSaved(DeclineReason.UNAVAILABLE, "away")

    world.book.error = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await world.charging.finish_call(finish("1", 5))
