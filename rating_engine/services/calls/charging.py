"""callPrepare and callFinish: may this call start and for how long, and what did it cost?

Laws: a call that was allowed holds the money of its `max_seconds` until it is finished, voided or expired; asking
again with the same call key repeats the first answer; nothing is answered as done that is not committed.
A broken database is an answer too (`UNAVAILABLE`): never a free call.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol

import structlog

from rating_engine.domain.account import AccountState, Subscriber
from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import (
    Allowed,
    Balance,
    BalanceOutcome,
    CallKey,
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
from rating_engine.domain.reservation import CallDetails, OpenCall, ReserveOutcome, SettleRequest, SettleSource
from rating_engine.rating.charge import max_duration
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.finish import Finishing
from rating_engine.services.calls.plan import ChargingPolicy, Plan, Planning
from rating_engine.services.calls.remembered_calls import RememberedCalls
from rating_engine.services.calls.unwatched import UnwatchedCalls
from rating_engine.services.facts.books import SubscriberDirectory
from rating_engine.services.facts.rate_lookup import RateDecks
from rating_engine.services.facts.sources import CallSources
from rating_engine.services.outage.finish_spool import FinishSpool
from rating_engine.services.outage.offline_calls import OfflineCalls
from rating_engine.storage.calls.ledger import Ledger

STALE_TRIES: Final = 4  # each try reads what was announced; more changes than this within one call is a storm
# Besides those, each package that others emptied meanwhile and each route that is full costs a plan; a call with more
# of them than this waits too long anyway.
PLANS_MAX: Final = 32
UNDO_KEPT: Final = 10_000  # reservations of unknown outcome to be freed; what is beyond is freed by its expiry

_log = structlog.get_logger(__name__)


class CallObserver(Protocol):
    """Where the figures of a call go (telemetry)."""

    def prepared(self, outcome: str, reason: str, seconds: float) -> None:
        """One callPrepare was answered."""

    def finished(self, outcome: str, reason: str, seconds: float, overrun: bool) -> None:
        """One callFinish was answered."""


class _InDoubt(Unavailable):
    """A reservation that may have been committed; `undo` frees it."""

    def __init__(self, problem: str, undo: SettleRequest) -> None:
        super().__init__(problem)
        self.undo = undo


class Charging:
    """Credit control over the ledger. Safe for any number of calls at once and of engines side by side."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        sources: CallSources,
        subscribers: SubscriberDirectory,
        rate_decks: RateDecks,
        read_account: Callable[[str], Awaitable[AccountState | None]],
        policy: ChargingPolicy,
        observer: CallObserver,
        is_watched: Callable[[str], bool] = lambda exchange: False,
        spool: FinishSpool | None = None,
        offline: OfflineCalls | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`sources` say what calls are planned by; `subscribers` and `rate_decks` are told when that was stale.

        `now`: the clock whose instants price calls.
        """
        self._ledger = ledger
        self._subscribers = subscribers
        self._rate_decks = rate_decks
        self._read_account = read_account
        self._policy = policy
        self._observer = observer
        self._is_watched = is_watched
        self._unwatched = UnwatchedCalls()
        self._spool = spool
        self._offline = offline
        self._now = now
        self._remembered = RememberedCalls()
        self._planning = Planning(sources, policy, wants_quota=self._quota)
        self._offline_planning = None if offline is None else Planning(offline.sources, policy)
        self._finishing = Finishing(
            ledger=ledger, planning=self._planning, sources=sources, remembered=self._remembered, now=now
        )
        self._undo: deque[SettleRequest] = deque(maxlen=UNDO_KEPT)

    # -- callPrepare ------------------------------------------------------------------------------------------

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        """Allowed with the seconds its reservation pays for, or Declined with the reason. Repeats get the same."""
        started = time.perf_counter()
        steps: dict[str, float] = {}
        outcome: PrepareOutcome
        try:
            outcome = await self._prepare(call, steps)
        except Unavailable as error:
            outcome = await self._without_database(call, error)
        except Overloaded as error:
            outcome = Declined(DeclineReason(error.code), str(error))
        seconds = time.perf_counter() - started
        allowed = isinstance(outcome, Allowed)
        reason = "" if isinstance(outcome, Allowed) else outcome.reason.value
        self._observer.prepared("allowed" if allowed else "declined", reason, seconds)
        _log.info(
            "call_prepare",
            call_key=str(call.call_key),
            login=call.login,
            outcome="allowed" if allowed else "declined",
            **({"max_seconds": outcome.max_seconds} if isinstance(outcome, Allowed) else {"reason": reason}),
            **({"detail": outcome.detail} if isinstance(outcome, Declined) and outcome.detail else {}),
            ms=_ms(seconds),
            **steps,
        )
        return outcome

    async def _prepare(self, call: PrepareCall, steps: dict[str, float]) -> PrepareOutcome:
        stale = 0
        full: list[int] = []
        tried: tuple[str, ...] | None = None
        for _ in range(PLANS_MAX):
            mark = time.perf_counter()
            if tried is None:
                tried = await self._tried(call)
            plan = await self._planning.plan(call, self._now(), tried=tried, full=full)
            steps["lookup_ms"] = _ms(time.perf_counter() - mark)
            if isinstance(plan, Declined):
                return plan
            mark = time.perf_counter()
            try:
                answer = await self._ledger.reserve(plan.request)
            except Unavailable as error:
                raise _InDoubt(str(error), _void(call.call_key, plan.subscriber, plan.request.claim)) from error
            steps["reserve_ms"] = _ms(time.perf_counter() - mark)
            match answer.outcome:
                case ReserveOutcome.RESERVED:
                    return self._allow(call.call_key, plan, answer.granted)
                case ReserveOutcome.STALE if stale < STALE_TRIES:
                    stale += 1
                    self._forget(call.login, plan)
                case ReserveOutcome.PACKAGE_TAKEN:
                    continue  # another call took of it: less is left
                case ReserveOutcome.ROUTE_FULL:
                    full.append(plan.route.route_id)
                case ReserveOutcome.EXISTS:
                    return await self._repeat_prepare(call.call_key, plan.subscriber)
                case ReserveOutcome.STALE:
                    break
                case _:
                    return Declined(DeclineReason(answer.outcome.value))
        return Declined(DeclineReason.UNAVAILABLE, "tariff, subscriber or packages kept changing")

    async def _tried(self, call: PrepareCall) -> tuple[str, ...]:
        """The routes of the earlier attempts of a call, as far as they got one."""
        key = call.call_key
        subscriber = await self._subscribers.find(call.login) if key.attempt > 1 else None
        if subscriber is None:
            return ()
        earlier = [replace(key, attempt=attempt) for attempt in range(1, key.attempt)]
        found = await asyncio.gather(*(self._ledger.find(subscriber.bucket, one) for one in earlier))
        return tuple(one.details.route_name for one in found if one is not None)

    def _forget(self, login: str, plan: Plan) -> None:
        """Read anew what a refused plan was made from."""
        self._subscribers.forget(login)
        for tariff_id, _ in plan.request.tariffs:
            self._rate_decks.forget_tariff(tariff_id)

    async def _without_database(self, call: PrepareCall, error: Unavailable) -> PrepareOutcome:
        """No, unless it is a call that may start without a reservation. One whose reservation is in doubt is undone."""
        outcome: PrepareOutcome = Declined(DeclineReason.UNAVAILABLE, str(error))
        if self._offline is not None and self._offline_planning is not None and self._offline.lists(call.login):
            outcome = await self._promise(call, self._offline, self._offline_planning)
        if isinstance(error, _InDoubt) and not isinstance(outcome, Allowed):
            self._undo.append(error.undo)
        return outcome

    async def _promise(self, call: PrepareCall, offline: OfflineCalls, planning: Planning) -> PrepareOutcome:
        """Allow a call by what was known before the database went; nothing is held for it."""
        try:
            plan = await planning.plan(call, self._now())
        except Unavailable as error:
            return Declined(DeclineReason.UNAVAILABLE, str(error))
        if isinstance(plan, Declined):
            return plan
        currency = plan.subscriber.currency
        promised = await offline.promise(plan.request, plan.rate, call.login, currency)
        if isinstance(promised, Declined):
            return promised
        held, repeated = promised
        return replace(
            _allowed(call.call_key, held, Rate.from_json(held.details.rate), currency, repeated=repeated),
            reserved=Decimal(0),
        )

    def _quota(self, subscriber: Subscriber, exchange: str) -> bool:
        """Whether this call reserves in slices: only where somebody watches its exchange and can lengthen it."""
        wanted = self._policy.quota if subscriber.quota is None else subscriber.quota
        if wanted and not self._is_watched(exchange):
            self._unwatched.count(exchange, subscriber.login)
            return False
        return wanted

    def _allow(self, call_key: CallKey, plan: Plan, granted: Decimal) -> Allowed:
        held = OpenCall(
            account_id=plan.subscriber.account_id,
            granted=granted,
            quota=plan.request.quota,
            cap_seconds=plan.request.cap_seconds,
            route_prefix=plan.route.dial_prefix,
            details=plan.request.details,
            currency=plan.subscriber.currency,
            claim=plan.request.claim,
        )
        self._remembered.add(call_key, held)
        return _allowed(call_key, held, plan.rate, plan.subscriber.currency, repeated=False)

    async def _repeat_prepare(self, call_key: CallKey, subscriber: Subscriber) -> PrepareOutcome:
        held = await self._ledger.find(subscriber.bucket, call_key)  # not what this process remembers: it may be over
        if isinstance(held, OpenCall):
            rate = Rate.from_json(held.details.rate)
            return _allowed(call_key, held, rate, subscriber.currency, repeated=True)
        return Declined(DeclineReason.ALREADY_FINISHED)

    # -- callFinish -------------------------------------------------------------------------------------------

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        """Saved with the charge, Spooled, or NotSaved with the reason. However often said, a call is charged once."""
        started = time.perf_counter()
        promised = self._promised(call.call_key)
        held = promised or self._remembered.get(call.call_key)
        outcome: FinishOutcome
        try:
            outcome = await self._finishing.finish(call, None if promised is None else promised.details)
        except Exception as error:
            outcome = await self._finish_later(call, held, error, time.perf_counter() - started)
        if self._offline is not None and promised is not None and not isinstance(outcome, NotSaved):
            self._offline.forget(call.call_key)
        seconds = time.perf_counter() - started
        if isinstance(outcome, Saved):
            said = "repeated" if outcome.repeated else "saved"
            self._observer.finished(said, "", seconds, outcome.overrun > 0)
            fields: dict[str, object] = {"cost": str(outcome.cost), "billed_seconds": outcome.billed_seconds}
            if outcome.overrun > 0:
                fields["overrun"] = str(outcome.overrun)
        elif isinstance(outcome, Spooled):
            said = "spooled"
            self._observer.finished(said, "", seconds, False)
            fields = {"cost": None if outcome.cost is None else str(outcome.cost)}
        else:
            said = "failed"
            self._observer.finished(said, outcome.reason.value, seconds, False)
            fields = {"reason": outcome.reason.value, "detail": outcome.detail}
        _log.info(
            "call_finish",
            call_key=str(call.call_key),
            login=call.login,
            outcome=said,
            seconds=call.seconds,
            disposition=call.disposition,
            cause=call.cause,
            ms=_ms(seconds),
            **fields,
        )
        return outcome

    def _promised(self, call_key: CallKey) -> OpenCall | None:
        """The call, if it was allowed without the database. A call this process reserved was not: no need to look."""
        if self._offline is None or self._remembered.get(call_key) is not None:
            return None
        return self._offline.promised(call_key)

    async def _finish_later(
        self, call: FinishCall, held: OpenCall | None, error: Exception, waited_seconds: float
    ) -> FinishOutcome:
        """Spool a finish that could not be charged now, whatever the reason: it is the last word on a call's money."""
        if not isinstance(error, Unavailable | Overloaded):
            _log.error("finish_failed", call_key=str(call.call_key), exc_info=error)
        if self._spool is not None:
            return await self._spool.keep(call, held, waited_seconds=waited_seconds)
        if isinstance(error, Unavailable | Overloaded):
            return NotSaved(DeclineReason(error.code), str(error))
        raise error

    async def replay_finish(self, call: FinishCall, promised: CallDetails | None) -> FinishOutcome:
        """A finish that was spooled, charged by the same path; `promised` as the spool kept it.

        Errors: Unavailable, Overloaded: it has to wait on.
        """
        return await self._finishing.finish(call, promised)

    # -- the rest ---------------------------------------------------------------------------------------------

    async def balance(self, login: str) -> BalanceOutcome:
        """The money of a login's account."""
        try:
            state = await self._read_account(login)
        except Unavailable as error:
            return Declined(DeclineReason.UNAVAILABLE, str(error))
        if state is None:
            return Declined(DeclineReason.UNKNOWN_LOGIN)
        return Balance(
            login=state.login,
            currency=state.currency,
            balance=state.balance,
            reserved=state.reserved,
            overdraft=state.overdraft,
            available=state.available,
        )

    async def abandon_call(self, call_key: CallKey, login: str) -> None:
        """The exchange left before it heard that the call is allowed: no call will start, so its money is freed.

        Only by the process that reserved it, and not once another request was told that the call is allowed.
        """
        held = self._remembered.pop(call_key)
        if self._offline is not None:
            self._offline.forget(call_key)
        subscriber = await self._subscribers.find(login)
        if held is not None and subscriber is not None:
            self._undo.append(_void(call_key, subscriber, held.claim))
            await self.undo_abandoned()
        _log.info("call_abandoned", call_key=str(call_key), login=login, held=held is not None)

    async def undo_abandoned(self) -> None:
        """Free reservations whose answer was never heard; what cannot be freed now is tried at the next turn."""
        while self._undo:  # others may be at it too, so that its length says nothing after an await
            request = self._undo.popleft()
            try:
                await self._ledger.settle(request)
            except (Unavailable, Overloaded):
                self._undo.appendleft(request)
                return


def _allowed(call_key: CallKey, held: OpenCall, rate: Rate, currency: str, *, repeated: bool) -> Allowed:
    details = held.details
    return Allowed(
        call_key=call_key,
        max_seconds=max_duration(rate, held.granted, held.cap_seconds),
        destination=details.destination,
        callerid=details.callerid,
        direction=details.direction,
        route_prefix=held.route_prefix,
        route_name=details.route_name,
        reserved=held.granted,
        currency=currency,
        quota=held.quota,
        repeated=repeated,
    )


def _void(call_key: CallKey, subscriber: Subscriber, claim: int | None) -> SettleRequest:
    return SettleRequest(
        call_key=call_key,
        bucket=subscriber.bucket,
        account_id=subscriber.account_id,
        seconds=0,
        billed_seconds=0,
        cost=Decimal(0),
        disposition="ABANDONED",
        cause=0,
        source=SettleSource.ABANDONED,
        claim=claim,
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
