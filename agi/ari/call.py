"""A call as the core knows it: its state, what it goes by, what it is told besides events of channels. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from agi.ari.charged import charged_seconds
from agi.ari.commands import Timer
from agi.ari.events import Digit, Entered, Gone, Held, Leaving, Played, Progress, Ringing, TransferAsked, Up
from rating_engine.domain.outcomes import NO_ORIGIN, CallKey, DeclineReason, InboundStep, Origin


class Phase(StrEnum):
    """Where a call stands."""

    ENTERED = "entered"
    PREPARING = "preparing"
    ROUTING = "routing"  # of one that came in: its rules are asked
    STEP = "step"  # what a rule has ring is a call of its own
    PLAYING = "playing"  # the caller is told something
    AWAY = "away"  # the dialplan does something, and comes back
    CREATING = "creating"
    DIALLING = "dialling"
    ALERTING = "alerting"
    TALKING = "talking"
    CLEARING = "clearing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class CallRules:
    """What every call goes by. Seconds; `tolerance_ms`: of a begun second, before it is charged.

    `technology`: of trunks. `announcements`: sounds by the reason of a refusal, '' for every other. `low_balance`: the
    sound that a caller hears before it rings, whose balance is low. `transfers`: whether phones may transfer calls.
    """

    technology: str = "PJSIP"
    attempts: int = 3
    ring_seconds: int = 60
    silence_seconds: int = 8
    caller_margin_seconds: int = 10
    tolerance_ms: int = 200
    early_media: bool = True
    announcements: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    low_balance: str = ""
    transfers: bool = True

    def seconds_between(self, answered: float, ended: float) -> int:
        """What is charged of a conversation."""
        return charged_seconds(round((ended - answered) * 1000), self.tolerance_ms)


@dataclass(frozen=True, slots=True)
class Then:
    """The second call of a callback: its money is held already, by the key of `uniqueid`."""

    uniqueid: str
    dialled: str


@dataclass(frozen=True, slots=True)
class Call:
    """One caller and whom he is put through to. Times are of the exchange's clock.

    `uniqueid`, with `attempt`, is the call's key at the exchange `exchange`. `caller` '': nobody called, the exchange
    does. `leg`: the channel that is charged, '' between two attempts; `granted`: the seconds it may last. `owed`: an
    attempt was allowed and its end is not told. `left_at`: when the leg began to end. `silent`: the route was given up
    since it said nothing. `caller_pays`: the caller's channel is the leg of another call, which minds its limit.
    `then`: whom the leg is to talk to, once it is answered. Of a call that is made for a transfer, `moving` is the
    phone that asked for it, and `moves` the call (by its uniqueid) whose leg it is to have; that one is `transferring`
    to it until then. `of`: the call or calling card that it is a step of, which has the caller again when it ends; and
    his limit besides, unless this one `minds` it. `endpoint`: what is dialled; '': what is admitted, for money.
    `waiting`: the class of music that the caller hears until the answer, '': ringing; None: what the far end plays.
    `announced`: what he is told in words, before `admitted` is dialled or a refused call ends.
    """

    rules: CallRules
    exchange: str
    uniqueid: str
    login: str
    dialled: str
    caller: str = ""
    caller_name: str = ""
    number: str = ""
    phase: Phase = Phase.ENTERED
    attempt: int = 0
    leg: str = ""
    bridge: str = ""
    joined: bool = False
    granted: int = 0
    owed: bool = False
    answered_at: float | None = None
    left_at: float | None = None
    cause: int = 0
    caller_up: bool = False
    caller_gone: bool = False
    rang: bool = False
    silent: bool = False
    announced: str = ""
    admitted: Admitted | None = None
    clear_tries: int = 0
    leg_name: str = ""
    caller_pays: bool = False
    then: Then | None = None
    origin: Origin = NO_ORIGIN
    pitch: str = ""
    moving: str = ""
    moves: str = ""
    of: str = ""
    minds: bool = True
    endpoint: str = ""
    waiting: str | None = None
    transferring: str = ""
    transfers: int = 0

    @property
    def key(self) -> CallKey:
        """Of the attempt that is made, or was made last."""
        return CallKey(self.exchange, self.uniqueid, max(self.attempt, 1))

    @property
    def leg_id(self) -> str:
        """The name of this attempt's leg: nobody else has it, and it says whose it is."""
        return leg_id(self.uniqueid, self.attempt, FREE_MARK if self.endpoint else LEG_MARK)

    @property
    def minds_caller(self) -> bool:
        """Whether its caller's limit is this call's to set."""
        return bool(self.caller) and not self.caller_pays and self.minds

    @property
    def hears_warning(self) -> bool:
        """Whether its caller is a phone of who pays, as of a callback; not the other side of a call that was moved."""
        return not self.caller_pays or self.origin != NO_ORIGIN

    @property
    def is_did(self) -> str:
        """By which number it came in: by none."""
        return ""

    @property
    def bridge_id(self) -> str:
        """The name of its bridge."""
        return f"{BRIDGE_MARK}{self.uniqueid}-{self.attempt}"

    @property
    def channels(self) -> tuple[str, ...]:
        """Whose events are this call's."""
        return tuple(each for each in (self.caller, self.leg) if each)


