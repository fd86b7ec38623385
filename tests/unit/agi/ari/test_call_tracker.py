"""The state table of a call: what each event makes of it, and what it asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agi.ari.call import (
    Admitted,
    Call,
    CallEvent,
    CallRules,
    Failed,
    Granted,
    HangUpAsked,
    Phase,
    Refused,
    TimerFired,
)
from agi.ari.call_tracker import advance
from agi.ari.commands import (
    Answer,
    Command,
    CreateBridge,
    CreateLeg,
    DeleteBridge,
    Dial,
    Finish,
    HangUp,
    Join,
    Play,
    Prepare,
    SetLimit,
    SetVariable,
    StartTimer,
    Timer,
)
from agi.ari.events import Entered, Gone, Leaving, Played, Progress, Ringing, Up
from rating_engine.domain.outcomes import CallKey, DeclineReason

KEY = CallKey("pbx1", "u1", 1)
LEG, CALLER, BRIDGE = "r-u1-1", "u1", "rb-u1-1"
RULES = CallRules(ring_seconds=20, silence_seconds=5, announcements={"daily_limit": "custom/limit&vm-goodbye"})
START = Call(RULES, "pbx1", CALLER, "1001", "4930123", caller=CALLER, caller_name="PJSIP/1001-1")
ALLOWED = Admitted(KEY, 120, "4930123", "4930111", "77", "carrier")


def run(*events: CallEvent, call: Call = START) -> tuple[Call, list[Command]]:
    """The call behind all events, and what the last one asked for; timers apart."""
    commands: tuple[Command, ...] = ()
    for event in events:
        call, commands = advance(call, event)
    return call, [command for command in commands if not isinstance(command, StartTimer)]


ENTERED = Entered(CALLER, 100.0)
TO_PREPARING = (ENTERED,)
TO_CREATING = (*TO_PREPARING, ALLOWED)
TO_DIALLING = (*TO_CREATING, Entered(LEG, 100.2, name="PJSIP/carrier-2", args=("leg",)))
TO_ALERTING = (*TO_DIALLING, Ringing(LEG, 101.0))
TO_TALKING = (*TO_ALERTING, Up(LEG, 110.0))


def test_who_enters_is_asked_for() -> None:
    call, commands = run(ENTERED)
    assert (call.phase, commands) == (Phase.PREPARING, [Prepare(KEY)])


def test_what_is_allowed_gets_a_leg_with_its_limit_and_its_handler_before_anything() -> None:
    call, commands = run(*TO_CREATING)
    limit, transfers, bridge, create = commands
    assert (call.phase, call.leg, call.granted, call.owed) == (Phase.CREATING, LEG, 120, True)
    assert limit == SetLimit(CALLER, 20 + 120 + 10)
    assert transfers == SetVariable(CALLER, "PJSIP_TRANSFER_HANDLING()", "ari-only")
    assert transfers not in run(*TO_CREATING, call=replace(START, rules=replace(RULES, transfers=False)))[1]
    assert bridge == CreateBridge(BRIDGE)
    assert isinstance(create, CreateLeg)
    assert (create.leg, create.endpoint, create.like) == (LEG, "PJSIP/774930123@carrier", CALLER)
    assert create.variables["TIMEOUT(absolute)"] == "120"
    # Whoever is called may not transfer: a carrier that says Refer-Sub: false would end Asterisk (agi/ari/versions).
    assert create.variables["TRANSFER_CONTEXT"] == "rating-no-transfer"
    assert "PJSIP_TRANSFER_HANDLING()" not in create.variables
    assert create.variables["CHANNEL(hangup_handler_push)"] == "rating-leg-ended,s,1"
    assert create.variables["RATING_CALL_KEY"] == str(KEY)


def test_a_leg_is_joined_before_it_is_dialled_or_at_the_answer_where_there_is_no_early_media() -> None:
    _, commands = run(*TO_DIALLING)
    assert commands == [
        Join(BRIDGE, (CALLER, LEG)),
        Dial(LEG, 20),
        SetVariable(CALLER, "RATING_LEG", "PJSIP/carrier-2"),
    ]
    quiet = replace(START, rules=replace(RULES, early_media=False))
    _, commands = run(*TO_DIALLING, call=quiet)
    assert not any(isinstance(command, Join) for command in commands)
    _, commands = run(*TO_TALKING, call=quiet)
    assert Join(BRIDGE, (CALLER, LEG)) in commands


def test_the_answer_sets_both_limits_from_its_moment_and_answers_who_waits() -> None:
    call, commands = run(*TO_TALKING)
    assert (call.phase, call.answered_at) == (Phase.TALKING, 110.0)
    assert commands == [SetLimit(LEG, 120, 110.0), Answer(CALLER), SetLimit(CALLER, 130, 110.0)]
    _, commands = run(*TO_ALERTING, Up(CALLER, 110.0), Up(LEG, 110.0))
    assert Answer(CALLER) not in commands
    assert run(*TO_TALKING, Up(LEG, 111.0))[1] == []


@pytest.mark.parametrize("left", [True, False])
def test_the_called_party_ends_a_call_which_is_charged_to_the_first_sign_of_it(left: bool) -> None:
    events = (Leaving(LEG, 117.2),) if left else ()
    call, commands = run(*TO_TALKING, *events)
    if left:
        assert (call.phase, commands) == (Phase.CLEARING, [HangUp(CALLER, 16)])
    call, commands = run(*TO_TALKING, *events, Gone(LEG, 117.2, 16))
    assert commands[0] == Finish(KEY, 7, "ANSWER", 16, 117.2)
    assert call.phase is Phase.CLEARING
    call, commands = run(Leaving(CALLER, 117.3), call=call)
    assert (call.phase, commands) == (Phase.DONE, [DeleteBridge(BRIDGE)])


def test_the_caller_ends_a_call() -> None:
    call, commands = run(*TO_TALKING, Leaving(CALLER, 112.21))
    assert (call.phase, commands) == (Phase.CLEARING, [HangUp(LEG, 16)])
    call, commands = run(Leaving(LEG, 112.21), Gone(LEG, 112.4, 16), call=call)
    assert commands == [Finish(KEY, 3, "ANSWER", 16, 112.21), DeleteBridge(BRIDGE)]
    assert call.phase is Phase.DONE


def test_a_caller_who_cancels_takes_the_leg_along_and_pays_nothing() -> None:
    call, commands = run(*TO_ALERTING, Leaving(CALLER, 105.0))
    assert commands == [HangUp(LEG, 16)]
    call, commands = run(Gone(LEG, 105.1, 16), call=call)
    assert commands == [Finish(KEY, 0, "CANCEL", 16, 105.1), DeleteBridge(BRIDGE)]


def test_an_answer_that_crosses_the_cancel_is_charged() -> None:
    call, _ = run(*TO_ALERTING, Leaving(CALLER, 105.0), Up(LEG, 105.05))
    _, commands = run(Leaving(LEG, 105.1), Gone(LEG, 105.2, 16), call=call)
    assert commands[0] == Finish(KEY, 1, "ANSWER", 16, 105.1)


def test_a_caller_who_leaves_while_it_is_asked_frees_what_is_held() -> None:
    call, commands = run(ENTERED, Leaving(CALLER, 100.1))
    assert (call.phase, commands) == (Phase.PREPARING, [])
    call, commands = run(ALLOWED, call=call)
    assert (call.phase, commands) == (Phase.DONE, [Finish(KEY, 0, "CANCEL", 16)])
    assert run(ENTERED, Leaving(CALLER, 100.1), Refused(KEY, DeclineReason.NO_RATE))[0].phase is Phase.DONE


def test_a_refused_caller_is_told_by_its_cause_or_by_words_first() -> None:
    call, commands = run(ENTERED, Refused(KEY, DeclineReason.NO_RATE))
    assert (call.phase, commands) == (Phase.CLEARING, [HangUp(CALLER, 1)])
    call, commands = run(ENTERED, Refused(KEY, DeclineReason.DAILY_LIMIT))
    assert commands == [
        SetLimit(CALLER, 40.0),  # who waits for an engine has ten seconds
        Play(CALLER, "u1-1-said", ("custom/limit", "vm-goodbye"), early=True),
    ]
    assert run(Played(CALLER, "u1-1-said", whole=True), call=call)[1] == [HangUp(CALLER, 21)]
    assert run(Played(CALLER, "another", whole=True), call=call)[1] == []


LITTLE_LEFT = replace(ALLOWED, low_balance=True)
TOLD = replace(START, rules=replace(RULES, low_balance="custom/little"))


def test_who_has_little_left_is_told_before_it_rings_and_once() -> None:
    call, commands = run(ENTERED, LITTLE_LEFT, call=TOLD)
    assert commands == [SetLimit(CALLER, 40.0), Play(CALLER, "u1-1-said", ("custom/little",), early=True)]
    chosen = replace(LITTLE_LEFT, low_balance_sound="custom/own")  # by its user: before that of the setting, or none
    for rules in (TOLD, START):
        assert run(ENTERED, chosen, call=rules)[1][-1] == Play(CALLER, "u1-1-said", ("custom/own",), early=True)
    for goes_on in (Played(CALLER, "u1-1-said", whole=False), TimerFired(Timer.SAY, 1)):
        dialled, made = run(goes_on, call=call)
        assert made == run(ENTERED, ALLOWED)[1]
        second = (Entered(LEG, 100.2), Gone(LEG, 101.0, 34, 503), replace(LITTLE_LEFT, key=CallKey("pbx1", "u1", 2)))
        assert run(*second, call=dialled)[0].phase is Phase.CREATING
    assert run(Played(CALLER, "another", whole=True), call=call) == (call, [])
    assert run(ENTERED, LITTLE_LEFT)[0].phase is Phase.CREATING  # where no sound is set
    assert run(ENTERED, LITTLE_LEFT, call=replace(TOLD, caller_pays=True))[0].phase is Phase.CREATING


@pytest.mark.parametrize(
    ("event", "rest"), [(Leaving(CALLER, 101.0), []), (HangUpAsked(), [HangUp(CALLER, 16)])], ids=["leaves", "is ended"]
)
def test_who_ends_while_he_is_told_pays_nothing(event: CallEvent, rest: list[Command]) -> None:
    call, commands = run(ENTERED, LITTLE_LEFT, event, call=TOLD)
    assert commands == [Finish(KEY, 0, "CANCEL", 16), *rest]
    assert run(Gone(CALLER, 101.1), call=call)[0].phase is Phase.DONE


@pytest.mark.parametrize(
    ("ring", "cause", "sip", "word", "goes_on"),
    [
        (False, 34, 503, "CONGESTION", True),
        (False, 3, 0, "CHANUNAVAIL", True),
        (False, 21, 403, "CHANUNAVAIL", True),
        (False, 21, 0, "CHANUNAVAIL", False),
        (False, 1, 404, "CHANUNAVAIL", False),
        (True, 17, 486, "BUSY", False),
        (True, 17, 603, "BUSY", False),
        (True, 17, 302, "BUSY", True),
        (False, 19, 0, "NOANSWER", True),  # neither rang nor said anything
        (True, 19, 0, "NOANSWER", False),
        (True, 18, 408, "NOANSWER", False),
        (False, 38, 500, "CHANUNAVAIL", True),
    ],
)
def test_a_route_that_fails_gives_way_to_the_next_or_tells_the_caller(
    ring: bool, cause: int, sip: int, word: str, goes_on: bool
) -> None:
    call, commands = run(*(TO_ALERTING if ring else TO_DIALLING), Gone(LEG, 103.0, cause, sip))
    assert commands[0] == Finish(KEY, 0, word, cause, 103.0)
    if goes_on:
        assert commands[1:] == [Prepare(CallKey("pbx1", "u1", 2))]
        assert call.phase is Phase.PREPARING
    else:
        assert commands[1:] == [HangUp(CALLER, cause)]


def test_the_second_leg_joins_the_caller_where_he_is_and_the_last_word_is_the_callers() -> None:
    second = CallKey("pbx1", "u1", 2)
    call, _ = run(*TO_DIALLING, Gone(LEG, 103.0, 34, 503), replace(ALLOWED, key=second))
    assert (call.leg, call.bridge) == ("r-u1-2", BRIDGE)
    _, commands = run(Entered("r-u1-2", 104.0), call=call)
    assert commands[0] == Join(BRIDGE, ("r-u1-2",))
    call, _ = run(*TO_DIALLING, Gone(LEG, 103.0, 34, 503))
    assert run(Refused(second, DeclineReason.NO_ROUTE), call=call)[1] == [HangUp(CALLER, 34)]
    assert run(Refused(second, DeclineReason.INSUFFICIENT_FUNDS), call=call)[1] == [HangUp(CALLER, 21)]


def test_a_leg_that_cannot_be_made_is_ended_and_the_next_route_tried() -> None:
    for event in (Failed(LEG), TimerFired(Timer.CREATE, 1)):
        _, commands = run(*TO_CREATING, event)
        assert commands == [
            HangUp(LEG, 16),
            Finish(KEY, 0, "CHANUNAVAIL", 0),
            Prepare(CallKey("pbx1", "u1", 2)),
        ]


def test_silence_and_long_ringing_are_ended_and_a_short_limit_is_kept_up_while_it_rings() -> None:
    assert run(*TO_DIALLING, TimerFired(Timer.SILENCE, 1))[1] == [HangUp(LEG, 19)]
    assert run(*TO_ALERTING, TimerFired(Timer.SILENCE, 1))[1] == []
    assert run(*TO_ALERTING, TimerFired(Timer.RING, 1))[1] == [HangUp(LEG, 19)]
    assert run(*TO_ALERTING, TimerFired(Timer.RING, 2))[1] == []
    short = (*TO_PREPARING, replace(ALLOWED, seconds=9), Entered(LEG, 100.2))
    call, commands = START, ()
    for event in short:
        call, commands = advance(call, event)
    assert StartTimer(Timer.LIMIT, 3.0, 1) in commands
    assert run(TimerFired(Timer.LIMIT, 1), call=call)[1] == [SetLimit(LEG, 9)]
    assert run(Up(LEG, 105.0), TimerFired(Timer.LIMIT, 1), call=call)[1] == []


def test_progress_counts_as_ringing() -> None:
    assert run(*TO_DIALLING, Progress(LEG, 101.0))[0].phase is Phase.ALERTING


def test_whoever_ends_a_call_from_outside_ends_both_legs() -> None:
    _, commands = run(*TO_TALKING, HangUpAsked())
    assert commands == [HangUp(LEG, 16), HangUp(CALLER, 16)]
    _, commands = run(ENTERED, HangUpAsked())
    assert commands == [HangUp(CALLER, 16)]


def test_an_end_that_nobody_saw_is_left_to_who_knows_it() -> None:
    _, commands = run(*TO_TALKING, Gone(LEG, None))
    assert not any(isinstance(command, Finish) for command in commands)
    _, commands = run(*TO_TALKING, Leaving(LEG, 115.1), TimerFired(Timer.END, 1))
    assert commands[0] == Finish(KEY, 5, "ANSWER", 16, 115.1)


def test_what_does_not_go_away_is_hung_up_again_and_then_left_to_its_limits() -> None:
    call, _ = run(*TO_TALKING, Leaving(LEG, 117.0))
    for _ in range(2):
        call, commands = run(TimerFired(Timer.CLEAR, 1), call=call)
        assert HangUp(CALLER, 16) in commands
    call, commands = run(TimerFired(Timer.CLEAR, 1), call=call)
    assert (call.phase, commands) == (Phase.DONE, [DeleteBridge(BRIDGE)])


def test_a_longer_grant_is_remembered_and_events_of_others_are_nothing() -> None:
    assert run(*TO_TALKING, Granted(240))[0].granted == 240
    for event in (Up("x", 1.0), Gone("x", 1.0), Leaving("x", 1.0), Ringing("x", 1.0), Entered("x", 1.0), Failed("x")):
        assert run(*TO_DIALLING, event) == (run(*TO_DIALLING)[0], [])


@pytest.mark.parametrize(
    ("talked", "seconds"), [(0.0, 1), (0.2, 1), (1.2, 1), (1.201, 2), (6.999, 7), (7.2, 7), (7.21, 8)]
)
def test_a_begun_second_counts_once_its_tolerance_has_passed(talked: float, seconds: int) -> None:
    assert RULES.seconds_between(1000.0, 1000.0 + talked) == seconds
