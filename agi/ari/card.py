"""A calling card over ARI: who calls from anywhere gives a card's number and PIN, hears what is left, and calls, one
call after the other, on the card's money.

Laws: nobody is told which of number and PIN was wrong; a card is tried a few times a call (and a few times an hour,
which is the services' to count); what is keyed in is in no log. The dialogue has an end of its own, by the exchange's
limit, whoever is there. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final

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
from agi.ari.causes import ANSWERED, FORBIDDEN, NORMAL, UNAVAILABLE
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
from agi.ari.events import Digit, Entered, Gone, Leaving, Played, Up
from rating_engine.domain.outcomes import CallKey, DeclineReason

DIALOGUE_SECONDS: Final = 120  # of one round of questions; the exchange ends it by itself
DIGIT_SECONDS: Final = 5.0
TRIES: Final = 3
SILENT_TRIES: Final = 3
KEYS_MAX: Final = 32
AHEAD_MAX: Final = 2 * KEYS_MAX
CLEAR_SECONDS: Final = 10.0
AWAY_SECONDS: Final = 15.0  # how soon it is seen that a caller has left while the dialplan had him
# Asterisk's core sounds; as config/asterisk/calling-card.conf has them.
ASK: Final = {
    "number": ("your", "number", "astcc-followed-by-the-pound-key"),
    "pin": ("agent-pass",),
    "call": ("vm-enter-num-to-call", "astcc-followed-by-the-pound-key"),
}
WRONG, CANNOT = "vm-incorrect", "cannot-complete-as-dialed"
LATER, BYE, HAVE = "please-try-call-later", "vm-goodbye", "vm-youhave"
EXTERNAL: Final = "rating-ari-external"  # of config/asterisk/rating-ari.conf: asks a function of the exchange's own
_FAULTS: Final = frozenset({DeclineReason.UNAVAILABLE, DeclineReason.OVERLOADED, DeclineReason.INTERNAL})


class Question(StrEnum):
    """What the caller is asked."""

    NUMBER = "number"
    PIN = "pin"
    CALL = "call"


@dataclass(frozen=True, slots=True)
class Card:
    """One caller. `turn` counts what is played and asked, so that what comes late is known as such.

    `after`: what becomes of him when he has heard the last words; None: they are a question. `shown`: the number that
    his calls show. `external`: a function of the exchange's own is asked before each call.
    """

    rules: CallRules
    exchange: str
    uniqueid: str
    caller_name: str = ""
    number: str = ""
    login: str = ""
    phase: Phase = Phase.ENTERED
    question: Question = Question.NUMBER
    turn: int = 0
    keys: str = field(default="", repr=False)
    ahead: str = field(default="", repr=False)
    card: str = field(default="", repr=False)
    tries: int = 0
    silent: int = 0
    calls: int = 0
    playback: str = ""
    after: int | None = None
    shown: str = ""
    currency: str = ""
    external: bool = False
    caller_up: bool = False
    cause: int = NORMAL

    @property
    def key(self) -> CallKey:
        """Of nothing that is paid: each of its calls has its own."""
        return CallKey(self.exchange, self.uniqueid)

    @property
    def channels(self) -> tuple[str, ...]:
        """Whose events are this caller's."""
        return (self.uniqueid,)

    # As other calls have them; a card's caller is charged by his calls alone.

    @property
    def caller(self) -> str:
        """Who hears."""
        return self.uniqueid

    @property
    def leg(self) -> str:
        """No channel of it is charged."""
        return ""

    @property
    def answered_at(self) -> float | None:
        """So there is no answer that counts."""
        return None

    @property
    def left_at(self) -> float | None:
        """And no end."""
        return None

    @property
    def caller_gone(self) -> bool:
        """Whether he has left."""
        return self.phase is Phase.DONE


Step = tuple[Card, tuple[Command, ...]]
NOTHING: Final[tuple[Command, ...]] = ()


def advance(card: Card, event: CallEvent) -> Step:
    """What becomes of it by an event, and what is to be done for that."""
    handler = _TABLE.get((card.phase, type(event)))
    return (card, NOTHING) if handler is None else handler(card, event)


def is_looked_at(card: Card, event: CallEvent) -> bool:
    """Whether its phase knows such an event at all."""
    return (card.phase, type(event)) in _TABLE


def _entered(card: Card, event: Entered) -> Step:
    """A number that opens a card opens it; else it is asked for."""
    card = replace(card, caller_up=event.up)
    opening: list[Command] = [SetLimit(card.uniqueid, DIALOGUE_SECONDS)]
    if not event.up:
        opening.append(Answer(card.uniqueid))
    if card.number:
        return replace(card, phase=Phase.PREPARING), (*opening, AskCard(card.key, "", "", card.number))
    card, asked = _ask(card, Question.NUMBER)
    return card, (*opening, *asked)


