"""Calls that come in by numbers of ours, or to lines: may this one be taken, who pays, and what is done step by step.

Laws: a caller whom the rules reject, and a number that is not paid for, hold nothing and cost nothing; what is taken is
one call of the owner's line, held and charged as every other; the steps are those of domain/call_rules, and nothing
else decides them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone

from rating_engine.domain.call_rules import (
    CALLED,
    TRANSIT,
    WRITTEN,
    Action,
    CallRule,
    Finished,
    InboundCall,
    Loop,
    Policy,
    Step,
    digits_of,
    line_of,
    next_step,
)
from rating_engine.domain.number_lists import ListSide
from rating_engine.domain.outcomes import (
    CallKey,
    Declined,
    DeclineReason,
    InboundAllowed,
    InboundDone,
    InboundNext,
    InboundOutcome,
    InboundStep,
    PrepareCall,
)
from rating_engine.domain.recording import NewRecording, RecordingKind, recording_name
from rating_engine.services.calls.inbound_price import inbound_of
from rating_engine.services.calls.prepare import Preparing
from rating_engine.storage.calls.recordings import add_recording
from rating_engine.storage.numbers.call_rules import rules_of
from rating_engine.storage.numbers.inbound import CalledNumber, called_line, called_number
from rating_engine.storage.numbers.number_pools import refusal_by_list
from rating_engine.storage.postgres.pool import Database


class InboundCalls:
    """Takes calls in. Everything may raise Unavailable or Overloaded."""

    def __init__(self, database: Database, preparing: Preparing, now: Callable[[], datetime]) -> None:
        self._database = database
        self._preparing = preparing
        self._now = now

    async def prepare(self, call: PrepareCall) -> InboundOutcome:
        """Whether a call to `call.destination` may be taken, who pays, and for how long. Its `login` is ''."""
        called = await self._open(call.destination)
        if isinstance(called, Declined):
            return called
        if called.login is None:
            return Declined(DeclineReason.UNKNOWN_LOGIN, f"the owner of {called.number} has no line")
        if (refused := await self._refusal(called, call.callerid or "")) is not None:
            return refused
        first = await self._next(called, InboundCall(called.number, caller=digits_of(call.callerid or "")))
        if isinstance(first, Declined):
            return first
        outcome = await self._preparing.prepare(replace(call, login=called.login, inbound=inbound_of(called)))
        return outcome if isinstance(outcome, Declined) else InboundAllowed(called.number, called.login, outcome)

    async def next(self, call: InboundCall, asking: CallKey) -> InboundNext:
        """What to do with a call that was taken. `asking`: the exchange that asks, and the caller's channel there."""
        line = line_of(call.number)
        called = await (self._open(call.number) if line is None else called_line(self._database, line))
        if called is None:
            return Declined(DeclineReason.UNKNOWN_NUMBER)
        if isinstance(called, Declined):
            return called
        if line is not None and call.place == 0 and (refused := await self._refusal(called, call.caller)) is not None:
            return refused  # a call from within, of which nobody was asked before
        found = await self._next(called, call)
        if isinstance(found, Declined):
            return found
        if isinstance(found, Finished):
            return InboundDone()
        rule, own = found.rule, line_of(found.number) or called.login or ""
        record = await self._kept(rule, called, call, asking)
        return InboundStep(
            action=rule.action.value,
            destination=rule.destination or (own if rule.action in (Action.CALL, Action.VOICEMAIL) else ""),
            shown=_shown(rule, call.caller or ("" if line else called.number), called.number),
            timeout=rule.timeout,
            server="" if rule.exchange == asking.exchange else rule.exchange,
            next=f"{found.number}/{found.place + 1}",
            music=rule.music,
            record=record,
        )

    async def _kept(self, rule: CallRule, called: CalledNumber, call: InboundCall, asking: CallKey) -> str:
        """The name of what the exchange is to keep of this step, noted as its owner's; '': nothing."""
        if called.party_id is None or not (rule.record or rule.action in WRITTEN):
            return ""
        name = recording_name(asking, rule.rule_id)
        kind = RecordingKind(rule.action.value) if rule.action in WRITTEN else RecordingKind.CALL
        mail_to = rule.destination if rule.action in WRITTEN else ""
        number = called.number or called.login or ""
        await add_recording(self._database, NewRecording(name, kind, called.party_id, call.caller, number, mail_to))
        return name

    async def _refusal(self, called: CalledNumber, caller: str) -> Declined | None:
        """Why the owner's list of callers keeps this one out; None: it does not."""
        if called.party_id is None or not called.has_source_list:
            return None
        reason = await refusal_by_list(self._database, called.party_id, ListSide.SOURCE, digits_of(caller))
        return None if reason is None else Declined(reason)

    async def _open(self, number: str) -> CalledNumber | Declined:
        """The number, where it takes calls now."""
        called = await called_number(self._database, digits_of(number))
        if called is None:
            return Declined(DeclineReason.UNKNOWN_NUMBER)
        return called if called.takes_calls(self._now()) else Declined(DeclineReason.NUMBER_CLOSED)

    async def _next(self, called: CalledNumber, call: InboundCall) -> Step | Finished | Declined:
        rules = await rules_of(self._database, call.number, called.party_id)
        local = self._now().astimezone(timezone(timedelta(minutes=called.utc_offset or 0)))
        found = next_step(rules, call, local)
        if isinstance(found, Loop):
            return Declined(DeclineReason.NUMBER_LOOP, f"rules lead back to {found.number}")
        if isinstance(found, Step) and found.rule.policy is Policy.REJECT:
            return Declined(DeclineReason.SOURCE_REJECTED, f"by rule {found.place} of {found.number}")
        return found


def _shown(rule: CallRule, caller: str, called: str) -> str:
    if rule.callerid == CALLED or (rule.callerid == "" and rule.action is Action.FORWARD):
        return called
    return caller if rule.callerid in ("", TRANSIT) else rule.callerid.lstrip("+")
