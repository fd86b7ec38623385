"""A call that came in: what its rules have done, what is charged to its owner, and what becomes of a caller."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agi.ari.call import (
    Call,
    CallEvent,
    CallRules,
    HangUpAsked,
    NextStep,
    NoStep,
    Phase,
    Refused,
    StepEnded,
    Taken,
    TimerFired,
)
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
from agi.ari.inbound import Inbound, advance
from rating_engine.domain.outcomes import CallKey, DeclineReason, InboundStep

KEY = CallKey("pbx1", "d1")
START = Inbound(CallRules(), "pbx1", "d1", "004977", caller_name="PJSIP/trunk-1", number="4915")
ENTERED = Entered("d1", 10.0)
TAKEN = Taken("1001", "4977", 100)
STEP = InboundStep("call", "1001", "4915", 20, "", "4977/2")


def run(*events: CallEvent, call: Inbound = START) -> tuple[Inbound, list[Command]]:
    """The call behind all events, and what the last one asked for; timers and variables apart."""
    commands: tuple[Command, ...] = ()
    for event in events:
        call, commands = advance(call, event)
    return call, [command for command in commands if not isinstance(command, StartTimer | SetVariable)]


def did(action: str, destination: str = "") -> NextStep:
    return NextStep(replace(STEP, action=action, destination=destination))


def started(command: Command) -> Call:
    assert isinstance(command, StartCall)
    return command.call


def test_it_is_asked_who_pays_and_then_what_is_done() -> None:
    assert run(ENTERED)[1] == [PrepareInbound(KEY, "004977", "4915")]
    call, commands = run(ENTERED, TAKEN)
    assert commands == [SetLimit("d1", 100), AskNext(KEY, "4977/1", "4915", "", "")]
    assert (call.phase, call.owed, call.login) == (Phase.ROUTING, True, "1001")
    _, told = advance(run(ENTERED)[0], TAKEN)
    assert SetVariable("d1", "RATING_CALL_KEY", "pbx1/d1/1") in told
    assert run(ENTERED, Refused(KEY, DeclineReason.UNKNOWN_NUMBER))[1] == [HangUp("d1", 1)]


def test_a_phone_of_the_owner_rings_on_his_call_and_a_forward_is_a_call_of_his_own() -> None:
    for step, endpoint in ((STEP, "PJSIP/1001"), (replace(STEP, server="pbx2"), "PJSIP/1001@pbx2")):
        made = started(run(ENTERED, TAKEN, NextStep(step))[1][0])
        assert (made.endpoint, made.of, made.caller, made.granted, made.uniqueid) == (
            endpoint, "d1", "d1", 100, "d1.s1",
        )  # fmt: skip
        assert (made.rules.ring_seconds, made.minds_caller) == (20, False)
    made = started(run(ENTERED, TAKEN, did("forward", "4930"))[1][0])
    assert (made.endpoint, made.login, made.dialled, made.origin.from_originate) == ("", "1001", "4930", "4977")


def test_how_a_step_ended_is_asked_on_and_where_nothing_is_left_the_caller_is_told_its_cause() -> None:
    call, commands = run(ENTERED, TAKEN, NextStep(STEP), StepEnded("BUSY", 17))
    assert commands == [AskNext(KEY, "4977/2", "4915", "BUSY", "")]
    assert run(NoStep(), call=call)[1] == [HangUp("d1", 17)]
    assert run(did("hangup", "21"), call=call)[1] == [HangUp("d1", 21)]


def test_the_owner_pays_from_the_callers_answer_to_his_end() -> None:
    call, commands = run(ENTERED, TAKEN, NextStep(STEP), Up("d1", 20.0))
    assert commands == [SetLimit("d1", 100, 20.0)]
    call, commands = run(Leaving("d1", 27.5), call=call)
    assert (call.phase, commands) == (Phase.DONE, [Finish(KEY, 8, "ANSWER", 16, 27.5)])
    assert run(ENTERED, TAKEN, Leaving("d1", 27.5))[1] == [Finish(KEY, 0, "CANCEL", 16, 27.5)]
    assert run(ENTERED, TAKEN, Up("d1", 20.0), Gone("d1", None))[1] == []  # its handler tells it
    assert run(ENTERED, Leaving("d1", 11.0), TAKEN)[1] == [Finish(KEY, 0, "CANCEL", 16)]
    assert run(ENTERED, TAKEN, HangUpAsked())[1] == [HangUp("d1", 16)]


def test_a_file_is_played_to_an_answered_caller() -> None:
    call, commands = run(ENTERED, TAKEN, did("playfile", "a&b"))
    assert commands == [Answer("d1"), Play("d1", "d1-1-play", ("a", "b"))]
    for whole, word in ((True, "PLAYED"), (False, "FAILED")):
        _, asked = run(Played("d1", "d1-1-play", whole=whole), call=call)
        assert asked == [AskNext(KEY, "4977/2", "4915", word, "")]


def test_a_menu_takes_keys_while_it_plays_and_for_a_while_behind() -> None:
    menu, _ = run(ENTERED, TAKEN, did("menu", "menu"))
    call, commands = run(Digit("d1", "4"), call=menu)
    assert commands == [StopPlay("d1-1-play")]
    assert run(Digit("d1", "2"), Digit("d1", "#"), call=call)[1] == [AskNext(KEY, "4977/2", "4915", "INPUT", "42")]
    assert run(TimerFired(Timer.DIGITS, 1), call=call)[1] == [AskNext(KEY, "4977/2", "4915", "INPUT", "4")]
    silent, _ = run(Played("d1", "d1-1-play", whole=True), call=menu)
    assert run(TimerFired(Timer.DIGITS, 1), call=silent)[1] == [AskNext(KEY, "4977/2", "4915", "NOANSWER", "")]


def test_what_a_rule_wants_kept_the_dialplan_records_before_it_rings_and_ends_before_another_one_does() -> None:
    kept = NextStep(replace(STEP, record="one"))
    away, commands = run(ENTERED, TAKEN, kept)
    assert commands == [Continue("d1", "rating-ari-record", "s")]
    assert SetVariable("d1", "RATING_DID_RECORD", "one") in advance(run(ENTERED, TAKEN)[0], kept)[1]
    back = Entered("d1", 30.0, args=("back", ""))
    rings, commands = run(back, call=away)
    assert commands[0] == StartWaiting("d1", "", early=True)
    made = started(commands[1])
    assert (made.rules.early_media, made.waiting) == (False, "")  # together at the answer: what is kept begins there
    over, commands = run(StepEnded("BUSY", 17), call=rings)
    assert commands == [StopWaiting("d1", ""), AskNext(KEY, "4977/2", "4915", "BUSY", "")]
    told = advance(over, NextStep(STEP))[1]
    assert SetVariable("d1", "RATING_DID_RECORD", "") in told
    again, commands = run(NextStep(STEP), back, call=over)
    assert (again.keeps, started(commands[0]).waiting) == (False, None)


def test_music_is_heard_until_somebody_answers() -> None:
    _, commands = run(ENTERED, TAKEN, NextStep(replace(STEP, music="jazz")))
    assert commands[0] == StartWaiting("d1", "jazz", early=True)
    assert started(commands[1]).waiting == "jazz"


@pytest.mark.parametrize("action", ["voicemail", "message", "fax", "disa"])
def test_what_the_dialplan_does_better_it_does_and_comes_back(action: str) -> None:
    away, commands = run(ENTERED, TAKEN, did(action, "1001"))
    assert commands == [Answer("d1"), Continue("d1", "rating-ari-action", "s")]
    call, _ = run(Up("d1", 20.0), Leaving("d1", 21.0), call=away)
    assert call.phase is Phase.AWAY  # it has left us, not the exchange
    assert run(TimerFired(Timer.AWAY, 1), call=call)[1] == [Look("d1")]
    back = Entered("d1", 30.0, args=("back", "PLAYED"))
    assert run(back, call=call)[1] == [AskNext(KEY, "4977/2", "4915", "PLAYED", "")]
    gone, commands = run(Gone("d1", None), call=call)
    assert (gone.phase, commands) == (Phase.DONE, [])
