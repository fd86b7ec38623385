"""A call that came in by a number of ours: taken, put through by the rules of its number, charged to its owner. No I/O.

Laws: as of every call, what is taken is finished, once; charged is the time the caller's own channel was answered, and
it never has more of it than is paid. What a rule has ring is a call of its own (agi/ari/call), which tells its end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from agi.ari.call import (
    Call,
    CallEvent,
    CallRules,
    Granted,
    HangUpAsked,
    NextStep,
    NoStep,
    Phase,
    Refused,
    StepEnded,
    Taken,
    TimerFired,
)
from agi.ari.causes import ANSWERED, CANCELLED, NORMAL, UNAVAILABLE, cause_of
from agi.ari.commands import (
    Answer,
    AskNext,
    Command,
    Continue,
    Finish,
    HangUp,
    Look,
    Play,
    PrepareInbound,
    SetLimit,
    SetVariable,
    StartCall,
    StartTimer,
    StartWaiting,
    StopPlay,
    StopWaiting,
    Timer,
)
from agi.ari.events import Digit, Entered, Gone, Leaving, Played, Up
from rating_engine.domain.outcomes import CallKey, InboundStep, Origin

ACTIONS: Final = "rating-ari-action"  # of config/asterisk/rating-ari.conf: what the dialplan does better
RECORDING: Final = "rating-ari-record"  # the same: what is kept of a conversation
INPUT: Final = "INPUT"
PLAYED: Final = "PLAYED"
KEYS_MAX: Final = 32
CLEAR_SECONDS: Final = 10.0
AWAY_SECONDS: Final = 15.0  # how soon it is seen that a caller has left while the dialplan had him
KEPT: Final = frozenset({"voicemail", "message", "fax", "disa"})
FORWARD, CALL, PLAYFILE, MENU, HANGUP = "forward", "call", "playfile", "menu", "hangup"


@dataclass(frozen=True, slots=True)
class Inbound:
    """One caller from outside. `leg` and `caller` are as of other calls: the channel that is charged is his own.

    `place`: where its rules go on. `step`: how many there were. `keys`: pressed in a menu, which waits for
    `timeout` seconds. `playback`: what he hears; `waiting`: while somebody rings, as of other calls. `keeps`: what is
    said is recorded; `asked`: what rings once the dialplan has begun or ended that.
    """

    rules: CallRules
    exchange: str
    uniqueid: str
    dialled: str
    caller_name: str = ""
    number: str = ""
    login: str = ""
    phase: Phase = Phase.ENTERED
    place: str = ""
    step: int = 0
    granted: int = 0
    owed: bool = False
    caller_up: bool = False
    caller_gone: bool = False
    answered_at: float | None = None
    left_at: float | None = None
    cause: int = NORMAL
    playback: str = ""
    is_menu: bool = False
    keys: str = ""
    timeout: int = 0
    waiting: str | None = None
    keeps: bool = False
    asked: InboundStep | None = None

    @property
    def key(self) -> CallKey:
        """Of the reservation that its owner pays by."""
        return CallKey(self.exchange, self.uniqueid)

    @property
    def leg(self) -> str:
        """The channel that is charged."""
        return self.uniqueid

    @property
    def caller(self) -> str:
        """There is no other."""
        return ""

    @property
    def channels(self) -> tuple[str, ...]:
        """Whose events are this call's."""
        return (self.uniqueid,)

    @property
    def is_did(self) -> str:
        """By which number it came in."""
        return self.dialled


Step = tuple[Inbound, tuple[Command, ...]]
NOTHING: Final[tuple[Command, ...]] = ()


def advance(call: Inbound, event: CallEvent) -> Step:
    """What becomes of it by an event, and what is to be done for that."""
    handler = _TABLE.get((call.phase, type(event)))
    return (call, NOTHING) if handler is None else handler(call, event)


def is_looked_at(call: Inbound, event: CallEvent) -> bool:
    """Whether its phase knows such an event at all."""
    return (call.phase, type(event)) in _TABLE


def _entered(call: Inbound, event: Entered) -> Step:
    call = replace(call, phase=Phase.PREPARING, caller_up=event.up)
    return call, (PrepareInbound(call.key, call.dialled, call.number),)


def _taken(call: Inbound, event: Taken) -> Step:
    call = replace(call, login=event.login, dialled=event.number, granted=event.seconds, owed=True)
    if call.caller_gone:
        return _over(call, None)
    said = {
        "RATING_CALL_KEY": str(call.key),
        "RATING_LOGIN": call.login,
        "RATING_DIALLED": call.dialled,
        "RATING_DID": call.dialled,
        "RATING_TOLERANCE_MS": str(call.rules.tolerance_ms),
    }
    # Ringing counts too, until it is answered: never longer than there is money for.
    limit = SetLimit(call.uniqueid, call.granted)
    told = tuple(SetVariable(call.uniqueid, name, value) for name, value in said.items())
    call, asked = _next(replace(call, place=f"{call.dialled}/1"), "")
    return call, (limit, *told, *asked)


