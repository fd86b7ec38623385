"""One call, step by step: `advance(call, event)` answers what it has become and what is to be done for that. No I/O.

Laws: what is allowed is finished, whatever happens in which order, and once; no leg gets a limit beyond what was
granted; of two legs the one that ends takes the other along; an event that comes again, or that tells nothing new,
changes nothing. The table at the end says what is looked at in which phase; all else is nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from agi.ari.call import (
    FREE_MARK,
    LEG_MARK,
    Admitted,
    Begin,
    Call,
    CallEvent,
    Failed,
    Granted,
    HangUpAsked,
    Phase,
    Refused,
    TimerFired,
    Transferred,
    Transferring,
)
from agi.ari.causes import ANSWERED, NO_ANSWER, NORMAL, SILENCE, UNAVAILABLE, cause_of, may_try_next, word_of
from agi.ari.commands import (
    Answer,
    Command,
    CreateBridge,
    CreateLeg,
    DeleteBridge,
    Dial,
    EndStep,
    EndTransfer,
    Finish,
    HangUp,
    Join,
    Play,
    Prepare,
    SetLimit,
    SetVariable,
    StartCall,
    StartTimer,
    StartWaiting,
    StopWaiting,
    TellTransfer,
    Timer,
    Transfer,
)
from agi.ari.events import Entered, Gone, Leaving, Played, Progress, Ringing, Up
from agi.ari.further_calls import callers_limit, counted, kept, let_go, second_call, tied
from rating_engine.domain.outcomes import CallKey, DeclineReason

CREATE_SECONDS: Final = 5.0  # a channel is made within milliseconds
END_SECONDS: Final = 3.0  # an exchange's last word on a leg comes behind its hangup handler, which asks an engine
CLEAR_SECONDS: Final = 10.0  # what is hung up is gone by then
CLEAR_TRIES: Final = 3
SAY_SECONDS: Final = 30.0  # an announcement that is longer is cut short
RING_MARGIN_SECONDS: Final = 2.0  # the exchange ends the ringing itself
LIMIT_LEAST_SECONDS: Final = 0.5
HANDLER: Final = "rating-leg-ended,s,1"  # of config/asterisk/rating-ari.conf
NO_TRANSFER: Final = "rating-no-transfer"  # of the same file
# Behind the last route, and of one that was told: no more can be tried, and what the last one said is told.
_NO_MORE: Final = frozenset({DeclineReason.NO_ROUTE, DeclineReason.NO_CAPACITY})

Step = tuple[Call, tuple[Command, ...]]
NOTHING: Final[tuple[Command, ...]] = ()


def advance(call: Call, event: CallEvent) -> Step:
    """What becomes of a call by an event of its channels, of the services or of the clock."""
    handler = _TABLE.get((call.phase, type(event)))
    return (call, NOTHING) if handler is None else handler(call, event)


def is_looked_at(call: Call, event: CallEvent) -> bool:
    """Whether the call's phase knows such an event at all."""
    return (call.phase, type(event)) in _TABLE


def _after(call: Call, timer: Timer, seconds: float) -> StartTimer:
    return StartTimer(timer, seconds, call.attempt)


def _prepare(call: Call) -> Step:
    call = replace(call, phase=Phase.PREPARING, attempt=call.attempt + 1, leg="", granted=0, rang=False, left_at=None)
    return call, (Prepare(call.key),)


def _entered(call: Call, event: Entered) -> Step:
    return _prepare(replace(call, caller_up=event.up))


def _begin(call: Call, event: Begin) -> Step:
    if not call.endpoint:
        return _prepare(call)
    return _create(replace(call, attempt=call.attempt + 1), call.endpoint, call.number)


def _admitted(call: Call, event: Admitted) -> Step:
    if event.key != call.key:
        return call, NOTHING
    if call.caller_gone:
        call = replace(call, phase=Phase.DONE)
        return call, (Finish(call.key, 0, word_of(NORMAL), NORMAL), *_bridge_gone(call))
    call = replace(call, granted=event.seconds, owed=True)
    sound = event.low_balance_sound or call.rules.low_balance
    if event.low_balance and sound and call.minds_caller and call.attempt == 1:
        call, commands = _say(replace(call, phase=Phase.PLAYING, admitted=event), sound)
        return call, (*commands, _after(call, Timer.SAY, SAY_SECONDS))
    return _dial_route(call, event)


