"""A seat at an exchange at work: events to the book of calls, its commands to the exchange, the services and the clock.

Laws: nothing here waits between an event and what it asks for: what takes time comes back as an event; what one call
asks for is done in its order; no fault of one call touches another.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from functools import partial
from typing import Any, Final, Protocol, TypeVar

import structlog

from agi.ami.clock import ExchangeClock
from agi.ari.call import (
    Admitted,
    Balanced,
    Call,
    CallEvent,
    CardKnown,
    Failed,
    NextStep,
    NoStep,
    Quoted,
    Refused,
    Taken,
    TimerFired,
)
from agi.ari.card import Card
from agi.ari.commands import (
    Answer,
    AskBalance,
    AskCard,
    AskNext,
    CreateBridge,
    CreateLeg,
    DeleteBridge,
    Dial,
    Finish,
    HangUp,
    Join,
    Look,
    Play,
    Prepare,
    PrepareInbound,
    Quote,
    SetLimit,
    SetVariable,
    StartTimer,
    Timer,
)
from agi.ari.connection import Answered, AriConnection
from agi.ari.events import Gone, Played
from agi.ari.exchange_book import AnyCall, ExchangeBook, Ordered
from agi.ari.inbound import Inbound
from agi.ari.requests import Request, requests_of
from rating_engine.domain.call_rules import InboundCall, digits_of
from rating_engine.domain.errors import RatingEngineError, Unavailable
from rating_engine.domain.outcomes import (
    Allowed,
    Balance,
    CallKey,
    CardAdmitted,
    CardQuestion,
    Declined,
    DeclineReason,
    FinishCall,
    InboundAllowed,
    InboundDone,
    InboundStep,
    NotSaved,
    PrepareCall,
)
from rating_engine.services.calls.ports import ChargingService, Now
from rating_engine.services.watch.exchange_link import time_of

FINISH_SECONDS: Final = 5.0  # a stop waits so long for the ends that are being told
LATE_SECONDS: Final = 1.0  # an end older than this is told with its time
LEEWAY_SECONDS: Final = 1  # the exchange tells the same end, measured by its other clock
NOT_FOUND: Final = 404
# What an exchange does once, however often it is asked: whose answer is lost is asked once more, on another connection.
_AGAIN: Final = (Answer, CreateBridge, CreateLeg, DeleteBridge, Dial, HangUp, Join, SetLimit, SetVariable)

Outcome = TypeVar("Outcome")

_log = structlog.get_logger(__name__)


class AriObserver(Protocol):
    """Where the figures go (telemetry)."""

    def ari_event(self, kind: str, delay: float | None) -> None:
        """An event came, so many seconds behind what it tells of; None: not known."""

    def ari_ignored(self, count: int) -> None:
        """So many events told their call nothing."""

    def ari_request(self, method: str, seconds: float) -> None:
        """A request was answered."""

    def ari_overdue(self) -> None:
        """A request was not answered."""


class AriApp:
    """The calls of one seat. `commands`: the connections that requests go by; `application`: whose the legs are."""

    def __init__(
        self, book: ExchangeBook, application: str, charging: ChargingService, *, observer: AriObserver, now: Now
    ) -> None:
        self.book = book
        self.clock = ExchangeClock()
        self.commands: list[AriConnection] = []
        self._application = application
        self._charging = charging
        self._observer = observer
        self._now = now
        self._timers: dict[str, dict[Timer, asyncio.TimerHandle]] = {}
        self._services: dict[str, asyncio.Task[None]] = {}

    def carry_out(self, orders: list[Ordered]) -> None:
        """Do what calls ask for, in their order."""
        for order in orders:
            call, command = order.call, order.command
            match command:
                case Prepare() if isinstance(call, Call):
                    self._serve(call.uniqueid, self._prepare(call, command))
                case PrepareInbound() if call is not None:
                    self._serve(call.uniqueid, self._prepare_inbound(call, command))
                case AskNext() if call is not None:
                    self._serve(call.uniqueid, self._ask_next(call, command))
                case AskCard() if call is not None:
                    self._serve(call.uniqueid, self._ask_card(call, command))
                case AskBalance() | Quote() if call is not None:
                    self._serve(call.uniqueid, self._ask_money(call, command))
                case Finish() if isinstance(call, Call | Inbound):
                    self._serve(call.uniqueid, self._finish(call, command))
                case StartTimer() if call is not None:
                    self._start_timer(call, command)
                case _:
                    self._ask(order)
        for call in self.book.take_done():
            for timer in self._timers.pop(call.uniqueid, {}).values():
                timer.cancel()

    def tell(self, uniqueid: str, event: CallEvent) -> None:
        """An event of one call that the exchange does not tell."""
        self.carry_out(self.book.tell(uniqueid, event))

    async def ask(self, request: Request, uniqueid: str = "") -> Answered:
        """The answer to a request that somebody waits for. Errors: Unavailable."""
        started = time.monotonic()
        answered = await self._connection(uniqueid).ask(request)
        self._observer.ari_request(request.method, time.monotonic() - started)
        return answered

    def moment(self, at: float | None) -> float | None:
        """Our moment of an exchange's time."""
        return None if at is None else self.clock.moment(at, time.monotonic())

    async def close(self) -> None:
        """Let go of all calls; what is being told is told."""
        for timers in self._timers.values():
            for timer in timers.values():
                timer.cancel()
        self._timers.clear()
        if self._services:
            await asyncio.wait(list(self._services.values()), timeout=FINISH_SECONDS)

    def _connection(self, uniqueid: str) -> AriConnection:
        """The one that all requests of a call go by, as long as it is there. Errors: Unavailable."""
        living = [each for each in self.commands if not each.lost.is_set()]
        if not living:
            raise Unavailable(f"{self.book.exchange}: not connected")
        return living[hash(uniqueid) % len(living)]

    def _ask(self, order: Ordered, *, again: bool = False) -> None:
        uniqueid = "" if order.call is None else order.call.uniqueid
        left = self._seconds_left(order.command) if isinstance(order.command, SetLimit) else 0.0
        for request in requests_of(order.command, self._application, seconds_left=left):
            try:
                future = self._connection(uniqueid).post(request)
            except Unavailable:  # what is looked at when it is there again finds the call as it is
                return
            future.add_done_callback(partial(self._answered, order, request, time.monotonic(), again=again))

    def _answered(
        self, order: Ordered, request: Request, asked: float, future: asyncio.Future[Answered], *, again: bool
    ) -> None:
        if future.cancelled():
            return
        if (error := future.exception()) is not None:
            self._observer.ari_overdue()
            _log.warning("ari_request_lost", exchange=self.book.exchange, request=request.uri, error=str(error))
            # Nothing is known of what it did: events tell, or timers, or the next look at the exchange.
            if isinstance(order.command, _AGAIN) and not again and self._is_still_wanted(order):
                self._ask(order, again=True)
            return
        self._observer.ari_request(request.method, time.monotonic() - asked)
        answered = future.result()
        if not answered.done and answered.status != 409:  # 409: it is so already
            _log.debug("ari_request_refused", exchange=self.book.exchange, request=request.uri, status=answered.status)
            if order.call is not None and isinstance(order.command, Look) and answered.status == NOT_FOUND:
                self.tell(order.call.uniqueid, Gone(order.command.channel, None))
            elif isinstance(order.command, Play) and not request.uri.endswith("/progress"):
                self._unheard(order, order.command)
            else:
                self._failed(order)

    def _unheard(self, order: Ordered, play: Play) -> None:
        """What cannot be played at all ends as what was played: whoever waits for it goes on."""
        if order.call is not None:
            self.tell(order.call.uniqueid, Played(play.channel, play.playback, whole=False))

    def _is_still_wanted(self, order: Ordered) -> bool:
        """What a call has gone beyond would undo what came behind it; an end is always wanted."""
        if order.call is None or isinstance(order.command, HangUp | DeleteBridge):
            return True
        now = self.book.calls.get(order.call.uniqueid)
        return now is not None and _standing(now) == _standing(order.call)

    def _failed(self, order: Ordered) -> None:
        """Of a leg that is not there, or not dialled, nothing else may be heard; all else is told by events."""
        call, command = order.call, order.command
        if isinstance(call, Call) and isinstance(command, CreateLeg | Dial | Join) and call.leg:
            self.tell(call.uniqueid, Failed(call.leg))

    def _seconds_left(self, limit: SetLimit) -> float:
        since = self.moment(limit.since)
        return limit.seconds if since is None else limit.seconds - (time.monotonic() - since)

    def _start_timer(self, call: AnyCall, command: StartTimer) -> None:
        timers = self._timers.setdefault(call.uniqueid, {})
        if (before := timers.get(command.timer)) is not None:
            before.cancel()
        fired = TimerFired(command.timer, command.attempt)
        loop = asyncio.get_running_loop()
        timers[command.timer] = loop.call_later(command.seconds, self.tell, call.uniqueid, fired)

    def _serve(self, uniqueid: str, work: Coroutine[Any, Any, None]) -> None:
        """Ask the services, one question of a call behind the other: what is freed first can be held again."""
        before = self._services.get(uniqueid)
        task = asyncio.get_running_loop().create_task(self._behind(before, work), name="ari-service")
        self._services[uniqueid] = task
        task.add_done_callback(partial(self._served, uniqueid))

    @staticmethod
    async def _behind(before: asyncio.Task[None] | None, work: Coroutine[Any, Any, None]) -> None:
        if before is not None and not before.done():
            await asyncio.wait([before])
        await work

    def _served(self, uniqueid: str, task: asyncio.Task[None]) -> None:
        if self._services.get(uniqueid) is task:
            del self._services[uniqueid]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("ari_service_failed", exc_info=error)

    async def _prepare(self, call: Call, command: Prepare) -> None:
        outcome = await self._guarded(self._charging.prepare_call(_question(call, command)))
        if not isinstance(outcome, Allowed):
            self._refuse(call, command.key, outcome)
            return
        if call.uniqueid not in self.book.calls:
            await self._charging.abandon_call(command.key, call.login, outcome.claim)
            return
        admitted = Admitted(
            command.key,
            outcome.max_seconds,
            outcome.destination,
            outcome.callerid,
            outcome.route_prefix,
            outcome.route_name,
            outcome.low_balance,
            outcome.low_balance_sound,
        )
        self.tell(call.uniqueid, admitted)

    async def _prepare_inbound(self, call: AnyCall, command: PrepareInbound) -> None:
        question = PrepareCall(command.key, "", command.number, command.caller or None, channel=call.caller_name)
        outcome = await self._guarded(self._charging.prepare_inbound(question))
        if not isinstance(outcome, InboundAllowed):
            self._refuse(call, command.key, outcome)
        elif call.uniqueid not in self.book.calls:
            await self._charging.abandon_call(command.key, outcome.login, outcome.allowed.claim)
        else:
            self.tell(call.uniqueid, Taken(outcome.login, outcome.number, outcome.allowed.max_seconds))

    async def _ask_next(self, call: AnyCall, command: AskNext) -> None:
        number, _, place = command.place.rpartition("/")
        where = InboundCall(number, int(place), digits_of(command.caller), command.status, command.keys)
        outcome = await self._guarded(self._charging.next_inbound(where, command.key))
        if isinstance(outcome, InboundStep):
            self.tell(call.uniqueid, NextStep(outcome))
        elif isinstance(outcome, InboundDone):
            self.tell(call.uniqueid, NoStep())
        else:
            self._refuse(call, command.key, outcome)

    async def _ask_card(self, call: AnyCall, command: AskCard) -> None:
        question = CardQuestion(self.book.exchange, command.card, command.pin, command.caller)
        outcome = await self._guarded(self._charging.authorize_card(question))
        if isinstance(outcome, CardAdmitted):
            known = CardKnown(
                outcome.login,
                outcome.balance,
                outcome.currency,
                outcome.callerid,
                outcome.language,
                outcome.external,
                outcome.dialplan,
            )
            self.tell(call.uniqueid, known)
        else:
            self._refuse(call, command.key, outcome)

    async def _ask_money(self, call: AnyCall, command: AskBalance | Quote) -> None:
        made = None
        if isinstance(command, Quote):
            made = PrepareCall(command.key, command.login, command.number, command.caller or None)
        outcome = await self._guarded(self._charging.balance(command.login, made))
        if isinstance(command, Quote):
            self.tell(call.uniqueid, Quoted(outcome.lasts if isinstance(outcome, Balance) else None))
        elif isinstance(outcome, Balance):
            left = outcome.balance if outcome.available is None else outcome.available
            self.tell(call.uniqueid, Balanced(left, outcome.currency))
        else:
            self._refuse(call, command.key, outcome)

    def _refuse(self, call: AnyCall, key: CallKey, outcome: Declined | None) -> None:
        reason = DeclineReason.INTERNAL if outcome is None else outcome.reason
        self.tell(call.uniqueid, Refused(key, reason))

    async def _finish(self, call: Call | Inbound, command: Finish) -> None:
        ended = self.moment(command.at)
        late = ended is not None and time.monotonic() - ended > LATE_SECONDS
        end = FinishCall(
            command.key,
            call.login,
            call.dialled,
            command.seconds,
            command.word,
            command.cause,
            callerid=None if call.login else call.number,
            ended_at=time_of(ended, self._now) if late and ended is not None else None,
            is_did=call.is_did,
            leeway_seconds=LEEWAY_SECONDS,
        )
        outcome = await self._guarded(self._charging.finish_call(end))
        if outcome is None or isinstance(outcome, NotSaved):
            _log.error(
                "ari_not_saved",
                call_key=str(command.key),
                login=call.login,
                destination=call.dialled,
                seconds=command.seconds,
                status=f"{command.cause}{command.word}",
                reason="internal" if outcome is None else outcome.reason.value,
            )

    async def _guarded(self, work: Awaitable[Outcome]) -> Outcome | None:
        """The answer of a service; None: a fault of ours, which is logged and stays this call's."""
        try:
            return await work
        except RatingEngineError as error:
            _log.error("ari_service_refused", error=str(error))
        except Exception:  # one call's fault is nobody else's
            _log.exception("ari_service_failed")
        return None


def _standing(call: AnyCall) -> tuple[object, ...]:
    return call.phase, call.channels, 0 if isinstance(call, Card) else call.granted


def _question(call: Call, command: Prepare) -> PrepareCall:
    return PrepareCall(
        command.key,
        call.login,
        call.dialled,
        callerid=call.number or None,
        channel=call.caller_name,
        origin=call.origin,
    )