def _refused(call: Inbound, event: Refused) -> Step:
    if call.caller_gone:
        return _over(call, None)
    return _clear(call, cause_of(event.reason))


def _next(call: Inbound, status: str) -> Step:
    call = replace(call, phase=Phase.ROUTING, playback="", is_menu=False)
    return call, (AskNext(call.key, call.place, call.number, status, call.keys),)


def _step(call: Inbound, event: NextStep) -> Step:
    step = event.step
    call = replace(call, place=step.next, step=call.step + 1, keys="", timeout=step.timeout)
    if step.action == FORWARD or step.action == CALL:
        return _keep(call, step) if step.record or call.keeps else _ring(call, step)
    if step.action in (PLAYFILE, MENU):
        return _play(replace(call, is_menu=step.action == MENU), step.destination)
    if step.action in KEPT:
        answer = () if call.caller_up else (Answer(call.uniqueid),)
        said = {
            "RATING_DID_ACTION": step.action,
            "RATING_DID_DESTINATION": step.destination,
            "RATING_DID_RECORD": step.record,
        }
        told = tuple(SetVariable(call.uniqueid, name, value) for name, value in said.items())
        leave = Continue(call.uniqueid, ACTIONS, "s")
        return replace(call, phase=Phase.AWAY), (*answer, *told, leave, _look_soon(call))
    said_cause = step.destination if step.action == HANGUP else ""
    return _clear(call, int(said_cause) if said_cause.isdecimal() else call.cause)


def _keep(call: Inbound, step: InboundStep) -> Step:
    """The dialplan records, or does so no more, and gives the caller back at once."""
    told = SetVariable(call.uniqueid, "RATING_DID_RECORD", step.record)
    call = replace(call, phase=Phase.AWAY, asked=step, keeps=bool(step.record))
    return call, (told, Continue(call.uniqueid, RECORDING, "s"), _look_soon(call))


def _ring(call: Inbound, step: InboundStep) -> Step:
    """A conversation that is kept is so from the answer on: until then the caller is not with whom he calls."""
    call = replace(call, phase=Phase.STEP, waiting=step.music if step.music or step.record else None)
    made = StartCall(_call_of(call, step))
    if call.waiting is None:
        return call, (made,)
    return call, (StartWaiting(call.uniqueid, call.waiting, early=not call.caller_up), made)


def _call_of(call: Inbound, step: InboundStep) -> Call:
    """What a rule has ring: a phone of the owner, which costs him nothing besides, or an outgoing call of his."""
    early_media = call.rules.early_media and call.waiting is None
    rules = replace(call.rules, ring_seconds=step.timeout or call.rules.ring_seconds, early_media=early_media)
    made = Call(
        rules,
        call.exchange,
        f"{call.uniqueid}.s{call.step}",
        call.login,
        step.destination,
        caller=call.uniqueid,
        caller_name=call.caller_name,
        number=step.shown,
        caller_up=call.caller_up,
        of=call.uniqueid,
        minds=False,
        origin=Origin(from_originate=call.dialled),
        granted=call.granted,
        waiting=call.waiting,
    )
    if step.action == FORWARD:
        return made
    at = f"@{step.server}" if step.server else ""
    return replace(made, endpoint=f"{call.rules.technology}/{step.destination}{at}")


def _play(call: Inbound, sound: str) -> Step:
    playback = f"{call.uniqueid}-{call.step}-play"
    call = replace(call, phase=Phase.PLAYING, playback=playback)
    answer = () if call.caller_up else (Answer(call.uniqueid),)
    return call, (*answer, Play(call.uniqueid, playback, tuple(sound.split("&"))))


def _played(call: Inbound, event: Played) -> Step:
    if event.playback != call.playback:
        return call, NOTHING
    if call.is_menu:  # the menu waits for a key once it is told
        return replace(call, playback=""), (StartTimer(Timer.DIGITS, call.timeout or 5, call.step),)
    return _next(replace(call, cause=NORMAL), PLAYED if event.whole else "FAILED")


def _digit(call: Inbound, event: Digit) -> Step:
    """One key of a menu that takes several: the last one is followed by a moment of nothing, or by #."""
    if not call.is_menu or event.channel != call.uniqueid:
        return call, NOTHING
    stop = (StopPlay(call.playback),) if call.playback else NOTHING
    call = replace(call, playback="")
    if event.digit == "#" and call.keys:
        call, asked = _next(call, INPUT)
        return call, (*stop, *asked)
    call = replace(call, keys=(call.keys + event.digit)[:KEYS_MAX])
    return call, (*stop, StartTimer(Timer.DIGITS, 2.0, call.step))


