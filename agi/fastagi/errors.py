"""What can go wrong with a connection, each with a stable code: the `reason` of its log line and metric."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

from rating_engine.domain.errors import RatingEngineError

SHOWN_BYTES: Final = 32  # of an offender's bytes in its log line: enough to recognise a protocol, too few to flood

_HTTP_STARTS: Final = (b"GET", b"POST", b"PUT", b"HEAD", b"OPTIONS", b"CONNECT", b"DELETE", b"PRI", b"TRACE")
_TLS_HANDSHAKE: Final = b"\x16"
_TLS_MAJOR_VERSION: Final = b"\x03"


class Abnormal(StrEnum):
    """Every way a connection is refused or ends other than well. Bounded, so it may label a metric."""

    # refused when it was accepted
    NETWORK_NOT_ALLOWED = "network_not_allowed"
    BANNED = "banned"
    TOO_MANY_CONNECTIONS = "too_many_connections"
    GAVE_WAY = "gave_way"  # its request was not complete, and a new connection needed the place
    # the peer broke the protocol: the codes of the ProtocolErrors below
    NOT_AGI = "not_agi"
    BAD_HEADER = "bad_header"
    LINE_TOO_LONG = "line_too_long"
    HEADERS_TOO_LARGE = "headers_too_large"
    TOO_MANY_HEADERS = "too_many_headers"
    TOO_MANY_ARGUMENTS = "too_many_arguments"
    BAD_REPLY = "bad_reply"
    REPLY_TOO_LARGE = "reply_too_large"
    UNEXPECTED_REPLY = "unexpected_reply"  # a reply before any command
    # the peer left or stalled
    CLOSED_EARLY = "closed_early"  # before its request was complete
    CLOSED_BEFORE_ANSWER = "closed_before_answer"  # the script ran, nobody was there to be told
    CLOSED_WITHOUT_REPLY = "closed_without_reply"  # the answer was written, no reply came
    REQUEST_TIMEOUT = "request_timeout"
    REPLY_TIMEOUT = "reply_timeout"
    COMMAND_REFUSED = "command_refused"  # Asterisk did not carry our command out
    # the request was read and could not be served; Asterisk was told
    BAD_REQUEST = "bad_request"
    UNAVAILABLE = "unavailable"
    OVERLOADED = "overloaded"
    SERVICE_TIMEOUT = "service_timeout"
    INTERNAL = "internal"


class ProtocolError(RatingEngineError):
    """The peer broke the protocol. Base of the classes below; the connection is of no further use."""

    code: ClassVar[str] = "protocol_error"


class NotAgi(ProtocolError):
    """What the peer speaks is not AGI: a line does not start with `agi_`."""

    code = "not_agi"

    def __init__(self, start: bytes) -> None:
        self.start = bytes(start[:SHOWN_BYTES])
        super().__init__(f"starts like {self.looks_like}: {self.start!r}")

    @property
    def looks_like(self) -> str:
        """`http`, `tls` or `unknown`: a guess for the log from the bytes that had arrived."""
        if self.start.startswith(_TLS_HANDSHAKE) and self.start[1:2] in (b"", _TLS_MAJOR_VERSION):
            return "tls"
        if self.start.startswith(_HTTP_STARTS):
            return "http"
        return "unknown"


class BadHeader(ProtocolError):
    """A line starts like a header and is none, a header came twice, or an argument out of order."""

    code = "bad_header"


class LineTooLong(ProtocolError):
    """A header line is longer than the limit; said as soon as the limit is passed, not at the line's end."""

    code = "line_too_long"


class HeadersTooLarge(ProtocolError):
    """The header block as a whole is larger than the limit."""

    code = "headers_too_large"


class TooManyHeaders(ProtocolError):
    """More header lines than the limit."""

    code = "too_many_headers"


class TooManyArguments(ProtocolError):
    """More script arguments than the limit."""

    code = "too_many_arguments"


class ClosedEarly(ProtocolError):
    """The peer closed before the blank line that ends a request."""

    code = "closed_early"


class BadReply(ProtocolError):
    """A line where Asterisk's reply to a command is due is neither a reply nor HANGUP."""

    code = "bad_reply"


class ReplyTooLarge(ProtocolError):
    """A reply line, or a reply of several lines, is larger than the limit."""

    code = "reply_too_large"