def _say(card: Card, sounds: prompts.Media, **change: Any) -> Step:
    turn = card.turn + 1
    playback = f"{card.uniqueid}-{turn}-card"
    card = replace(card, phase=Phase.PLAYING, turn=turn, playback=playback, **change)
    return card, (Play(card.uniqueid, playback, sounds),)


def _ask(card: Card, question: Question, before: prompts.Media = ()) -> Step:
    """What was keyed in while the services thought is the beginning of the answer."""
    ahead = card.ahead
    card, commands = _say(card, (*before, *ASK[question]), question=question, keys="", after=None, ahead="")
    for place, digit in enumerate(ahead, 1):
        card, more = _digit(card, Digit(card.uniqueid, digit))
        commands = (*commands, *more)
        if card.phase is not Phase.PLAYING:
            return replace(card, ahead=ahead[place:]), commands
    return card, commands


def _ahead(card: Card, event: Digit) -> Step:
    return replace(card, ahead=(card.ahead + event.digit)[:AHEAD_MAX]), NOTHING


def _bye(card: Card, word: str, cause: int) -> Step:
    return _say(card, (BYE,) if word == BYE else (word, BYE), after=cause)


def _played(card: Card, event: Played) -> Step:
    if event.playback != card.playback:
        return card, NOTHING
    if card.after is not None:
        return _clear(card, card.after)
    return replace(card, playback=""), (StartTimer(Timer.DIGITS, DIGIT_SECONDS * 2, card.turn),)


def _digit(card: Card, event: Digit) -> Step:
    if card.after is not None:
        return card, NOTHING
    stop = (StopPlay(card.playback),) if card.playback else NOTHING
    card = replace(card, playback="")
    if event.digit == "*":
        card, asked = _ask(card, card.question)
        return card, (*stop, *asked)
    if event.digit == "#":
        card, done = _given(card)
        return card, (*stop, *done)
    card = replace(card, keys=(card.keys + event.digit)[:KEYS_MAX])
    return card, (*stop, StartTimer(Timer.DIGITS, DIGIT_SECONDS, card.turn))


def _digits_over(card: Card, event: TimerFired) -> Step:
    if event.timer is not Timer.DIGITS or event.attempt != card.turn or card.after is not None or card.playback:
        return card, NOTHING
    return _given(card)


def _given(card: Card) -> Step:
    """What was asked for is there, or nothing was said."""
    if not card.keys:
        if card.silent + 1 >= SILENT_TRIES:
            return _bye(card, BYE, NORMAL)
        return _ask(replace(card, silent=card.silent + 1), card.question)
    card = replace(card, silent=0)
    match card.question:
        case Question.NUMBER:  # both are asked always: an answer here would say whether there is such a card
            return _ask(replace(card, card=card.keys), Question.PIN)
        case Question.PIN:
            asked = AskCard(card.key, card.card, card.keys, card.number)
            return replace(card, phase=Phase.PREPARING, keys="", card=""), (asked,)
    if card.external:
        told = {"RATING_CARD_LOGIN": card.login, "RATING_CARD_CALLS": card.keys}
        asks = tuple(SetVariable(card.uniqueid, name, value) for name, value in told.items())
        leave = Continue(card.uniqueid, EXTERNAL, "s")
        return replace(card, phase=Phase.AWAY, keys=""), (*asks, leave, _look_soon(card))
    return _quote(card, card.keys)


def _quote(card: Card, number: str) -> Step:
    return replace(card, phase=Phase.ROUTING, keys=number), (Quote(card.key, card.login, number, card.shown),)


def _look_soon(card: Card) -> StartTimer:
    """Of a channel in the dialplan nothing is told: it is looked whether it is there."""
    return StartTimer(Timer.AWAY, AWAY_SECONDS, card.turn)


def _look(card: Card, event: TimerFired) -> Step:
    if event.timer is not Timer.AWAY or event.attempt != card.turn:
        return card, NOTHING
    return card, (Look(card.uniqueid), _look_soon(card))


def _back(card: Card, event: Entered) -> Step:
    """The exchange's own function says whom the call is for, or that it may not be."""
    _, number, *_ = (*event.args, "", "")
    return _quote(card, number) if number else _ask(card, Question.CALL, (CANNOT,))


def _known(card: Card, event: CardKnown) -> Step:
    card = replace(card, login=event.login, shown=event.callerid, currency=event.currency, external=event.external)
    speaks: tuple[Command, ...] = NOTHING
    if event.language:
        speaks = (SetVariable(card.uniqueid, "CHANNEL(language)", event.language),)
    if event.dialplan:
        return _hand_over(card, event, speaks)
    card, welcome = _welcome(card, Balanced(event.balance, event.currency))
    return card, (*speaks, *welcome)