LEG_MARK = "r-"  # no channel of Asterisk begins so
FREE_MARK = "x-"  # of a leg that nobody pays for by itself
BRIDGE_MARK = "rb-"


def leg_id(uniqueid: str, attempt: int, mark: str) -> str:
    """The name of an attempt's leg."""
    return f"{mark}{uniqueid}-{attempt}"


def leg_of(channel: str) -> tuple[str, int] | None:
    """Of which uniqueid and attempt a channel is the leg; None: it is none of ours."""
    uniqueid, _, attempt = channel[len(LEG_MARK) :].rpartition("-")
    if not channel.startswith((LEG_MARK, FREE_MARK)) or not uniqueid or not attempt.isdecimal():
        return None
    return uniqueid, int(attempt)


@dataclass(frozen=True, slots=True)
class Admitted:
    """The attempt may be made: its money is held. `seconds`: how long it may last. `low_balance`: its caller is to hear
    first that little is left, by the sound that its user has chosen, '': that of the rules."""

    key: CallKey
    seconds: int
    destination: str
    callerid: str
    route_prefix: str
    route_name: str
    low_balance: bool = False
    low_balance_sound: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt may not be made."""

    key: CallKey
    reason: DeclineReason


@dataclass(frozen=True, slots=True)
class Taken:
    """A call that came in by `number` may be taken, and `login` pays for so many seconds of it."""

    login: str
    number: str
    seconds: int


@dataclass(frozen=True, slots=True)
class NextStep:
    """What is done next with a call that came in."""

    step: InboundStep


@dataclass(frozen=True, slots=True)
class NoStep:
    """No rule is left."""


@dataclass(frozen=True, slots=True)
class StepEnded:
    """How what a rule had ring has ended, in the word of DIALSTATUS."""

    word: str
    cause: int


@dataclass(frozen=True, slots=True)
class CardKnown:
    """Number and PIN are a card's: it calls by `login`, showing `callerid`, and has so much.

    `language`: of what is said, '': the channel's. `external`, `dialplan`: as of domain.outcomes.CardAdmitted.
    """

    login: str
    balance: Decimal
    currency: str
    callerid: str
    language: str = ""
    external: bool = False
    dialplan: str = ""


@dataclass(frozen=True, slots=True)
class Balanced:
    """What a card has now."""

    balance: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Quoted:
    """How long a call would last; None: it is said when it is asked for whether it may be made."""

    seconds: int | None


@dataclass(frozen=True, slots=True)
class Failed:
    """A leg could not be made, or not be dialled; nothing else is heard of it, or not soon."""

    leg: str


@dataclass(frozen=True, slots=True)
class Granted:
    """The call may last so many seconds from its answer now, and its exchange has been told."""

    seconds: int


@dataclass(frozen=True, slots=True)
class HangUpAsked:
    """Somebody ends the call: who pays has nothing left, or a person wants it."""

    cause: int = 16


@dataclass(frozen=True, slots=True)
class Begin:
    """The exchange is to call: nobody has."""


@dataclass(frozen=True, slots=True)
class Transferring:
    """The caller's phone wants the other side to talk to somebody else; the call `to` looks for him."""

    to: str


@dataclass(frozen=True, slots=True)
class Transferred:
    """The other side talks to another channel now, the leg of a call that is paid for; '': nobody was found."""

    caller: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class TimerFired:
    """What was waited for has not come, in this attempt."""

    timer: Timer
    attempt: int


CallEvent = (
    Entered | Ringing | Progress | Up | Leaving | Gone | Digit | Held | Played | TransferAsked
    | Admitted | Refused | Failed | Granted | HangUpAsked | TimerFired
    | Begin | Transferring | Transferred
    | Taken | NextStep | NoStep | StepEnded | CardKnown | Balanced | Quoted
)  # fmt: skip
