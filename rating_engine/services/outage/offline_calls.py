"""Calls of trusted postpaid accounts while the database is away (`on_database_down = "allow_postpaid"`).

Laws: only what was known and allowed before the database went is allowed without it; no such call lasts longer than
`max_seconds`; what it will cost is written down (see storage/spool/promises) before it may start; nobody is allowed a
call whose end would find the spool full.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import Subscriber
from rating_engine.domain.errors import Unavailable
from rating_engine.domain.outcomes import Allowed, CallKey, Claim, Declined, DeclineReason, PrepareCall
from rating_engine.domain.reservation import OpenCall
from rating_engine.domain.route_plan import KnownPlans
from rating_engine.domain.tariff import RateMatch, Route, Tariff
from rating_engine.rating.charge import max_charge
from rating_engine.rating.exchange import ExchangeRates
from rating_engine.rating.matching import CandidateRate
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.hold import ChargingPolicy
from rating_engine.services.calls.plan import Plan, Planning
from rating_engine.services.calls.ports import Now
from rating_engine.services.calls.prepare import allowed
from rating_engine.services.facts.books import Numbering, PlanBook
from rating_engine.services.facts.memory import CallMemory
from rating_engine.services.facts.rate_lookup import DeckSnapshot
from rating_engine.services.facts.sources import CallSources
from rating_engine.storage.calls.package_usage import PackageState
from rating_engine.storage.parties.offline import OfflineAccount
from rating_engine.storage.spool.promises import Promise, Promises

REFRESH_SECONDS: Final = 30.0  # how old what is known may be when the database goes: a blocked account, say
PROMISES_MAX: Final = 10_000  # files in the directory: more calls than trusted accounts make in an outage

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    """What calls of the listed accounts are planned by, as it was when the database was last asked."""

    accounts: dict[str, OfflineAccount]
    decks: DeckSnapshot
    routes: tuple[Route, ...]
    plans: KnownPlans
    exchange_rates: ExchangeRates
    numbering: Numbering


class OfflineCalls:
    """What is known of the listed logins, and the calls they were promised.

    Without logins it allows nothing, and still knows what was promised before.
    """

    def __init__(
        self,
        logins: Sequence[str],
        promises: Promises,
        *,
        load_accounts: Callable[[Sequence[str]], Awaitable[dict[str, OfflineAccount]]],
        memory: CallMemory,
        has_room: Callable[[], bool],
        on_allowed: Callable[[], None],
        policy: ChargingPolicy,
        max_seconds: int,
        now: Now,
    ) -> None:
        """`max_seconds`: the longest call; its finish may come the policy's grace later."""
        self._logins = list(logins)
        self._promises = promises
        self._load_accounts = load_accounts
        self._memory = memory
        self._has_room = has_room
        self._on_allowed = on_allowed
        self._max_seconds = max_seconds
        self._grace = timedelta(seconds=policy.reservation_grace_seconds)
        self._now = now
        self._known: _Known | None = None
        self._open = 0  # promises in the directory, as last counted, and those made here since
        self._overdue: set[CallKey] = set()
        self.sources = CallSources(
            subscriber=self._subscriber,
            tariff=self._tariff,
            rate=self._rate,
            row=self._row,
            routes=self._routes,
            exchange_rates=self._exchange_rates,
            numbering=memory.numbering.as_known(self._numbering),
            route_plans=PlanBook(self._plans, may_remember=lambda: False),
            packages=self._packages,
        )
        self._planning = Planning(self.sources, policy)

    async def refresh(self) -> None:
        """Learn what has to be known when the database goes. Errors: Unavailable; then the last knowledge stays."""
        await asyncio.to_thread(self._count)
        if not self._logins:
            return
        accounts = await self._load_accounts(self._logins)
        memory = self._memory
        routes = await memory.routes.get()
        callers = [account.subscriber for account in accounts.values()]
        tariffs = {caller.tariff_id for caller in callers}
        tariffs |= {option.tariff_id for caller in callers for option in caller.options}
        tariffs |= {reseller.tariff_id for caller in callers for reseller in caller.resellers}
        tariffs |= {route.cost_tariff_id for route in routes if route.cost_tariff_id is not None}
        decks = await memory.rate_decks.snapshot(tariffs)
        plans, numbering = await memory.route_plans.get(), await memory.numbering.known()
        self._known = _Known(accounts, decks, routes, plans, await memory.exchange_rates.get(), numbering)

    def lists(self, login: str) -> bool:
        """Whether this login may call without the database."""
        return self._known is not None and login in self._known.accounts

    async def allow(self, call: PrepareCall, known: OpenCall | None = None) -> Allowed | Declined:
        """Allow a call by what was known before the database went; nothing is held for it.

        `known`: the call as it is held already, since it was allowed before the database went.
        """
        try:
            plan = await self._planning.plan(call, self._now())
        except Unavailable as error:
            return Declined(DeclineReason.UNAVAILABLE, str(error))
        if isinstance(plan, Declined):
            return plan
        before = known or self.promised(call.call_key)
        if before is not None:
            answer = _repeated(before, plan)
        else:
            answer = self._refusal(plan, call.login) or await self._promise(plan, call.login)
        if isinstance(answer, Declined):
            return answer
        claim = Claim(call.call_key, plan.subscriber.bucket, answer.account_id, plan.request.claim or 0)
        told = allowed(answer, claim, Rate.from_json(answer.details.rate), plan.subscriber.currency)
        told = replace(told, repeated=before is not None)
        return told if known is not None else replace(told, reserved=Decimal(0), claim=None)

    def _refusal(self, plan: Plan, login: str) -> Declined | None:
        """What the account's own limits say, as far as they need no money."""
        account = None if self._known is None else self._known.accounts.get(login)
        if account is None:
            return Declined(DeclineReason.UNAVAILABLE, "not known without the database")
        if account.subscriber.callback_to:
            return Declined(DeclineReason.UNAVAILABLE, "cannot be called back without the database")
        if any(reseller.prepaid for reseller in account.subscriber.resellers):
            return Declined(DeclineReason.UNAVAILABLE, "the money of its reseller is not known without the database")
        if not account.allows(plan.request.details.destination):
            return Declined(DeclineReason.BLOCKED_DESTINATION)
        if account.max_price is not None and plan.request.price_per_minute > account.max_price:
            return Declined(DeclineReason.PRICE_TOO_HIGH)
        return None

    async def _promise(self, plan: Plan, login: str) -> OpenCall | Declined:
        """The call as it is allowed, or why it is not."""
        request = plan.request
        details = request.details
        if self._open >= PROMISES_MAX or not self._has_room():
            return Declined(DeclineReason.UNAVAILABLE, "too many calls wait to be charged")
        cap = min(request.cap_seconds, self._max_seconds)
        call = OpenCall(
            account_id=request.account_id,
            granted=max(request.minimum, max_charge(plan.rate, cap)),
            quota=False,
            cap_seconds=cap,
            route_prefix=request.route_prefix,
            details=details,
            currency=plan.subscriber.currency,
            resellers_granted=tuple(max_charge(Rate.from_json(one.rate), cap) for one in details.resellers),
        )
        try:
            await asyncio.to_thread(self._promises.keep, Promise(request.call_key, login, self._now(), call))
        except OSError as error:
            _log.error("promise_failed", call_key=str(request.call_key), error=str(error))
            return Declined(DeclineReason.UNAVAILABLE, "the promise cannot be kept on disk")
        self._open += 1
        self._on_allowed()
        _log.warning("offline_call_allowed", call_key=str(request.call_key), login=login, max_seconds=cap)
        return call

    def promised(self, call_key: CallKey) -> OpenCall | None:
        """The call as it was allowed without the database, by any process of this machine; or None."""
        found = self._promises.find(call_key)
        return None if found is None else found.call

    def forget(self, call_key: CallKey) -> None:
        """The call's end is charged or spooled, or it never started."""
        self._promises.drop(call_key)
        self._overdue.discard(call_key)

    def _count(self) -> None:
        """How many promises are open, and which should have ended: those are said, once."""
        now = self._now()
        self._open = 0
        for promise in self._promises.all():
            self._open += 1
            late = promise.allowed_at + timedelta(seconds=promise.call.cap_seconds) + self._grace < now
            if late and promise.call_key not in self._overdue:
                self._overdue.add(promise.call_key)
                _log.error("offline_call_without_end", call_key=str(promise.call_key), login=promise.login)

    async def _subscriber(self, login: str) -> Subscriber | None:
        return self._expect().accounts[login].subscriber

    async def _tariff(self, tariff_id: int, at: datetime) -> Tariff:
        tariff = self._expect().decks.tariffs.get(tariff_id)
        if tariff is None:
            raise Unavailable("the tariff is not known")
        return tariff

    async def _rate(
        self, tariff: Tariff, destination: str, /, *, at: datetime, origin: str, band: str
    ) -> RateMatch | None:
        return await self._memory.rate_decks.match_known(
            self._expect().decks, tariff, destination, at=at, origin=origin, band=band
        )

    async def _row(
        self, tariff: Tariff, destination: str, /, *, at: datetime, origin: str, band: str
    ) -> CandidateRate | None:
        return await self._memory.rate_decks.choose_known(tariff, destination, at=at, origin=origin, band=band)

    async def _exchange_rates(self) -> ExchangeRates:
        return self._expect().exchange_rates

    async def _numbering(self) -> Numbering:
        return self._expect().numbering

    async def _packages(
        self, bucket: int, subscriber_id: int, wanted: Sequence[tuple[int, date]]
    ) -> list[PackageState]:
        """Nothing is left of any: only the database can hold it, and a finish uses what is left then."""
        return [PackageState(package_id, period_start, 0, 0) for package_id, period_start in wanted]

    async def _routes(self) -> tuple[Route, ...]:
        return self._expect().routes

    async def _plans(self) -> KnownPlans:
        return self._expect().plans

    def _expect(self) -> _Known:
        if self._known is None:
            raise Unavailable("the database has not been there yet")
        return self._known


def _repeated(before: OpenCall, plan: Plan) -> OpenCall | Declined:
    """The call as it was allowed, where a question is that of this call: as reserve() has it."""
    asked, told = plan.request.details, before.details
    channels = {told.channel, asked.channel} - {""}
    same = before.account_id == plan.request.account_id and len(channels) < 2
    same = same and (told.destination, told.callerid) == (asked.destination, asked.callerid)
    same = same and (not plan.is_told or told.route_name == asked.route_name)
    return before if same else Declined(DeclineReason.CONFLICT)