def _digits_over(call: Inbound, event: TimerFired) -> Step:
    if event.timer is not Timer.DIGITS or event.attempt != call.step or not call.is_menu:
        return call, NOTHING
    return _next(call, INPUT if call.keys else "NOANSWER")


def _step_ended(call: Inbound, event: StepEnded) -> Step:
    stop: tuple[Command, ...] = NOTHING
    if call.waiting is not None and event.word != ANSWERED:
        stop = (StopWaiting(call.uniqueid, call.waiting),)
    call, asked = _next(replace(call, cause=event.cause, waiting=None), event.word)
    return call, (*stop, *asked)


def _no_step(call: Inbound, event: NoStep) -> Step:
    return _clear(call, call.cause)


def _up(call: Inbound, event: Up) -> Step:
    if call.answered_at is not None:
        return call, NOTHING
    call = replace(call, caller_up=True, answered_at=event.at)
    return call, (SetLimit(call.uniqueid, call.granted, event.at),) if call.granted else NOTHING


def _back(call: Inbound, event: Entered) -> Step:
    """From the dialplan, which says how its step has ended; or has begun to record what rings now."""
    if call.asked is not None:
        return _ring(replace(call, asked=None), call.asked)
    _, ended, *_ = (*event.args, "", "")
    return _next(call, ended)


def _look_soon(call: Inbound) -> StartTimer:
    """Of a channel in the dialplan nothing is told: it is looked whether it is there."""
    return StartTimer(Timer.AWAY, AWAY_SECONDS, call.step)


def _look(call: Inbound, event: TimerFired) -> Step:
    if event.timer is not Timer.AWAY or event.attempt != call.step:
        return call, NOTHING
    return call, (Look(call.uniqueid), _look_soon(call))


def _gone_there(call: Inbound, event: Gone) -> Step:
    """Its hangup handler has told the end."""
    return replace(call, phase=Phase.DONE, owed=False, caller_gone=True), NOTHING


def _ended(call: Inbound, event: Leaving | Gone) -> Step:
    if call.phase is Phase.PREPARING:
        return replace(call, caller_gone=True), NOTHING
    return _over(call, event.at)


def _over(call: Inbound, at: float | None) -> Step:
    call = replace(call, phase=Phase.DONE, caller_gone=True, left_at=at)
    if not call.owed:
        return call, NOTHING
    call = replace(call, owed=False)
    if call.answered_at is None:
        return call, (Finish(call.key, 0, CANCELLED, call.cause, at),)
    if at is None:  # its hangup handler tells it, or it is compared
        return call, NOTHING
    seconds = call.rules.seconds_between(call.answered_at, at)
    return call, (Finish(call.key, seconds, ANSWERED, NORMAL, at),)


def _clear(call: Inbound, cause: int) -> Step:
    call = replace(call, phase=Phase.CLEARING, cause=cause or UNAVAILABLE)
    return call, (HangUp(call.uniqueid, call.cause), StartTimer(Timer.CLEAR, CLEAR_SECONDS, call.step))


def _hang_up(call: Inbound, event: HangUpAsked) -> Step:
    return _clear(call, event.cause)


def _clear_timer(call: Inbound, event: TimerFired) -> Step:
    return _over(call, None) if event.timer is Timer.CLEAR else (call, NOTHING)


def _granted(call: Inbound, event: Granted) -> Step:
    return replace(call, granted=event.seconds), NOTHING


Handler = Callable[[Inbound, Any], Step]

_ENDS: Final[dict[type, Handler]] = {Leaving: _ended, Gone: _ended}
_RUNNING: Final[dict[type, Handler]] = {**_ENDS, Up: _up, HangUpAsked: _hang_up, Granted: _granted}
_PHASES: Final[dict[Phase, dict[type, Handler]]] = {
    Phase.ENTERED: {Entered: _entered},
    Phase.PREPARING: {**_RUNNING, Taken: _taken, Refused: _refused},
    Phase.ROUTING: {**_RUNNING, NextStep: _step, NoStep: _no_step, Refused: _refused},
    Phase.STEP: {**_RUNNING, StepEnded: _step_ended},
    Phase.PLAYING: {**_RUNNING, Played: _played, Digit: _digit, TimerFired: _digits_over},
    Phase.AWAY: {
        Entered: _back,
        Up: _up,
        Gone: _gone_there,
        TimerFired: _look,
        HangUpAsked: _hang_up,
        Granted: _granted,
    },
    Phase.CLEARING: {**_ENDS, TimerFired: _clear_timer},
    Phase.DONE: {},
}
_TABLE: Final[dict[tuple[Phase, type], Handler]] = {
    (phase, event): handler for phase, handlers in _PHASES.items() for event, handler in handlers.items()
}
