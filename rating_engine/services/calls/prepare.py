"""callPrepare: a plan, held by the ledger; planned anew as long as the plan was made from what has changed since.

Laws: a call that was allowed holds the money of its `max_seconds` until it is finished, voided or expired; asking again
with the same call key repeats the first answer; what is held and was not told is given back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from typing import Final, Protocol

from rating_engine.domain.account import AccountState, Subscriber
from rating_engine.domain.call_charge import paid_seconds
from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import Allowed, Claim, Declined, DeclineReason, PrepareCall, PrepareOutcome
from rating_engine.domain.reservation import OpenCall, ReserveAnswer, ReserveOutcome
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.lasting import FundsOf, seconds_on
from rating_engine.services.calls.plan import FIRST_ATTEMPT, Plan, Planning
from rating_engine.services.calls.ports import CallLedger, Now
from rating_engine.services.calls.remembered import RememberedCalls
from rating_engine.services.calls.route import Attempts
from rating_engine.services.calls.steps import Step
from rating_engine.services.calls.undo import Undo
from rating_engine.services.facts.sources import CallSources

STALE_TRIES: Final = 4  # each try reads what was announced; more changes than this within one call is a storm
# Besides those, each package that others emptied meanwhile and each route that is full costs a plan; a call with more
# of them than this waits too long anyway.
PLANS_MAX: Final = 32


class StaleFacts(Protocol):
    """Who is told that a plan was made from facts that are old."""

    def forget_caller(self, login: str, tariffs: Iterable[int]) -> None:
        """Read this subscriber and these tariffs anew."""


class CallBack(Protocol):
    """Who calls a line back in place of its own call."""

    async def __call__(self, call: PrepareCall, first: str, destination: str) -> Declined:
        """Has `first` called, and then what `call` dialled, which is `destination`; what the call is told."""
        ...


class InDoubt(Unavailable):
    """A reservation that may have been committed; giving `claim` back frees it."""

    def __init__(self, problem: str, claim: Claim) -> None:
        super().__init__(problem)
        self.claim = claim


class Preparing:
    """Plans calls and holds their money. `conflict` hears of two calls under one key."""

    def __init__(
        self,
        *,
        ledger: CallLedger,
        planning: Planning,
        sources: CallSources,
        stale: StaleFacts,
        remembered: RememberedCalls,
        undo: Undo,
        now: Now,
        funds_of: FundsOf,
        conflict: Callable[[PrepareCall], None] = lambda call: None,
        is_banned: Callable[[str], bool] = lambda address: False,
        call_back: CallBack | None = None,
        is_low: Callable[[Subscriber], Awaitable[bool]] | None = None,
    ) -> None:
        """`is_banned`: whether calls of an exchange are declined, by the address that names it. `call_back` None: who
        has to be called back does not call. `is_low`: whether what a subscriber has is below its `warn_below`."""
        self._is_low = is_low
        self._call_back = call_back
        self._funds_of = funds_of
        self._is_banned = is_banned
        self._ledger = ledger
        self._planning = planning
        self._subscriber = sources.subscriber
        self._known_caller = sources.known_caller
        self._stale = stale
        self._remembered = remembered
        self._undo = undo
        self._now = now
        self._conflict = conflict

    async def prepare(self, call: PrepareCall) -> PrepareOutcome:
        """Allowed or Declined. Errors: InDoubt (give its claim back), Unavailable, Overloaded (nothing is held)."""
        stale = 0
        if self._is_banned(call.call_key.exchange) or self._is_banned(call.origin.source_address):
            return Declined(DeclineReason.EXCHANGE_BANNED)
        if not call.login:
            login = await self._login_of(call.callerid)
            if isinstance(login, Declined):
                return login
            call = replace(call, login=login)
        attempts = Attempts(await self._tried(call)) if call.call_key.attempt > 1 else FIRST_ATTEMPT
        for _ in range(PLANS_MAX):
            with Step("lookup_ms"):
                plan = await self._planning.plan(call, self._now(), attempts)
            if isinstance(plan, Declined):
                return plan
            if plan.subscriber.callback_to and (called := await self._called_back(call, plan)) is not None:
                return called
            answer = await self._hold(plan)
            if not isinstance(answer, ReserveOutcome):
                return answer
            match answer:
                case ReserveOutcome.STALE if stale < STALE_TRIES:
                    stale += 1
                    self._stale.forget_caller(call.login, (tariff_id for tariff_id, _ in plan.request.tariffs))
                case ReserveOutcome.PACKAGE_TAKEN:
                    continue  # another call took of it: less is left
                case ReserveOutcome.ROUTE_FULL:
                    attempts = replace(attempts, full=(*attempts.full, plan.route.route_id))
                case ReserveOutcome.STALE:
                    break
                case _:
                    if answer is ReserveOutcome.CONFLICT:
                        self._conflict(call)
                    return Declined(DeclineReason(answer.value))
        return Declined(DeclineReason.UNAVAILABLE, "tariff, subscriber or packages kept changing")

    async def _called_back(self, call: PrepareCall, plan: Plan) -> Declined | None:
        """What a call of a line is told that is called back; None: it is no call that its phone dialled."""
        if call.inbound is not None or call.origin.from_originate:
            return None
        first = call.call_key._replace(attempt=1)
        if await self._ledger.find(plan.subscriber.bucket, first) is not None:
            return None  # a leg of a callback: it was held before the exchange asked
        if self._call_back is None:
            return Declined(DeclineReason.UNAVAILABLE, "cannot be called back from here")
        return await self._call_back(call, plan.subscriber.callback_to, plan.request.details.destination)

    async def lasts(self, call: PrepareCall, state: AccountState) -> int | Declined:
        """The seconds that a call would last on what its account has now, or why it may not be made.

        Nothing is held for it. Errors: Unavailable, Overloaded.
        """
        plan = await self._planning.plan(call, self._now())
        if isinstance(plan, Declined):
            return plan
        return await seconds_on(plan, state, self._funds_of)

    async def _login_of(self, callerid: str | None) -> str | Declined:
        """Whose a call is that names nobody: of the line that its number is known to ring from."""
        known = await self._known_caller(digits_of(callerid)) if callerid else None
        if known is None:
            return Declined(DeclineReason.UNKNOWN_LOGIN, "no login is named, and the caller id is known as nobody's")
        login, is_banned = known
        return Declined(DeclineReason.INACTIVE, "the caller id is banned") if is_banned else login

    async def _tried(self, call: PrepareCall) -> tuple[str, ...]:
        """The routes of the earlier attempts of a call, as far as they got one."""
        key = call.call_key
        subscriber = await self._subscriber(call.login)
        if subscriber is None:
            return ()
        earlier = [key._replace(attempt=attempt) for attempt in range(1, key.attempt)]
        found = await asyncio.gather(*(self._ledger.find(subscriber.bucket, one) for one in earlier))
        return tuple(one.details.route_name for one in found if one is not None)

    async def _hold(self, plan: Plan) -> PrepareOutcome | ReserveOutcome:
        """The answer, if the ledger's is one; else what the ledger said. However this ends, no claim is left untold."""
        request = plan.request
        claim = Claim(request.call_key, request.bucket, request.account_id, request.claim or 0)
        self._undo.asking(claim)
        try:
            with Step("reserve_ms"):
                answer = await self._ledger.reserve(request)
            outcome = await self._answer(plan, answer, claim)
        except Overloaded:
            self._undo.told(claim)
            raise
        except Unavailable as error:
            raise InDoubt(str(error), claim) from error
        except BaseException:  # cancelled, or a fault of ours: nobody will hear of it
            self._undo.give_back(claim)
            raise
        self._undo.told(claim)
        return outcome

    async def _answer(self, plan: Plan, answer: ReserveAnswer, claim: Claim) -> PrepareOutcome | ReserveOutcome:
        if answer.outcome is ReserveOutcome.EXISTS:
            return await self._repeat(plan, claim)
        if answer.outcome is not ReserveOutcome.RESERVED:
            return answer.outcome
        request, subscriber = plan.request, plan.subscriber
        held = OpenCall(
            request.account_id,
            answer.granted,
            request.steered,
            request.cap_seconds,
            request.route_prefix,
            request.details,
            subscriber.currency,
            resellers_granted=answer.resellers_granted,
        )
        self._remembered.add(request.call_key, held, claim)
        is_low = subscriber.warn_below is not None and await self._hears_of_it(plan)
        told = allowed(held, claim, plan.rate, subscriber.currency)
        return replace(told, low_balance=True, low_balance_sound=subscriber.warn_sound) if is_low else told

    async def _hears_of_it(self, plan: Plan) -> bool:
        """Whether the caller is to hear that little is left: once a call, and never instead of it."""
        if self._is_low is None or plan.request.call_key.attempt > 1:
            return False
        try:
            return await self._is_low(plan.subscriber)
        except (Unavailable, Overloaded):
            return False

    async def _repeat(self, plan: Plan, claim: Claim) -> PrepareOutcome:
        """The first answer once more; by what is stored, not by what this process remembers: the call may be over."""
        try:
            held = await self._ledger.find(claim.bucket, claim.call_key)
        except Overloaded as error:  # unlike one of reserve(), not nothing: the claim is there
            raise Unavailable(str(error)) from error
        if not isinstance(held, OpenCall):
            return Declined(DeclineReason.ALREADY_FINISHED)
        if plan.is_told and held.details.route_name != plan.route.name:
            self._undo.give_back(claim)
            said = f"{plan.route.name} was asked for under the key of a call that goes by {held.details.route_name}"
            return Declined(DeclineReason.CONFLICT, said)
        rate = Rate.from_json(held.details.rate)
        return replace(allowed(held, claim, rate, plan.subscriber.currency), repeated=True)


def allowed(held: OpenCall, claim: Claim, rate: Rate, currency: str) -> Allowed:
    """The answer for a call that is held. `rate`: its frozen one."""
    details = held.details
    return Allowed(  # by place, as CallDetails
        claim.call_key,
        paid_seconds(rate, held.granted, held.cap_seconds, details.resellers, held.resellers_granted),
        details.destination,
        details.callerid,
        details.direction,
        held.route_prefix,
        details.route_name,
        held.granted,
        currency,
        held.quota,
        claim=claim,
    )
