"""What an exchange is asked: a command of the core as one request of Asterisk's REST interface. No I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from agi.ari.commands import (
    Answer,
    Command,
    Continue,
    CreateBridge,
    CreateLeg,
    DeleteBridge,
    Dial,
    HangUp,
    Join,
    Look,
    Play,
    SetLimit,
    SetVariable,
    StartWaiting,
    StopPlay,
    StopWaiting,
    TellTransfer,
)
from agi.ari.model import EVENT_TYPES

LIMIT = "TIMEOUT(absolute)"
LIMIT_WITHIN_SECONDS = 1.0  # it is read back a moment after it was set
LEAST_SECONDS = 0.05  # Asterisk takes 0 as no limit; the call ends as good as now


@dataclass(frozen=True, slots=True)
class Request:
    """One request: what goes behind the path, and its body as JSON; None: none."""

    method: str
    uri: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None


def requests_of(command: Command, application: str, *, seconds_left: float = 0.0) -> tuple[Request, ...]:
    """The requests that carry out a command, in order; none of what no exchange is asked.

    `application`: whose the made channels are. `seconds_left`: of a SetLimit, from now on.
    """
    match command:
        case CreateBridge(bridge):
            return (Request("POST", f"bridges/{bridge}", {"type": "mixing"}),)
        case CreateLeg(leg, endpoint, like, variables):
            query = {"endpoint": endpoint, "app": application, "appArgs": "leg", "channelId": leg}
            if like:
                query["originator"] = like
            return (Request("POST", "channels/create", query, {"variables": variables}),)
        case Join(bridge, channels):
            return (Request("POST", f"bridges/{bridge}/addChannel", {"channel": ",".join(channels)}),)
        case Dial(leg, seconds):
            return (Request("POST", f"channels/{leg}/dial", {"timeout": str(seconds)}),)
        case SetLimit(channel):
            return (set_variable(channel, LIMIT, f"{max(seconds_left, LEAST_SECONDS):.3f}"),)
        case SetVariable(channel, name, value):
            return (set_variable(channel, name, value),)
        case Answer(channel):
            return (Request("POST", f"channels/{channel}/answer"),)
        case HangUp(channel, cause):
            return (Request("DELETE", f"channels/{channel}", {"reason_code": str(cause)}),)
        case DeleteBridge(bridge):
            return (Request("DELETE", f"bridges/{bridge}"),)
        case Play(channel, playback, sounds, early):
            media = ",".join(sound if ":" in sound else f"sound:{sound}" for sound in sounds)
            play = Request("POST", f"channels/{channel}/play/{playback}", {"media": media})
            return (Request("POST", f"channels/{channel}/progress"), play) if early else (play,)
        case Look(channel):
            return (Request("GET", f"channels/{channel}"),)
        case StartWaiting(channel, music, early):
            if not music:
                return (Request("POST", f"channels/{channel}/ring"),)
            hold = Request("POST", f"channels/{channel}/moh", {"mohClass": music})
            return (Request("POST", f"channels/{channel}/progress"), hold) if early else (hold,)
        case StopWaiting(channel, music):
            return (Request("DELETE", f"channels/{channel}/{'moh' if music else 'ring'}"),)
        case StopPlay(playback):
            return (Request("DELETE", f"playbacks/{playback}"),)
        case Continue(channel, context, extension):
            where = {"context": context, "extension": extension, "priority": "1"}
            return (Request("POST", f"channels/{channel}/continue", where),)
        case TellTransfer(channel, state):
            return (Request("POST", f"channels/{channel}/transfer_progress", {"states": state.value}),)
    return ()


def is_other_limit(said: str, seconds: float) -> bool:
    """Whether what an exchange says is left of a limit that was just set is not that."""
    found = re.fullmatch(r"\d+(\.\d+)?", said)
    return found is None or abs(float(said) - max(seconds, LEAST_SECONDS)) > LIMIT_WITHIN_SECONDS


def set_variable(channel: str, name: str, value: str) -> Request:
    """Set a variable or a function of a channel."""
    return Request("POST", f"channels/{channel}/variable", {"variable": name, "value": value})


def variable(channel: str, name: str) -> Request:
    """Ask for one: of several a missing one would hide the others."""
    return Request("GET", f"channels/{channel}/variable", {"variable": name})


def event_filter(application: str) -> Request:
    """Let an application be told of what is read here alone."""
    allowed = [{"type": each} for each in EVENT_TYPES]
    return Request("PUT", f"applications/{application}/eventFilter", body={"allowed": allowed})