def _dial_route(call: Call, route: Admitted) -> Step:
    endpoint = f"{call.rules.technology}/{route.route_prefix}{route.destination}@{route.route_name}"
    return _create(call, endpoint, route.callerid)


def _say(call: Call, sound: str) -> Step:
    """What the caller is told in words; he is not answered for that."""
    call = replace(call, announced=f"{call.uniqueid}-{call.attempt}-said")
    stays = SetLimit(call.caller, SAY_SECONDS + call.rules.caller_margin_seconds)
    play = Play(call.caller, call.announced, tuple(sound.split("&")), early=not call.caller_up)
    return call, (stays, play) if call.minds_caller else (play,)


def _said(call: Call, event: Played | TimerFired) -> Step:
    """He has heard it, or it takes too long: now it rings."""
    is_over = event.timer is Timer.SAY if isinstance(event, TimerFired) else event.playback == call.announced
    if not is_over or call.admitted is None:
        return call, NOTHING
    return _dial_route(replace(call, announced="", admitted=None), call.admitted)


def _leaves_before_it_rings(call: Call, event: Leaving | Gone | HangUpAsked) -> Step:
    if not isinstance(event, HangUpAsked) and event.channel != call.caller:
        return call, NOTHING
    freed = Finish(call.key, 0, word_of(NORMAL), NORMAL)
    ended = replace(call, owed=False, announced="", admitted=None)
    if isinstance(event, HangUpAsked):
        ended, commands = _clear(ended, event.cause, but="")
    else:
        ended, commands = _clear(replace(ended, caller_gone=True), NORMAL, but="")
    return ended, (freed, *commands)


def _create(call: Call, endpoint: str, callerid: str) -> Step:
    rules, leg = call.rules, call.leg_id
    commands: list[Command] = []
    if call.minds_caller:
        longest = rules.ring_seconds + call.granted + rules.caller_margin_seconds
        commands.append(SetLimit(call.caller, longest))
        if rules.transfers and not call.of:  # who transfers asks us
            commands.append(SetVariable(call.caller, "PJSIP_TRANSFER_HANDLING()", "ari-only"))
    if call.caller and not call.bridge:
        call = replace(call, bridge=call.bridge_id)
        commands.append(CreateBridge(call.bridge))
    call = replace(call, phase=Phase.CREATING, leg=leg)
    commands.append(CreateLeg(leg, endpoint, call.caller, _variables(call, callerid)))
    commands.append(_after(call, Timer.CREATE, CREATE_SECONDS))
    return call, tuple(commands)


def _variables(call: Call, callerid: str) -> dict[str, str]:
    """What a leg has from its first moment on: how long it may last, and who is told how it ended, whoever is there."""
    return {
        "TIMEOUT(absolute)": str(call.granted),
        "CHANNEL(hangup_handler_push)": HANDLER,
        "RATING_CALL_KEY": "" if call.endpoint else str(call.key),
        "RATING_LOGIN": call.login,
        "RATING_DIALLED": call.dialled,
        "RATING_NUMBER": call.number,
        "RATING_CALLER": "" if call.of else call.caller_name,  # his rules may have more for him
        "RATING_CALLER_ID": call.caller,
        "RATING_TOLERANCE_MS": str(call.rules.tolerance_ms),
        "CONNECTEDLINE(num,i)": callerid,
        "TRANSFER_CONTEXT": NO_TRANSFER,  # the called party may not: nobody would pay
        **({"PITCH_SHIFT(tx)": call.pitch} if call.pitch else {}),
    }


def _refused(call: Call, event: Refused) -> Step:
    if event.key != call.key:
        return call, NOTHING
    if call.caller_gone:
        return _done(call)
    if call.attempt > 1 and event.reason in _NO_MORE:
        return _give_up(call, call.cause or UNAVAILABLE)
    rules, cause = call.rules, cause_of(event.reason)
    sound = rules.announcements.get(event.reason.value) or rules.announcements.get("", "")
    if not sound or not call.caller:
        return _give_up(call, cause)
    call, commands = _say(replace(call, phase=Phase.CLEARING, cause=cause), sound)
    return call, (*commands, _after(call, Timer.CLEAR, SAY_SECONDS))


