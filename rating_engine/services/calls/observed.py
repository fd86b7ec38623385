"""Charging with one log line and one measure a question. The same interface; what is asked answers as without."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

from rating_engine.domain.call_rules import InboundCall
from rating_engine.domain.number_lists import LIST_CAUSES
from rating_engine.domain.outcomes import (
    Allowed,
    BalanceOutcome,
    CallKey,
    CardAdmitted,
    CardOutcome,
    CardQuestion,
    Claim,
    Declined,
    FinishCall,
    FinishOutcome,
    InboundAllowed,
    InboundNext,
    InboundOutcome,
    PrepareCall,
    PrepareOutcome,
    Saved,
    Spooled,
)
from rating_engine.services.calls.ports import ChargingService
from rating_engine.services.calls.steps import milliseconds, steps_taken


class CallObserver(Protocol):
    """Where the figures of a call go (telemetry)."""

    def prepared(self, outcome: str, reason: str, seconds: float) -> None:
        """One callPrepare was answered."""

    def finished(self, outcome: str, reason: str, seconds: float, overrun: bool) -> None:
        """One callFinish was answered."""


class Observed:
    """`inner`, observed."""

    def __init__(
        self,
        inner: ChargingService,
        observer: CallObserver,
        on_declined: Callable[[PrepareCall, Declined], None],
    ) -> None:
        self._inner = inner
        self._observer = observer
        self._on_declined = on_declined
        self._log = structlog.get_logger(__name__).bind()  # once: a logger that is not bound binds at each line, 0.4 us

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        """As ChargingService."""
        started = time.perf_counter()
        steps: dict[str, float] = {}
        token = steps_taken.set(steps)
        try:
            outcome = await self._inner.prepare_call(call)
        finally:
            steps_taken.reset(token)
        seconds = time.perf_counter() - started
        if isinstance(outcome, Allowed):
            self._observer.prepared("allowed", "", seconds)
            self._log.info(
                "call_prepare",
                call_key=str(call.call_key),
                login=call.login,
                outcome="allowed",
                max_seconds=outcome.max_seconds,
                ms=milliseconds(seconds),
                **steps,
            )
        else:
            self._declined(call, outcome, seconds, steps)
        return outcome

    def _declined(self, call: PrepareCall, outcome: Declined, seconds: float, steps: dict[str, float]) -> None:
        said = {"outcome": "declined", "reason": outcome.reason.value, **_refused(call), **_cause(outcome)}
        if outcome.detail:
            said["detail"] = outcome.detail
        self._observer.prepared("declined", outcome.reason.value, seconds)
        self._on_declined(call, outcome)
        self._log.info(
            "call_prepare", call_key=str(call.call_key), login=call.login, **said, ms=milliseconds(seconds), **steps
        )

    async def prepare_inbound(self, call: PrepareCall) -> InboundOutcome:
        """As ChargingService."""
        started = time.perf_counter()
        outcome = await self._inner.prepare_inbound(call)
        seconds = time.perf_counter() - started
        said: dict[str, object]
        if isinstance(outcome, InboundAllowed):
            said = {"outcome": "allowed", "login": outcome.login, "max_seconds": outcome.allowed.max_seconds}
            self._observer.prepared("allowed", "", seconds)
        else:
            said = {"outcome": "declined", "reason": outcome.reason.value, "detail": outcome.detail, **_cause(outcome)}
            self._observer.prepared("declined", outcome.reason.value, seconds)
            self._on_declined(call, outcome)
        self._log.info(
            "did_prepare", call_key=str(call.call_key), number=call.destination, **said, ms=milliseconds(seconds)
        )
        return outcome

    async def next_inbound(self, call: InboundCall, asking: CallKey) -> InboundNext:
        """As ChargingService."""
        outcome = await self._inner.next_inbound(call, asking)
        if isinstance(outcome, Declined):
            self._on_declined(PrepareCall(asking, "", call.number, call.caller), outcome)
        return outcome

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        """As ChargingService."""
        started = time.perf_counter()
        outcome = await self._inner.finish_call(call)
        seconds = time.perf_counter() - started
        word, reason, said = _end_in_words(outcome)
        self._observer.finished(word, reason, seconds, isinstance(outcome, Saved) and outcome.overrun > 0)
        self._log.info(
            "call_finish",
            call_key=str(call.call_key),
            login=call.login,
            outcome=word,
            seconds=call.seconds,
            disposition=call.disposition,
            cause=call.cause,
            ms=milliseconds(seconds),
            **said,
        )
        return outcome

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        """As ChargingService."""
        return await self._inner.balance(login, call)

    async def authorize_card(self, asked: CardQuestion) -> CardOutcome:
        """As ChargingService. Neither number nor PIN is in the log."""
        started = time.perf_counter()
        outcome = await self._inner.authorize_card(asked)
        said = {"login": outcome.login} if isinstance(outcome, CardAdmitted) else {"reason": outcome.reason.value}
        seconds = milliseconds(time.perf_counter() - started)
        self._log.info("card_authorize", exchange=asked.exchange, pinless=not asked.number, **said, ms=seconds)
        return outcome

    async def abandon_call(self, call_key: CallKey, login: str, claim: Claim | None = None) -> bool:
        """As ChargingService."""
        held = await self._inner.abandon_call(call_key, login, claim)
        self._log.info("call_abandoned", call_key=str(call_key), login=login, held=held)
        return held


def _cause(declined: Declined) -> dict[str, object]:
    """What MOR documents for a black or white list, by which its users look for such calls."""
    return {"cause": LIST_CAUSES[declined.reason]} if declined.reason in LIST_CAUSES else {}


def _refused(call: PrepareCall) -> dict[str, object]:
    """What is needed to find a refused call: there will be no CDR of it."""
    said: dict[str, object] = {"number": call.destination}
    if call.channel:
        said["channel"] = call.channel
    return said


def _end_in_words(outcome: FinishOutcome) -> tuple[str, str, dict[str, object]]:
    """The outcome, its reason ('' where it has none), and what else the log says of it."""
    if isinstance(outcome, Saved):
        said: dict[str, object] = {"cost": str(outcome.cost), "billed_seconds": outcome.billed_seconds}
        if outcome.overrun > 0:
            said["overrun"] = str(outcome.overrun)
        return ("repeated" if outcome.repeated else "saved"), "", said
    if isinstance(outcome, Spooled):
        return "spooled", "", {"cost": None if outcome.cost is None else str(outcome.cost)}
    return "failed", outcome.reason.value, {"reason": outcome.reason.value, "detail": outcome.detail}
