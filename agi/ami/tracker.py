"""Manager events in, knowledge of calls out. No I/O, no clock.

Laws: a call is answered when its called party answers, not when the caller's own channel is up: a menu may have
answered that before. What is not known is not guessed. Everything kept is bounded.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rating_engine.domain.watching import LiveChannel, SeenCall

CHANNELS_MAX: Final = 100_000  # that live; an exchange carries some thousands
ENDED_KEPT: Final = 50_000  # minutes of the busiest exchange; a finish that is missing is looked for within one
ANSWERS_KEPT: Final = 10_000  # not yet fetched, and as many ends; fetched every second
ANSWERED: Final = "ANSWER"  # DialStatus of the one who took the call


@dataclass(slots=True)
class _Channel:
    uniqueid: str
    name: str
    since: float
    called: str = ""  # uniqueid of the channel that answered this one's Dial
    called_name: str = ""
    answered_at: float | None = None
    ended_at: float | None = None  # of the conversation: the called side may leave first
    cause: int = 0
    over: bool = False
    last_seen: float | None = None  # where its end was not seen
    caller: str = ""  # uniqueid of the channel whose Dial this one answered

    def seen(self) -> SeenCall:
        return SeenCall(
            uniqueid=self.uniqueid,
            channel=self.name,
            called_channel=self.called_name,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            cause=self.cause,
            alive=not self.over,
            last_seen=self.last_seen,
        )

    def end(self, at: float | None, cause: int) -> bool:
        """Its conversation is over, since `at` where that is known; the first end counts. Whether all was heard."""
        if self.over:
            return False
        self.over, self.ended_at, self.cause = True, at, cause
        return at is not None and self.answered_at is not None


class ChannelTracker:
    """The channels of one exchange."""

    def __init__(self) -> None:
        self._live: dict[str, _Channel] = {}
        self._ended: OrderedDict[str, SeenCall] = OrderedDict()
        self._answers: deque[SeenCall] = deque(maxlen=ANSWERS_KEPT)
        self._ends: deque[SeenCall] = deque(maxlen=ANSWERS_KEPT)

    def feed(self, event: Mapping[str, object], at: float) -> None:
        """Take one event, heard at the moment `at`; events that say nothing of a call are passed over."""
        match _text(event, "Event"):
            case "Newchannel":
                self._channel(_text(event, "Uniqueid"), _text(event, "Channel"), at)
            case "Rename":
                self._rename(_text(event, "Uniqueid"), _text(event, "Newname"))
            case "DialBegin":
                self._dialled(event, at)
            case "DialEnd":
                if _text(event, "DialStatus") == ANSWERED:
                    self._answered(event, at)
            case "Hangup":
                self._hung_up(event, at)

    def compare(self, channels: Iterable[LiveChannel], asked_at: float, heard_until: float | None = None) -> None:
        """Take the whole list of channels that live, asked for at that moment: who is not in it is gone.

        When it ended is not known then, but that it lived at `heard_until`, when the exchange was heard last before it
        was lost; None: it was not lost.
        """
        listed = {channel.uniqueid: channel for channel in channels}
        for uniqueid, channel in list(self._live.items()):
            if uniqueid not in listed and channel.since < asked_at:
                channel.last_seen = None if heard_until is None or heard_until < channel.since else heard_until
                self._end(channel, None, 0)
        for uniqueid, line in listed.items():
            self._channel(uniqueid, line.channel, asked_at)
            self._rename(uniqueid, line.channel)

    def seen(self, uniqueid: str) -> SeenCall | None:
        """What is known of a channel, also for a while after its end; None: it was never seen."""
        channel = self._live.get(uniqueid)
        return channel.seen() if channel is not None else self._ended.get(uniqueid)

    def take_answers(self) -> list[SeenCall]:
        """The calls answered since this was asked last."""
        answers = list(self._answers)
        self._answers.clear()
        return answers

    def take_ends(self) -> list[SeenCall]:
        """The conversations whose answer and end were both heard, that have ended since this was asked last."""
        ends = list(self._ends)
        self._ends.clear()
        return ends

    def _channel(self, uniqueid: str, name: str, at: float) -> _Channel | None:
        channel = self._live.get(uniqueid)
        if channel is None and uniqueid and len(self._live) < CHANNELS_MAX:
            channel = self._live[uniqueid] = _Channel(uniqueid, name, at)
        return channel

    def _rename(self, uniqueid: str, name: str) -> None:
        """A channel's name may change (a transfer); those who talk to it have to know."""
        channel = self._live.get(uniqueid)
        if channel is None or channel.name == name or not name:
            return
        channel.name = name
        caller = self._live.get(channel.caller)
        if caller is not None and caller.called == uniqueid:
            caller.called_name = name

    def _dialled(self, event: Mapping[str, object], at: float) -> None:
        channel = self._channel(_text(event, "Uniqueid"), _text(event, "Channel"), at)
        if channel is not None and channel.over:  # another attempt after one that was answered
            channel.called = channel.called_name = ""
            channel.answered_at = channel.ended_at = None
            channel.cause, channel.over, channel.last_seen = 0, False, None

    def _answered(self, event: Mapping[str, object], at: float) -> None:
        channel = self._channel(_text(event, "Uniqueid"), _text(event, "Channel"), at)
        called = self._channel(_text(event, "DestUniqueid"), _text(event, "DestChannel"), at)
        if channel is None or called is None or channel.called == called.uniqueid:
            return
        channel.called, channel.called_name, channel.answered_at = called.uniqueid, called.name, at
        channel.ended_at, channel.over = None, False
        called.caller = channel.uniqueid
        self._answers.append(channel.seen())

    def _hung_up(self, event: Mapping[str, object], at: float) -> None:
        uniqueid = _text(event, "Uniqueid")
        cause = _cause(_text(event, "Cause"))
        channel = self._live.get(uniqueid)
        if channel is not None:
            self._end(channel, at, cause)
        elif uniqueid and uniqueid not in self._ended:
            self._end(_Channel(uniqueid, _text(event, "Channel"), at), at, cause)

    def _end(self, channel: _Channel, at: float | None, cause: int) -> None:
        """The channel is gone, and with it the conversation of whoever had called it."""
        self._live.pop(channel.uniqueid, None)
        caller = self._live.get(channel.caller)
        if caller is not None and caller.called == channel.uniqueid:
            if caller.end(at, cause):
                self._ends.append(caller.seen())
            caller.last_seen = channel.last_seen
        if channel.end(at, cause):
            self._ends.append(channel.seen())
        self._ended[channel.uniqueid] = channel.seen()
        if len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)


def _text(event: Mapping[str, object], key: str) -> str:
    """A field of an event, '' where it is missing or was said twice."""
    value = event.get(key, "")
    return value if isinstance(value, str) else ""


def _cause(text: str) -> int:
    """A hangup cause; 0 where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
