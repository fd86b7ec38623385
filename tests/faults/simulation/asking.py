"""What is asked of an engine, and its answers in the auditor's words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

from rating_engine.domain.errors import AlreadyExists, Overloaded, Unavailable
from rating_engine.domain.outcomes import (
    Allowed,
    CallKey,
    DeclineReason,
    Extended,
    FinishCall,
    FinishOutcome,
    PrepareCall,
    PrepareOutcome,
    Saved,
    Spooled,
)
from rating_engine.domain.principal import OPERATOR
from rating_engine.domain.watching import OpenReservation
from rating_engine.storage.audit_log import note_of
from rating_engine.storage.calls.open_calls import Sighting, note_seen, open_calls_of_channels
from rating_engine.storage.parties.accounts import post_entry
from tests.faults.simulation.engines import SimulatedEngine
from tests.support.auditor_nouns import (
    DONE,
    UNKNOWN,
    Answer,
    Extend,
    Finish,
    GiveBack,
    Lapse,
    Notice,
    Prepare,
    Reconcile,
    Request,
    TopUp,
    Void,
)


@dataclass(frozen=True, slots=True)
class Abandon:
    """The exchange was gone when the answer to its callPrepare came."""

    key: str
    login: str


@dataclass(frozen=True, slots=True)
class Expire:
    """End what has waited too long for its finish."""


@dataclass(frozen=True, slots=True)
class Undo:
    """Free what nobody was heard to hear of."""


@dataclass(frozen=True, slots=True)
class Replay:
    """Charge the finishes that wait in the spool."""


Ask = Request | Abandon | Expire | Undo | Replay


async def ask(engine: SimulatedEngine, question: Ask) -> Answer:
    """The engine's answer; UNKNOWN where it says that it could not tell."""
    try:
        return await _ask(engine, question)
    except (Unavailable, Overloaded):
        return UNKNOWN


async def _ask(engine: SimulatedEngine, question: Ask) -> Answer:
    charging = engine.charging
    match question:
        case Prepare(key, login, destination):
            return _prepared(await charging.prepare_call(PrepareCall(call_key(key), login, destination)))
        case Finish(key, login, destination, seconds):
            word, cause = ("ANSWER", 16) if seconds else ("NOANSWER", 19)
            told = FinishCall(call_key(key), login, destination, seconds, word, cause)
            return _finished(await charging.finish_call(told))
        case Extend(key, talked, answered_at):
            call = await _open_call(engine, key)
            if call is None:
                return ("ended",)
            return _extended(await engine.lasting.extend_call(call, talked_seconds=talked, answered_at=answered_at))
        case GiveBack(key, talked, keep):
            call = await _open_call(engine, key)
            if call is None:
                return ("ended",)
            return _extended(await engine.lasting.give_back(call, talked_seconds=talked, keep_seconds=keep))
        case Notice(key, answered_at):
            seen = Sighting(0, call_key(key), answered_at, engine.now())
            return ("noted",) if await note_seen(engine.database, [seen]) else ("ended",)
        case Reconcile(key, answered_at, ended_at):
            call = await _open_call(engine, key)
            if call is not None:
                call = replace(call, answered_at=call.answered_at or answered_at)
                await engine.lasting.reconcile_call(call, ended_at=ended_at)
            return DONE
        case Expire():
            await engine.expiry.turn()
            return DONE
        case TopUp(account, amount, reference):
            return await _top_up(engine, account, amount, reference)
        case Abandon(key, login):
            await charging.abandon_call(call_key(key), login)
            return DONE
        case Undo():
            await engine.undo.turn()
            return DONE
        case Replay():
            if engine.finish_spool is not None:
                await engine.finish_spool.turn()
            return DONE
        case Void() | Lapse():
            raise AssertionError("no engine is asked this")


def call_key(key: str) -> CallKey:
    """`exchange/uniqueid/attempt`"""
    exchange, uniqueid, attempt = key.split("/")
    return CallKey(exchange, uniqueid, int(attempt))


def _prepared(outcome: PrepareOutcome) -> Answer:
    if isinstance(outcome, Allowed):
        return "allowed", outcome.max_seconds, outcome.reserved, outcome.quota, outcome.repeated
    if outcome.reason in (DeclineReason.UNAVAILABLE, DeclineReason.OVERLOADED):
        return UNKNOWN
    return "declined", outcome.reason.value


def _finished(outcome: FinishOutcome) -> Answer:
    if isinstance(outcome, Saved):
        return "saved", outcome.seconds, outcome.cost, outcome.overrun, outcome.repeated
    if isinstance(outcome, Spooled):
        return "spooled", outcome.cost
    if outcome.reason in (DeclineReason.UNAVAILABLE, DeclineReason.OVERLOADED):
        return UNKNOWN
    return "not_saved", outcome.reason.value


async def _top_up(engine: SimulatedEngine, account: str, amount: Decimal, reference: str) -> Answer:
    try:
        note = note_of(OPERATOR, "account.topup", account)
        posting = await post_entry(engine.database, account, "topup", amount, reference, note)
    except AlreadyExists:
        return ("conflict",)
    return ("posted",) if posting.posted else ("repeated",)


async def _open_call(engine: SimulatedEngine, key: str) -> OpenReservation | None:
    wanted = call_key(key)
    found = await open_calls_of_channels(engine.database, wanted.exchange, [wanted.uniqueid], buckets=1)
    return next((call for call in found if call.call_key == wanted), None)


def _extended(extended: Extended | None) -> Answer:
    return ("ended",) if extended is None else ("extended", extended.max_seconds, extended.final)
