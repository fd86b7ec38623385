"""What a call wants done: of its exchange, of the services, of the clock. Said by the core, carried out elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from rating_engine.domain.outcomes import CallKey

if TYPE_CHECKING:
    from agi.ari.call import Call


class Timer(StrEnum):
    """What a call waits for."""

    CREATE = "create"  # the leg that was asked for
    RING = "ring"  # how long it may ring
    SILENCE = "silence"  # ringing, or anything
    LIMIT = "limit"  # the leg's limit is set anew while it rings
    END = "end"  # the exchange's last word on a leg that is ending
    DIGITS = "digits"  # the next key
    AWAY = "away"  # a look for who is in the dialplan
    SAY = "say"  # what a caller is told before it rings
    CLEAR = "clear"  # the rest of a call that is over


@dataclass(frozen=True, slots=True)
class Prepare:
    """Ask whether this attempt may be made; answered by Admitted or Refused."""

    key: CallKey


@dataclass(frozen=True, slots=True)
class PrepareInbound:
    """Ask whether a call to `number` may be taken; answered by Taken or Refused."""

    key: CallKey
    number: str
    caller: str


@dataclass(frozen=True, slots=True)
class AskNext:
    """Ask what is done next with it: from `place` (NUMBER/PLACE) on, where the step before ended so."""

    key: CallKey
    place: str
    caller: str
    status: str
    keys: str


@dataclass(frozen=True, slots=True)
class AskCard:
    """Whose card it is, by its number and PIN, or by the caller's own number; answered by CardKnown or Refused."""

    key: CallKey
    card: str = field(repr=False)
    pin: str = field(repr=False)
    caller: str


@dataclass(frozen=True, slots=True)
class AskBalance:
    """What a login has; answered by Balanced or Refused."""

    key: CallKey
    login: str


@dataclass(frozen=True, slots=True)
class Quote:
    """How long a call of `login` would last; answered by Quoted."""

    key: CallKey
    login: str
    number: str
    caller: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Say how an attempt ended. `at`: when, by the exchange's clock; None: now."""

    key: CallKey
    seconds: int
    word: str
    cause: int
    at: float | None = None


@dataclass(frozen=True, slots=True)
class CreateBridge:
    """A mixing bridge."""

    bridge: str


@dataclass(frozen=True, slots=True)
class CreateLeg:
    """A channel that is not dialled yet. `like`: whose formats it has, '': any. `variables`: set before anything."""

    leg: str
    endpoint: str
    like: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Join:
    """Put channels into a bridge."""

    bridge: str
    channels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dial:
    """Call the endpoint of a leg, for so many seconds."""

    leg: str
    seconds: int


@dataclass(frozen=True, slots=True)
class SetLimit:
    """Let the exchange cut a channel so many seconds after `since` (its clock); None: from now on."""

    channel: str
    seconds: float
    since: float | None = None


@dataclass(frozen=True, slots=True)
class SetVariable:
    """For the dialplan."""

    channel: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer a caller."""

    channel: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End a channel with this cause."""

    channel: str
    cause: int


@dataclass(frozen=True, slots=True)
class DeleteBridge:
    """Behind the end of its channels."""

    bridge: str


@dataclass(frozen=True, slots=True)
class Play:
    """Play sounds, one behind the other, to a channel; `playback` names it. `early`: the channel is not answered."""

    channel: str
    playback: str
    sounds: tuple[str, ...]
    early: bool = False


@dataclass(frozen=True, slots=True)
class StartWaiting:
    """Let a caller hear that somebody rings: the class of `music`, '': the ringing itself. `early`: as of Play."""

    channel: str
    music: str
    early: bool = False


@dataclass(frozen=True, slots=True)
class StopWaiting:
    """Enough of that."""

    channel: str
    music: str


@dataclass(frozen=True, slots=True)
class StopPlay:
    """Enough of it."""

    playback: str


@dataclass(frozen=True, slots=True)
class Continue:
    """The channel goes on in the dialplan, and comes back."""

    channel: str
    context: str
    extension: str


@dataclass(frozen=True, slots=True)
class Look:
    """Whether a channel is there; one that is not is told as Gone."""

    channel: str


@dataclass(frozen=True, slots=True)
class EndStep:
    """What a rule of the call `uniqueid` had ring has ended; for the book."""

    uniqueid: str
    word: str
    cause: int


@dataclass(frozen=True, slots=True)
class StartTimer:
    """TimerFired comes so many seconds later, if the call is at the same attempt; one of the same name is set anew."""

    timer: Timer
    seconds: float
    attempt: int


@dataclass(frozen=True, slots=True)
class StartCall:
    """A further call begins; for the book."""

    call: Call


@dataclass(frozen=True, slots=True)
class EndTransfer:
    """The call `uniqueid` has got `caller` (a leg) in its phone's place; '': it goes on as it was. For the book."""

    uniqueid: str
    caller: str = ""
    name: str = ""


class Transfer(StrEnum):
    """What a phone is told of a transfer; Asterisk's words."""

    PROGRESS = "channel_progress"
    ANSWERED = "channel_answered"
    UNAVAILABLE = "channel_unavailable"
    DECLINED = "channel_declined"


@dataclass(frozen=True, slots=True)
class TellTransfer:
    """How a transfer goes, to the phone that asked for it."""

    channel: str
    state: Transfer


Command = (
    Prepare | Finish | CreateBridge | CreateLeg | Join | Dial | SetLimit | SetVariable | Answer | HangUp | DeleteBridge
    | Play | StartTimer | StartCall | EndTransfer | TellTransfer
    | StartWaiting | StopWaiting
    | PrepareInbound | AskNext | StopPlay | Continue | EndStep | Look | AskCard | AskBalance | Quote
)  # fmt: skip