def _leg_entered(call: Call, event: Entered) -> Step:
    if event.channel != call.leg:
        return call, NOTHING
    rules = call.rules
    call = replace(call, phase=Phase.DIALLING, leg_name=event.name)
    commands: list[Command] = []
    if rules.early_media and call.caller and not call.moving:
        call, join = _join(call)
        commands.append(join)
    commands.append(Dial(call.leg, rules.ring_seconds))
    if call.caller and not call.moving:
        # So that a caller who leaves takes the leg along where no engine is there to do it.
        is_made = call.caller.startswith((LEG_MARK, FREE_MARK))
        name = "RATING_CALLER" if is_made else "RATING_LEG"
        commands.append(SetVariable(call.caller, name, event.name))
    commands.append(_after(call, Timer.RING, rules.ring_seconds + RING_MARGIN_SECONDS))
    commands.append(_after(call, Timer.SILENCE, rules.silence_seconds))
    return _keep_ringing(call, commands)


def _join(call: Call) -> tuple[Call, Join]:
    """Who is in the bridge already stays: entering it again is a gap in the sound."""
    channels = (call.leg,) if call.joined else call.channels
    return replace(call, joined=True), Join(call.bridge, channels)


def _keep_ringing(call: Call, commands: list[Command]) -> Step:
    """A leg that is granted less than it may ring is given its time anew: what is not answered costs nothing."""
    if call.granted < call.rules.ring_seconds + RING_MARGIN_SECONDS:
        commands.append(_after(call, Timer.LIMIT, max(call.granted / 3, LIMIT_LEAST_SECONDS)))
    return call, tuple(commands)


def _alerting(call: Call, event: Ringing | Progress) -> Step:
    if event.channel != call.leg:
        return call, NOTHING
    told = (TellTransfer(call.moving, Transfer.PROGRESS),) if call.moving else NOTHING
    return replace(call, phase=Phase.ALERTING, rang=True), told


def _up(call: Call, event: Up) -> Step:
    if event.channel == call.caller:
        return replace(call, caller_up=True), NOTHING
    if event.channel != call.leg or call.answered_at is not None:
        return call, NOTHING
    call = replace(call, phase=Phase.TALKING, answered_at=event.at)
    commands: list[Command] = [SetLimit(call.leg, call.granted, event.at)]
    if call.moving:
        call, moved = _moved(call)
        return call, (*commands, *moved)
    if call.caller and call.waiting is not None:
        commands.append(StopWaiting(call.caller, call.waiting))
    if call.caller and not call.rules.early_media:
        call, join = _join(call)
        commands.append(join)
    if call.caller and not call.caller_up:
        commands.append(Answer(call.caller))
    commands += callers_limit(call, call.granted, event.at)
    if call.then is not None:
        commands.append(StartCall(second_call(call, call.then)))
        call = replace(call, then=None)
    return call, tuple(commands)


def _moved(call: Call) -> Step:
    """Whom the phone wanted its call to have has answered: now it moves, and the phone is out of it."""
    call, join = _join(call)
    phone = call.moving
    return replace(call, moving="", moves=""), (
        StopWaiting(call.caller, ""),
        join,
        *tied(call.caller, call.leg, call.leg_name),
        EndTransfer(call.moves, call.leg, call.leg_name),
        *let_go(phone),
    )


def _up_too_late(call: Call, event: Up) -> Step:
    """The answer crossed our hanging up: what was talked is charged."""
    if event.channel == call.leg and call.answered_at is None:
        return replace(call, answered_at=event.at), NOTHING
    return call, NOTHING


def _leaving(call: Call, event: Leaving) -> Step:
    """Of a leg that was not answered only its end says why; of a conversation this is the end."""
    if event.channel == call.caller:
        return _caller_gone(call)
    if event.channel != call.leg or call.left_at is not None:
        return call, NOTHING
    call = replace(call, left_at=event.at)
    end = _after(call, Timer.END, END_SECONDS)
    if call.answered_at is None:
        return call, (end,)
    call, commands = _clear(call, NORMAL, but=call.leg)
    return call, (*commands, end)


def _caller_gone(call: Call) -> Step:
    if call.caller_gone:
        return call, NOTHING
    if call.transferring and call.phase is Phase.TALKING:  # a phone that transfers may leave before it is done
        return replace(call, caller=""), (StartWaiting(call.leg, ""),)
    call = replace(call, caller_gone=True)
    if call.phase is Phase.PREPARING:  # what is held is freed when the answer is there
        return call, NOTHING
    if call.phase is Phase.CLEARING:
        return _look_if_done(call)
    return _clear(call, NORMAL, but=call.caller)


