"""What Asterisk tells over its REST interface: names and types, made by tests/asterisk/ari_model.py.

Not written by hand. Any field may be missing: releases differ, and what is not here is not looked at.
"""

from __future__ import annotations

from typing import Any, Final, TypedDict

# What an application asks to be told of: without a filter one call is four times as many events.
EVENT_TYPES: Final = (
    "ApplicationReplaced",
    "ChannelDestroyed",
    "ChannelDtmfReceived",
    "ChannelHangupRequest",
    "ChannelHold",
    "ChannelStateChange",
    "ChannelTransfer",
    "ChannelUnhold",
    "Dial",
    "PlaybackFinished",
    "StasisEnd",
    "StasisStart",
)


class AdditionalParam(TypedDict, total=False):
    """AdditionalParam."""

    parameter_name: str
    parameter_value: str


class ApplicationReplaced(TypedDict, total=False):
    """ApplicationReplaced."""

    application: str
    asterisk_id: str
    timestamp: str
    type: str


class Bridge(TypedDict, total=False):
    """Bridge."""

    bridge_class: str
    bridge_type: str
    bridgevars: Any
    channels: list[str]
    creationtime: str
    creator: str
    id: str
    name: str
    technology: str
    video_mode: str
    video_source_id: str


class CallerID(TypedDict, total=False):
    """CallerID."""

    name: str
    number: str


class Channel(TypedDict, total=False):
    """Channel."""

    accountcode: str
    caller: CallerID
    caller_rdnis: str
    channelvars: Any
    connected: CallerID
    creationtime: str
    dialplan: DialplanCEP
    id: str
    language: str
    name: str
    protocol_id: str
    state: str
    tenantid: str


class ChannelDestroyed(TypedDict, total=False):
    """ChannelDestroyed."""

    application: str
    asterisk_id: str
    cause: int
    cause_txt: str
    channel: Channel
    tech_cause: int
    timestamp: str
    type: str


class ChannelDtmfReceived(TypedDict, total=False):
    """ChannelDtmfReceived."""

    application: str
    asterisk_id: str
    channel: Channel
    digit: str
    duration_ms: int
    timestamp: str
    type: str


class ChannelHangupRequest(TypedDict, total=False):
    """ChannelHangupRequest."""

    application: str
    asterisk_id: str
    cause: int
    channel: Channel
    soft: bool
    tech_cause: int
    timestamp: str
    type: str


class ChannelHold(TypedDict, total=False):
    """ChannelHold."""

    application: str
    asterisk_id: str
    channel: Channel
    musicclass: str
    timestamp: str
    type: str


class ChannelStateChange(TypedDict, total=False):
    """ChannelStateChange."""

    application: str
    asterisk_id: str
    channel: Channel
    timestamp: str
    type: str


class ChannelTransfer(TypedDict, total=False):
    """ChannelTransfer."""

    application: str
    asterisk_id: str
    refer_to: ReferTo
    referred_by: ReferredBy
    state: str
    timestamp: str
    type: str


class ChannelUnhold(TypedDict, total=False):
    """ChannelUnhold."""

    application: str
    asterisk_id: str
    channel: Channel
    timestamp: str
    type: str


class Dial(TypedDict, total=False):
    """Dial."""

    application: str
    asterisk_id: str
    caller: Channel
    dialstatus: str
    dialstring: str
    forward: str
    forwarded: Channel
    peer: Channel
    timestamp: str
    type: str


class DialplanCEP(TypedDict, total=False):
    """DialplanCEP."""

    app_data: str
    app_name: str
    context: str
    exten: str
    priority: int


class Playback(TypedDict, total=False):
    """Playback."""

    id: str
    language: str
    media_uri: str
    next_media_uri: str
    state: str
    target_uri: str


class PlaybackFinished(TypedDict, total=False):
    """PlaybackFinished."""

    application: str
    asterisk_id: str
    playback: Playback
    timestamp: str
    type: str


class RESTResponse(TypedDict, total=False):
    """RESTResponse."""

    content_type: str
    message_body: str
    reason_phrase: str
    request_id: str
    status_code: int
    transaction_id: str
    uri: str


class ReferTo(TypedDict, total=False):
    """ReferTo."""

    bridge: Bridge
    connected_channel: Channel
    destination_channel: Channel
    requested_destination: RequiredDestination


class ReferredBy(TypedDict, total=False):
    """ReferredBy."""

    bridge: Bridge
    connected_channel: Channel
    source_channel: Channel


class RequiredDestination(TypedDict, total=False):
    """RequiredDestination."""

    additional_protocol_params: list[AdditionalParam]
    destination: str
    protocol_id: str


class StasisEnd(TypedDict, total=False):
    """StasisEnd."""

    application: str
    asterisk_id: str
    channel: Channel
    timestamp: str
    type: str


class StasisStart(TypedDict, total=False):
    """StasisStart."""

    application: str
    args: list[str]
    asterisk_id: str
    channel: Channel
    replace_channel: Channel
    timestamp: str
    type: str
