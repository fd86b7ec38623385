"""What stands before the HTTP protocol of each connection: limits, deadlines, and who gives way.

uvicorn reads HTTP and speaks ASGI; what a client that is slow, silent or greedy may take is decided here, from the
bytes on their way to it and from when an answer begins and ends. Laws: a request's header has a size and a deadline,
counted from the connection or the last answer, however it is cut; nothing a client asks before it has its answer
(pipelining) is looked at: that connection ends with the answer; where all places are taken, the connection that has
waited longest without a request gives way to a new one, and only if all are being answered is the new one refused.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Final, cast

REQUEST_SECONDS: Final = 10.0  # from the connection, or the last answer, to the end of a request's header
LAST_REQUEST_SECONDS: Final = 2.0  # for what is under way to a stopping server, sent a second time by TCP if need be
STALLED_SECONDS: Final = 10.0  # a client that takes nothing of its answer for so long has gone
HEADER_BYTES_MAX: Final = 16_384  # request line and headers; what common proxies allow

# As h11 reads it: bare line feeds end lines too.
_HEADER_END: Final = re.compile(rb"\n\r?\n")
_HAS_BODY: Final = re.compile(rb"^(?:content-length:[ \t]*0*[1-9]|transfer-encoding:)", re.IGNORECASE | re.MULTILINE)
_REFUSAL: Final = b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

Address = tuple[str, int]


class Gate:
    """The open connections of one server, and how many there may be."""

    def __init__(
        self,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        max_connections: int,
        is_banned: Callable[[str], bool] = lambda address: False,
    ) -> None:
        """`make_protocol` makes what reads HTTP on a connection."""
        self.is_banned = is_banned
        self.make_protocol = make_protocol
        self.stopping = False
        self.refused = 0  # connections for which there was no place
        self.gave_way = 0  # and those that made place
        self._max_connections = max_connections
        self._open: dict[Address, GatedConnection] = {}
        self._waiting: dict[GatedConnection, None] = {}  # those without a request, longest waiting first
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def at(self, client: Address) -> GatedConnection | None:
        """The connection of this client, as ASGI names it."""
        return self._open.get(client)

    def admit(self, connection: GatedConnection) -> bool:
        """Whether there is a place for it."""
        if len(self._open) >= self._max_connections:
            if not self._waiting:
                self.refused += 1
                return False
            self.gave_way += 1
            longest = next(iter(self._waiting))
            self.release(longest)  # its transport says so a moment later
            longest.abort()
        self._open[connection.client] = connection
        self._empty.clear()
        return True

    def release(self, connection: GatedConnection) -> None:
        """It is over; one that had no place is none of ours."""
        self._waiting.pop(connection, None)
        if self._open.get(connection.client) is connection:
            del self._open[connection.client]
            if not self._open:
                self._empty.set()

    def waits(self, connection: GatedConnection, waiting: bool) -> None:
        """Say whether a connection has no request."""
        self._waiting.pop(connection, None)
        if waiting:
            self._waiting[connection] = None

    async def stop(self) -> None:
        """Each connection gets one more answer, to what is asked or under way; returns when none is left."""
        self.stopping = True
        for connection in list(self._open.values()):
            connection.make_last()
        await self._empty.wait()

    def abort(self) -> None:
        """End every connection at once."""
        for connection in list(self._open.values()):
            connection.abort()


class GatedConnection(asyncio.Protocol):
    """One connection: passes on what may pass, and ends what may not stay."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._protocol: asyncio.Protocol | None = None  # while bytes are passed on to it
        self._transport: asyncio.Transport | None = None
        self._head = bytearray()  # of a header that is not complete
        self._running = False  # a request's header was passed on, and its answer is not complete
        self._has_body = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self.client: Address = ("", 0)
        self.is_last = False  # this answer is the connection's last

    # -- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted."""
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        self.client = (str(peer[0]), int(peer[1])) if peer else ("", id(self))
        if self._gate.is_banned(self.client[0]):
            self._refuse(b"403 Forbidden")
            return
        if not self._gate.admit(self):
            self._refuse(b"503 Service Unavailable")
            return
        self._protocol = self._gate.make_protocol()
        self._protocol.connection_made(transport)
        self._expect_request(LAST_REQUEST_SECONDS if self._gate.stopping else REQUEST_SECONDS)

    def data_received(self, data: bytes) -> None:
        """Bytes of a header, of a body, or of what nobody has asked for."""
        if self._protocol is None:
            return
        if not self._running:
            self._take_header(data)
        elif self._has_body:
            self._protocol.data_received(data)
        else:
            self._ignore(data)

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._protocol.eof_received() if self._protocol is not None else None

    def pause_writing(self) -> None:
        """The client takes its answer slowly."""
        if self._protocol is not None:
            self._protocol.pause_writing()
        if self._stalled is None:
            self._stalled = asyncio.get_running_loop().call_later(STALLED_SECONDS, self.abort)

    def resume_writing(self) -> None:
        """It has taken some."""
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
        if self._protocol is not None:
            self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone."""
        self._stop_waiting()
        if self._stalled is not None:
            self._stalled.cancel()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(exc)
        self._gate.release(self)

    # -- what is said of the answers

    @property
    def has_body(self) -> bool:
        """Whether the request that runs has a body."""
        return self._has_body

    def begin(self) -> None:
        """A request runs. One whose header was not seen here came behind the body of another: it is the last."""
        self.is_last = self.is_last or self._gate.stopping or not self._running
        self._running = True
        self._stop_waiting()

    def answered(self) -> None:
        """Its answer is complete."""
        self._running = False
        if not self.is_last:
            self._expect_request(REQUEST_SECONDS)
        elif self._transport is not None and not self._transport.is_closing():
            self._expect_request(LAST_REQUEST_SECONDS)  # uvicorn closes it; this is for the case that it does not

    def make_last(self) -> None:
        """The server stops: one more answer."""
        self.is_last = True
        if not self._running:
            self._expect_request(LAST_REQUEST_SECONDS)

    def abort(self) -> None:
        """End it at once."""
        if self._transport is not None:
            self._transport.abort()

    # -- steps

    def _take_header(self, data: bytes) -> None:
        """Pass on a header as it comes, but never more than the limit, nor what comes behind it unasked."""
        if not self._head:
            data = data.lstrip(b"\r\n")  # some clients send an empty line too much behind a body
        seen = len(self._head)
        self._head += data
        end = _HEADER_END.search(self._head, max(0, seen - 2))
        length = end.end() if end else len(self._head)
        if length > HEADER_BYTES_MAX:
            self._refuse(b"431 Request Header Fields Too Large")
            return
        passed = data
        if end:
            self._has_body = _HAS_BODY.search(self._head, 0, length) is not None
            self._head.clear()
            self._running = True
            self._gate.waits(self, False)
            if not self._has_body:
                passed = data[: length - seen]
                self._ignore(data[length - seen :])
        if self._protocol is not None and passed:
            self._protocol.data_received(passed)

    def _ignore(self, data: bytes) -> None:
        if data.strip(b"\r\n"):
            self.is_last = True

    def _refuse(self, status: bytes) -> None:
        """Answer so, and close; nothing that comes after it is read as HTTP."""
        protocol, self._protocol = self._protocol, None
        self._head.clear()
        if self._transport is not None:
            self._transport.write(_REFUSAL % status)
            self._transport.close()
        if protocol is not None:
            protocol.connection_lost(None)

    def _expect_request(self, seconds: float) -> None:
        self._stop_waiting()
        if self._transport is not None and not self._transport.is_closing():
            self._gate.waits(self, True)
            self._deadline = asyncio.get_running_loop().call_later(seconds, self.abort)

    def _stop_waiting(self) -> None:
        self._gate.waits(self, False)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