def _gone(call: Call, event: Gone) -> Step:
    if event.channel == call.caller:
        return _caller_gone(call)
    if event.channel != call.leg:
        return call, NOTHING
    call, told = _tell_end(call, event)
    if call.phase is Phase.TALKING:
        call, commands = _clear(replace(call, leg=""), NORMAL, but="")
    elif call.phase is Phase.CLEARING:
        call, commands = _look_if_done(replace(call, leg=""))
    else:
        call, commands = _attempt_over(call, event.cause, event.sip)
    return call, (*told, *commands)


def _tell_end(call: Call, event: Gone) -> Step:
    """The charge; of a conversation whose end nobody saw the exchange tells the end itself, or is compared."""
    if not call.owed:
        return call, NOTHING
    ended = call.left_at if call.left_at is not None else event.at
    call = replace(call, owed=False, cause=event.cause, left_at=ended)
    if call.answered_at is None:
        return call, (Finish(call.key, 0, word_of(event.cause), event.cause, ended),)
    if ended is None:
        return call, NOTHING
    seconds = call.rules.seconds_between(call.answered_at, ended)
    return call, (Finish(call.key, seconds, ANSWERED, event.cause, ended),)


def _failed(call: Call, event: Failed) -> Step:
    """No leg came about: the next route, as after one that cannot be reached."""
    if event.leg != call.leg:
        return call, NOTHING
    if call.phase is Phase.TALKING:
        return _clear(call, NORMAL, but="")
    if call.phase is not Phase.CREATING:  # they may not be in the bridge, neither of them
        call = replace(call, joined=False)
    call, commands = _gone(call, Gone(event.leg, None, 0))
    return call, (HangUp(event.leg, NORMAL), *commands)  # in case it is there after all


def _attempt_over(call: Call, cause: int, sip: int) -> Step:
    """Nobody answered: another route, or what this one said is the caller's answer."""
    silent = call.silent or (not call.rang and cause == NO_ANSWER)
    word, sip = (SILENCE, 0) if silent else (word_of(cause), sip)  # what it says to our hanging up is nothing
    call = replace(call, leg="", answered_at=None, silent=False)
    if silent:
        cause = NO_ANSWER
    if not call.endpoint and call.attempt < call.rules.attempts and may_try_next(word, cause, sip, rang=call.rang):
        return _prepare(replace(call, cause=cause))
    return _give_up(call, cause or UNAVAILABLE)


def _give_up(call: Call, cause: int) -> Step:
    return _clear(replace(call, leg="", cause=cause), cause, but="")


def _clear(call: Call, cause: int, *, but: str) -> Step:
    """Hang up what lives, `but` the channel that ends by itself; the call is done when all of it is gone."""
    call = replace(call, phase=Phase.CLEARING, clear_tries=call.clear_tries + 1)
    call, failed = _not_moved(call)
    if call.of:
        word = ANSWERED if call.answered_at is not None else word_of(cause)
        failed = () if call.caller_gone else (EndStep(call.of, word, cause),)
        call = replace(call, of="", caller="")
    living = [each for each in (call.leg, "" if call.caller_gone else call.caller) if each and each != but]
    done, commands = _look_if_done(call)
    if done.phase is Phase.DONE:
        return done, (*failed, *commands)
    return call, (*failed, *(HangUp(each, cause) for each in living), _after(call, Timer.CLEAR, CLEAR_SECONDS))


def _not_moved(call: Call) -> Step:
    """Of a call that was made for a transfer: they go on as they were."""
    if not call.moving:
        return call, NOTHING
    failed = (TellTransfer(call.moving, Transfer.UNAVAILABLE), EndTransfer(call.moves))
    return replace(call, moving="", moves="", caller=""), failed


def _look_if_done(call: Call) -> Step:
    if call.leg or (call.caller and not call.caller_gone):
        return call, NOTHING
    return _done(call)


def _done(call: Call) -> Step:
    call = replace(call, phase=Phase.DONE)
    unused: tuple[Command, ...] = NOTHING
    if call.then is not None:  # the second number is not called: what is held for it is freed
        unused = (Finish(CallKey(call.exchange, call.then.uniqueid), 0, word_of(NORMAL), NORMAL),)
    return call, (*unused, *_bridge_gone(call))


def _bridge_gone(call: Call) -> tuple[Command, ...]:
    return (DeleteBridge(call.bridge),) if call.bridge else NOTHING


def _granted(call: Call, event: Granted) -> Step:
    return replace(call, granted=event.seconds), NOTHING