def _hand_over(card: Card, event: CardKnown, speaks: tuple[Command, ...]) -> Step:
    """A context of the exchange's own goes on with the caller, ours no more, by the variables of cardAuthorize."""
    told = {
        "RATING_CARD_LOGIN": event.login,
        "RATING_BALANCE": format(event.balance, "f"),
        "RATING_CURRENCY": event.currency,
        "RATING_CARD_LANGUAGE": event.language,
        "RATING_CARD_CALLERID": event.callerid,
        "RATING_CARD_EXTERNAL": "1" if event.external else "",
        "CALLERID(num)": event.callerid,
        "TIMEOUT(absolute)": "0",
    }
    variables = tuple(SetVariable(card.uniqueid, name, value) for name, value in told.items())
    leave = Continue(card.uniqueid, event.dialplan, "s")
    return replace(card, phase=Phase.DONE), (*speaks, *variables, leave)


def _welcome(card: Card, event: Balanced) -> Step:
    return _ask(card, Question.CALL, (HAVE, *prompts.amount(event.balance, event.currency)))


def _refused(card: Card, event: Refused) -> Step:
    if event.reason in _FAULTS:
        return _bye(card, LATER, UNAVAILABLE)
    if card.login:  # the balance of a card that was closed meanwhile
        return _bye(card, CANNOT, FORBIDDEN)
    if not card.tries and not card.turn:  # the caller's own number opens none, which is no try
        return _ask(card, Question.NUMBER)
    if card.tries + 1 >= TRIES:
        return _bye(card, WRONG, FORBIDDEN)
    return _ask(replace(card, tries=card.tries + 1), Question.NUMBER, (WRONG,))


def _quoted(card: Card, event: Quoted) -> Step:
    """What a call would last is told, where it is known, and the call is made; its own words say why it may not be."""
    calls = card.calls + 1
    made = Call(
        card.rules,
        card.exchange,
        f"{card.uniqueid}.c{calls}",
        card.login,
        card.keys,
        caller=card.uniqueid,
        caller_name=card.caller_name,
        number=card.shown,
        caller_up=card.caller_up,
        of=card.uniqueid,
    )
    told: tuple[Command, ...] = NOTHING
    if event.seconds is not None:
        turn = card.turn + 1
        sounds = (HAVE, *prompts.duration(event.seconds))
        told = (Play(card.uniqueid, f"{card.uniqueid}-{turn}-card", sounds),)
        card = replace(card, turn=turn)
    return replace(card, phase=Phase.STEP, calls=calls, keys=""), (*told, StartCall(made))


def _step_ended(card: Card, event: StepEnded) -> Step:
    again = SetLimit(card.uniqueid, DIALOGUE_SECONDS)
    if event.word == ANSWERED:
        return replace(card, phase=Phase.ROUTING), (again, AskBalance(card.key, card.login))
    card, asked = _ask(card, Question.CALL, (CANNOT,))
    return card, (again, *asked)


def _up(card: Card, event: Up) -> Step:
    return replace(card, caller_up=True), NOTHING


def _ended(card: Card, event: Leaving | Gone) -> Step:
    return replace(card, phase=Phase.DONE), NOTHING


def _clear(card: Card, cause: int) -> Step:
    card = replace(card, phase=Phase.CLEARING, cause=cause)
    return card, (HangUp(card.uniqueid, cause), StartTimer(Timer.CLEAR, CLEAR_SECONDS, card.turn))


def _hang_up(card: Card, event: HangUpAsked) -> Step:
    return _clear(card, event.cause)


def _clear_timer(card: Card, event: TimerFired) -> Step:
    return (replace(card, phase=Phase.DONE), NOTHING) if event.timer is Timer.CLEAR else (card, NOTHING)


Handler = Callable[[Card, Any], Step]

_RUNNING: Final[dict[type, Handler]] = {Leaving: _ended, Gone: _ended, Up: _up, HangUpAsked: _hang_up}
_PHASES: Final[dict[Phase, dict[type, Handler]]] = {
    Phase.ENTERED: {Entered: _entered},
    Phase.PREPARING: {**_RUNNING, Digit: _ahead, CardKnown: _known, Refused: _refused},
    Phase.PLAYING: {**_RUNNING, Played: _played, Digit: _digit, TimerFired: _digits_over},
    Phase.ROUTING: {**_RUNNING, Digit: _ahead, Quoted: _quoted, Balanced: _welcome, Refused: _refused},
    Phase.AWAY: {Entered: _back, Gone: _ended, TimerFired: _look, HangUpAsked: _hang_up},
    Phase.STEP: {**_RUNNING, StepEnded: _step_ended},
    Phase.CLEARING: {Leaving: _ended, Gone: _ended, TimerFired: _clear_timer},
    Phase.DONE: {},
}
_TABLE: Final[dict[tuple[Phase, type], Handler]] = {
    (phase, event): handler for phase, handlers in _PHASES.items() for event, handler in handlers.items()
}
