"""What an exchange tells of its channels, as few nouns: JSON of Asterisk in, one of these out. No I/O.

Law: what is not known is no error: an unknown type, or one that lacks what it needs, is nothing.
Times are seconds of the exchange's own clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from agi.ari import model

UP: Final = "Up"


@dataclass(frozen=True, slots=True)
class Entered:
    """A channel is ours to steer. `args`: of Stasis(), or of its creation. `replaces`: whose place it takes."""

    channel: str
    at: float
    name: str = ""
    args: tuple[str, ...] = ()
    number: str = ""
    accountcode: str = ""
    up: bool = False
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Ringing:
    """The called side rings."""

    channel: str
    at: float


@dataclass(frozen=True, slots=True)
class Progress:
    """The called side has sound before the answer, or says that it will."""

    channel: str
    at: float


@dataclass(frozen=True, slots=True)
class Up:
    """A channel was answered."""

    channel: str
    at: float


@dataclass(frozen=True, slots=True)
class Leaving:
    """A channel begins to end: it was hung up, or is ours no more."""

    channel: str
    at: float


@dataclass(frozen=True, slots=True)
class Gone:
    """A channel has ended. `at` None: nobody saw when. `cause`: Q.850; `sip`: what SIP said; 0: nothing."""

    channel: str
    at: float | None
    cause: int = 0
    sip: int = 0


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was pressed."""

    channel: str
    digit: str


@dataclass(frozen=True, slots=True)
class Held:
    """A phone holds the call (`held`), or takes it back."""

    channel: str
    held: bool


@dataclass(frozen=True, slots=True)
class Played:
    """What was played has ended; not `whole`: a file is missing, or it was stopped."""

    channel: str
    playback: str
    whole: bool


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """A phone (`channel`) wants whom it talks to (`kept`) to talk to `target`, or to its other call (`other`)."""

    channel: str
    kept: str
    target: str = ""
    other: str = ""
    other_kept: str = ""


@dataclass(frozen=True, slots=True)
class SeatTaken:
    """Somebody else has opened the application: its events go there from now on."""


ExchangeEvent = Entered | Ringing | Progress | Up | Leaving | Gone | Digit | Held | Played | TransferAsked | SeatTaken


def moment_in(text: object) -> float:
    """Asterisk's time 2026-08-01T12:00:00.123+0000 in seconds; 0.0 where it is none."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    except ValueError:
        return 0.0


def read(raw: Mapping[str, Any]) -> ExchangeEvent | None:
    """What an event of an exchange says; None: nothing that is known here."""
    reader = _READERS.get(str(raw.get("type", "")))
    try:
        return None if reader is None else reader(raw, moment_in(raw.get("timestamp")))
    except (KeyError, TypeError):
        return None


def entered(channel: model.Channel, at: float, args: tuple[str, ...], replaces: str = "") -> Entered:
    """The channel as an event or a list has it."""
    return Entered(
        channel["id"],
        at,
        name=channel.get("name", ""),
        args=args,
        number=channel.get("caller", {}).get("number", ""),
        accountcode=channel.get("accountcode", ""),
        up=channel.get("state") == UP,
        replaces=replaces,
    )


def _start(raw: Mapping[str, Any], at: float) -> ExchangeEvent:
    event = cast("model.StasisStart", raw)
    replaced = event.get("replace_channel", {})
    return entered(event["channel"], at, tuple(event["args"]), replaced.get("id", ""))


def _state(raw: Mapping[str, Any], at: float) -> ExchangeEvent | None:
    event = cast("model.ChannelStateChange", raw)
    return Up(event["channel"]["id"], at) if event["channel"]["state"] == UP else None


def _dial(raw: Mapping[str, Any], at: float) -> ExchangeEvent | None:
    event = cast("model.Dial", raw)
    status, leg = event["dialstatus"], event["peer"]["id"]
    if status == "RINGING":
        return Ringing(leg, at)
    return Progress(leg, at) if status == "PROGRESS" else None


def _leaving(raw: Mapping[str, Any], at: float) -> ExchangeEvent:
    return Leaving(raw["channel"]["id"], at)


def _gone(raw: Mapping[str, Any], at: float) -> ExchangeEvent:
    event = cast("model.ChannelDestroyed", raw)
    return Gone(event["channel"]["id"], at, int(event["cause"]), int(event.get("tech_cause") or 0))


def _digit(raw: Mapping[str, Any], at: float) -> ExchangeEvent:
    return Digit(raw["channel"]["id"], str(raw["digit"]))


def _hold(raw: Mapping[str, Any], at: float) -> ExchangeEvent:
    return Held(raw["channel"]["id"], held=raw["type"] == "ChannelHold")


def _played(raw: Mapping[str, Any], at: float) -> ExchangeEvent:
    playback = cast("model.PlaybackFinished", raw)["playback"]
    channel = playback.get("target_uri", "").removeprefix("channel:")
    return Played(channel, playback["id"], whole=playback.get("state") == "done")


def _transfer(raw: Mapping[str, Any], at: float) -> ExchangeEvent | None:
    event = cast("model.ChannelTransfer", raw)
    if event.get("state"):  # what the phone has been told by us
        return None
    by, to = event["referred_by"], event["refer_to"]
    wanted = to.get("requested_destination", {})
    more = [str(one.get("parameter_name", "")).lower() for one in wanted.get("additional_protocol_params", ())]
    return TransferAsked(
        by["source_channel"]["id"],
        by.get("connected_channel", {}).get("id", ""),
        # A call that it replaces and that is not known here is at another exchange.
        target="" if "replaces" in more else wanted.get("destination", ""),
        other=to.get("destination_channel", {}).get("id", ""),
        other_kept=to.get("connected_channel", {}).get("id", ""),
    )


def _taken(raw: Mapping[str, Any], at: float) -> ExchangeEvent:
    return SeatTaken()


_READERS: Final[Mapping[str, Callable[[Mapping[str, Any], float], ExchangeEvent | None]]] = {
    "StasisStart": _start,
    "StasisEnd": _leaving,
    "ChannelStateChange": _state,
    "ChannelHangupRequest": _leaving,
    "ChannelDestroyed": _gone,
    "Dial": _dial,
    "ChannelDtmfReceived": _digit,
    "ChannelHold": _hold,
    "ChannelUnhold": _hold,
    "PlaybackFinished": _played,
    "ChannelTransfer": _transfer,
    "ApplicationReplaced": _taken,
}