def _transferring(call: Call, event: Transferring) -> Step:
    call = replace(call, transferring=event.to, transfers=call.transfers + 1)
    return call, (kept(call.leg, is_moving=True), counted(call))


def _transferred(call: Call, event: Transferred) -> Step:
    call = replace(call, transferring="")
    if event.caller:
        return replace(call, caller=event.caller, caller_name=event.name, caller_pays=True, caller_gone=False), NOTHING
    return (call, (kept(call.leg, is_moving=False),)) if call.caller else _clear(call, NORMAL, but="")


def _hang_up(call: Call, event: HangUpAsked) -> Step:
    return _clear(call, event.cause, but="")


def _hang_up_later(call: Call, event: HangUpAsked) -> Step:
    """The answer to what was asked is on its way, and there is nothing else to end."""
    call, failed = _not_moved(replace(call, caller_gone=True))
    return call, (HangUp(call.caller, event.cause),) if call.caller else failed


def _timer(call: Call, event: TimerFired) -> Step:
    if event.attempt != call.attempt:
        return call, NOTHING
    match event.timer:
        case Timer.CREATE if call.phase is Phase.CREATING:
            return _failed(call, Failed(call.leg))
        case Timer.SILENCE if call.phase is Phase.DIALLING:
            return replace(call, silent=True), (HangUp(call.leg, NO_ANSWER), _after(call, Timer.END, END_SECONDS))
        case Timer.RING if call.phase in _UNANSWERED:
            return call, (HangUp(call.leg, NO_ANSWER), _after(call, Timer.END, END_SECONDS))
        case Timer.LIMIT if call.phase in _UNANSWERED:
            return _keep_ringing(call, [SetLimit(call.leg, call.granted)])
        case Timer.END if call.leg and call.phase not in (Phase.TALKING, Phase.CREATING):
            return _gone(call, Gone(call.leg, call.left_at, NO_ANSWER if call.answered_at is None else NORMAL))
    return call, NOTHING


def _clear_timer(call: Call, event: TimerFired) -> Step:
    if event.timer is Timer.END:
        return _timer(call, event)
    if event.timer is not Timer.CLEAR:
        return call, NOTHING
    if call.clear_tries < CLEAR_TRIES:
        return _clear(call, call.cause or NORMAL, but="")
    # Whatever is left ends by its own limit, and its end is told by the exchange.
    return _done(call)


def _too_late(call: Call, event: Entered) -> Step:
    return call, (HangUp(event.channel, NORMAL),) if event.channel == call.leg else NOTHING


def _played(call: Call, event: Played) -> Step:
    if not call.announced or event.playback != call.announced:
        return call, NOTHING
    return _clear(replace(call, announced=""), call.cause, but="")


Handler = Callable[[Call, Any], Step]

_UNANSWERED: Final = (Phase.DIALLING, Phase.ALERTING)
_ENDS: Final[dict[type, Handler]] = {Leaving: _leaving, Gone: _gone}
_RUNNING: Final[dict[type, Handler]] = {
    **_ENDS, Up: _up, Failed: _failed, HangUpAsked: _hang_up, TimerFired: _timer, Granted: _granted,
}  # fmt: skip
_PHASES: Final[dict[Phase, dict[type, Handler]]] = {
    Phase.ENTERED: {Entered: _entered, Begin: _begin},
    Phase.PREPARING: {**_ENDS, Admitted: _admitted, Refused: _refused, HangUpAsked: _hang_up_later, Up: _up},
    Phase.PLAYING: {
        **dict.fromkeys((Leaving, Gone, HangUpAsked), _leaves_before_it_rings),
        **dict.fromkeys((Played, TimerFired), _said), Up: _up, Granted: _granted,
    },
    Phase.CREATING: {**_RUNNING, Entered: _leg_entered},
    Phase.DIALLING: {**_RUNNING, Ringing: _alerting, Progress: _alerting},
    Phase.ALERTING: _RUNNING,
    Phase.TALKING: {**_RUNNING, Transferring: _transferring, Transferred: _transferred},
    Phase.CLEARING: {
        **_ENDS, Entered: _too_late, Up: _up_too_late, Failed: _failed, TimerFired: _clear_timer, Played: _played,
    },
    Phase.DONE: {},
}  # fmt: skip
_TABLE: Final[dict[tuple[Phase, type], Handler]] = {
    (phase, event): handler for phase, handlers in _PHASES.items() for event, handler in handlers.items()
}
