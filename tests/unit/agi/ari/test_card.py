"""The dialogue of a calling card: what is asked and told, how often, and which calls come of it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from agi.ari import prompts
from agi.ari.call import (
    Balanced,
    Call,
    CallEvent,
    CallRules,
    CardKnown,
    HangUpAsked,
    Phase,
    Quoted,
    Refused,
    StepEnded,
    TimerFired,
)
from agi.ari.card import ASK, BYE, CANNOT, HAVE, LATER, WRONG, Card, Question, advance
from agi.ari.commands import (
    Answer,
    AskBalance,
    AskCard,
    Command,
    Continue,
    HangUp,
    Look,
    Play,
    Quote,
    SetLimit,
    SetVariable,
    StartCall,
    StartTimer,
    StopPlay,
    Timer,
)
from agi.ari.events import Digit, Entered, Gone, Leaving, Played
from rating_engine.domain.outcomes import CallKey, DeclineReason

KEY = CallKey("pbx1", "k1")
START = Card(CallRules(), "pbx1", "k1", caller_name="PJSIP/trunk-1")
ENTERED = Entered("k1", 1.0)
KNOWN = CardKnown("card-1", Decimal("12.50"), "EUR", "4930")


def keyed(keys: str) -> list[CallEvent]:
    return [Digit("k1", key) for key in keys]


def run(*events: CallEvent, card: Card = START) -> tuple[Card, list[Command]]:
    """The card behind all events, and what the last one asked for; timers apart."""
    commands: tuple[Command, ...] = ()
    for event in events:
        card, commands = advance(card, event)
    return card, [command for command in commands if not isinstance(command, StartTimer)]


def said(commands: list[Command]) -> tuple[str, ...]:
    return tuple(sound for command in commands if isinstance(command, Play) for sound in command.sounds)


def refused(reason: DeclineReason = DeclineReason.UNKNOWN_LOGIN) -> Refused:
    return Refused(KEY, reason)


def test_number_and_pin_are_asked_for_both_and_never_shown() -> None:
    card, commands = run(ENTERED)
    assert commands[:2] == [SetLimit("k1", 120), Answer("k1")]
    assert said(commands) == ASK["number"]
    card, commands = run(*keyed("4711#"), card=card)
    assert (said(commands), card.question) == (ASK["pin"], Question.PIN)
    card, commands = run(*keyed("0815"), card=card)
    assert (card.keys, "0815" in repr(card), "4711" in repr(card)) == ("0815", False, False)
    _, commands = run(TimerFired(Timer.DIGITS, card.turn), card=card)
    assert commands == [AskCard(KEY, "4711", "0815", "")]
    assert "0815" not in repr(commands)


def test_the_callers_own_number_opens_a_card_without_being_asked() -> None:
    known = Card(CallRules(), "pbx1", "k1", number="4915")
    card, commands = run(ENTERED, card=known)
    assert commands[-1] == AskCard(KEY, "", "", "4915")
    card, commands = run(KNOWN, card=card)
    assert said(commands) == (HAVE, "number:12", "letters/dot", "digits:50", "characters:eur", *ASK["call"])
    card, commands = run(ENTERED, refused(), card=known)
    assert (said(commands), card.tries) == (ASK["number"], 0)


def to_call() -> Card:
    return run(ENTERED, *keyed("4711#0815#"), KNOWN)[0]


def test_a_card_is_spoken_to_in_its_language() -> None:
    _, commands = run(ENTERED, *keyed("4711#0815#"), replace(KNOWN, language="de"))
    assert commands[0] == SetVariable("k1", "CHANNEL(language)", "de")
    assert said(commands)[0] == HAVE


def test_a_context_of_the_groups_own_goes_on_with_the_caller() -> None:
    card, commands = run(ENTERED, *keyed("4711#0815#"), replace(KNOWN, dialplan="own-menu", external=True))
    assert (card.phase, commands[-1]) == (Phase.DONE, Continue("k1", "own-menu", "s"))
    for name, value in {"RATING_CARD_LOGIN": "card-1", "RATING_CARD_EXTERNAL": "1", "TIMEOUT(absolute)": "0"}.items():
        assert SetVariable("k1", name, value) in commands


def test_the_exchanges_own_function_is_asked_before_each_call_of_a_group_that_wants_it() -> None:
    card, _ = run(ENTERED, *keyed("4711#0815#"), replace(KNOWN, external=True))
    card, commands = run(*keyed("123#"), card=card)
    assert commands[-1] == Continue("k1", "rating-ari-external", "s")
    assert SetVariable("k1", "RATING_CARD_CALLS", "123") in commands
    _, asked = run(Entered("k1", 9.0, args=("back", "4930123")), card=card)
    assert asked == [Quote(KEY, "card-1", "4930123", "4930")]
    _, refused_by_it = run(Entered("k1", 9.0, args=("back", "")), card=card)
    assert said(refused_by_it) == (CANNOT, *ASK["call"])
    assert run(TimerFired(Timer.AWAY, card.turn), card=card)[1] == [Look("k1")]
    assert run(Gone("k1", None), card=card)[0].phase is Phase.DONE


def test_a_call_is_made_on_the_cards_money_and_the_next_one_asked_for_behind_it() -> None:
    card, commands = run(*keyed("4930123#"), card=to_call())
    assert commands == [Quote(KEY, "card-1", "4930123", "4930")]
    card, commands = run(Quoted(125), card=card)
    assert said(commands) == (HAVE, "number:2", "minutes")
    started = commands[-1]
    assert isinstance(started, StartCall)
    made = started.call
    assert isinstance(made, Call)
    assert (made.uniqueid, made.login, made.dialled, made.number, made.of) == (
        "k1.c1", "card-1", "4930123", "4930", "k1",
    )  # fmt: skip
    assert made.minds_caller  # his limit is that of the call, as long as it lasts
    card, commands = run(StepEnded("ANSWER", 16), card=card)
    assert commands == [SetLimit("k1", 120), AskBalance(KEY, "card-1")]
    card, commands = run(Balanced(Decimal(3), "USD"), card=card)
    assert said(commands) == (HAVE, "number:3", "digits/dollars", *ASK["call"])
    card, _ = run(*keyed("4940#"), Quoted(None), card=card)
    _, commands = run(StepEnded("BUSY", 17), card=card)
    assert said(commands) == (CANNOT, *ASK["call"])


def test_a_wrong_pin_is_said_and_the_third_one_is_the_last() -> None:
    card, _ = run(ENTERED)
    for _ in range(2):
        card, commands = run(*keyed("4711#0815#"), refused(), card=card)
        assert said(commands) == (WRONG, *ASK["number"])
    card, commands = run(*keyed("4711#0815#"), refused(), card=card)
    assert said(commands) == (WRONG, BYE)
    assert run(Played("k1", card.playback, whole=True), card=card)[1] == [HangUp("k1", 21)]


def test_a_star_begins_the_question_anew_and_a_key_stops_what_is_played() -> None:
    card, commands = run(*keyed("12"), card=run(ENTERED)[0])
    assert card.keys == "12"
    assert run(*keyed("1"), card=run(ENTERED)[0])[1] == [StopPlay("k1-1-card")]
    card, commands = run(*keyed("*"), card=card)
    assert (card.keys, said(commands)) == ("", ASK["number"])


def test_what_is_keyed_in_while_the_services_think_is_the_beginning_of_the_answer() -> None:
    card, _ = run(ENTERED, *keyed("4711#0000#"), *keyed("4711#08"))
    card, _ = run(refused(), *keyed("15"), card=card)
    assert (card.question, card.keys) == (Question.PIN, "0815")
    card, _ = run(*keyed("#"), *keyed("4930123#4"), card=card)
    card, commands = run(KNOWN, card=card)
    assert commands[-1] == Quote(KEY, "card-1", "4930123", "4930")
    assert card.ahead == "4"


def test_who_says_nothing_is_asked_again_and_then_let_go() -> None:
    card, _ = run(ENTERED)
    for _ in range(2):
        card, _ = run(Played("k1", card.playback, whole=True), card=card)
        card, commands = run(TimerFired(Timer.DIGITS, card.turn), card=card)
        assert said(commands) == ASK["number"]
    card, _ = run(Played("k1", card.playback, whole=True), card=card)
    assert said(run(TimerFired(Timer.DIGITS, card.turn), card=card)[1]) == (BYE,)


@pytest.mark.parametrize("reason", [DeclineReason.UNAVAILABLE, DeclineReason.INTERNAL])
def test_a_service_that_cannot_says_so_and_is_no_wrong_pin(reason: DeclineReason) -> None:
    card, _ = run(ENTERED)
    assert said(run(*keyed("4711#0815#"), refused(reason), card=card)[1]) == (LATER, BYE)


def test_a_caller_who_leaves_leaves_nothing_and_one_who_is_ended_is_hung_up() -> None:
    card, commands = run(Leaving("k1", 9.0), card=to_call())
    assert (card.phase, commands) == (Phase.DONE, [])
    assert run(HangUpAsked(), card=to_call())[1] == [HangUp("k1", 16)]


@pytest.mark.parametrize(
    ("money", "currency", "words"),
    [
        ("0", "USD", ("number:0", "digits/dollars")),
        ("-1.05", "EUR", ("digits/minus", "number:1", "letters/dot", "digits:05", "characters:eur")),
        ("1000.999", "GBP", ("number:1000", "letters/dot", "digits:99", "characters:gbp")),
        ("-0.001", "USD", ("number:0", "digits/dollars")),
    ],
)
def test_an_amount_in_words_is_never_more_than_there_is(money: str, currency: str, words: tuple[str, ...]) -> None:
    assert prompts.amount(Decimal(money), currency) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, ("number:0", "seconds")),
        (1, ("number:1", "second")),
        (60, ("number:1", "minute")),
        (179, ("number:2", "minutes")),
    ],
)
def test_a_time_in_words(seconds: int, words: tuple[str, ...]) -> None:
    assert prompts.duration(seconds) == words
