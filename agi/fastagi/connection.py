"""One connection of an Asterisk: read a request, run its script, write one command, read the reply, close.

Laws:
- every state has a deadline, so no peer holds a connection for longer than the limits say; and where there is no room
  for a new connection, the one that has been silent longest, or is half way through its request, gives way to it;
- whatever a peer does costs at most one log line and never the loop;
- a script that has begun runs to its end, its client there or not: a finish is money, and half a prepare is worse
  than a whole one. When the answer of an allowed call can't be written any more, its reservation is given back.
  Once it is written, the call may start, so the reservation stays, even if no reply follows.
"""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Final, Protocol

import structlog

from agi.fastagi.command import render_mset
from agi.fastagi.deadlines import Deadlines
from agi.fastagi.errors import Abnormal, ProtocolError
from agi.fastagi.limits import Limits
from agi.fastagi.reply import DONE, Hangup, Reply, ReplyParser
from agi.fastagi.request import AgiRequest, RequestParser, whole_request
from agi.fastagi.scripts import Answer, ChargingService, Script, Variables, find_script
from rating_engine.domain.errors import InvalidRequest, Overloaded, Unavailable
from rating_engine.domain.outcomes import DeclineReason

SHOWN_REPLY: Final = 200  # characters of an unexpected reply in the log; a usage text is longer
SHOWN_FIELD: Final = 128  # of a field that may be what is wrong with a request; the longest that is taken

_log = structlog.get_logger(__name__)


class State(IntEnum):
    """Where a connection is. Numbers, because they are looked up several times a call."""

    READING = 1  # the request is not complete
    WORKING = 2  # the service is asked
    REPLYING = 3  # the command is written, Asterisk's reply is due
    OVER = 4  # closed by us or lost: nothing is waited for


# A module's names: one of an enum costs three times as much to look up, 30 times a call (2 us).
READING: Final = State.READING
WORKING: Final = State.WORKING
REPLYING: Final = State.REPLYING
OVER: Final = State.OVER


class Host(Protocol):
    """What a connection needs of its server."""

    service: ChargingService
    limits: Limits

    def admit(self, connection: Connection, peername: object) -> str | None:
        """The peer's address when it may speak; None when it was refused, logged and counted."""
        ...

    def count(self, reason: Abnormal) -> None:
        """Count a connection that ended abnormally."""
        ...

    def release(self, connection: Connection) -> None:
        """The connection is lost and its script has ended."""
        ...


class Connection(asyncio.Protocol):
    """See the module. Made by the server for each accepted socket."""

    __slots__ = (
        "_deadlines",
        "_host",
        "_logged",
        "_loop",
        "_parser",
        "_replies",
        "_script",
        "_state",
        "_transport",
        "lost",
        "peer",
        "task",
    )

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop, deadlines: Deadlines[State, Connection]) -> None:
        self._host = host
        self._deadlines = deadlines
        self._loop = loop
        self._parser: RequestParser | None = None  # made for requests that do not come whole
        self._replies: ReplyParser | None = None  # made for replies that are not the usual one
        self._state: State = OVER
        self._transport: asyncio.Transport | None = None
        self._script: Script | None = None
        self._logged = False
        self.lost = False  # the transport is gone
        self.peer = ""
        self.task: asyncio.Task[None] | None = None  # the running script; named for the script

    # -- what asyncio calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted: admit its peer or close at once."""
        self._transport = transport  # type: ignore[assignment]  # a socket's: one that is written to
        peer = self._host.admit(self, transport.get_extra_info("peername"))
        if peer is None:
            self.abort()
            return
        self.peer = peer
        self._enter(READING)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived: of the request, or of Asterisk's replies."""
        if self._state is REPLYING and data == DONE and self._replies is None:
            self._close()  # how nearly every call ends
            return
        try:
            if self._state is READING:
                data = self._read(data)
            if data:
                self._take_replies(data)
        except ProtocolError as error:
            self._end(Abnormal(error.code), detail=str(error))

    def eof_received(self) -> None:
        """The peer closed its half: Asterisk never does, so the transport closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, by us or by the peer."""
        self.lost = True
        if self._state is READING:
            self._end(Abnormal.CLOSED_EARLY, bytes=self._received)
        elif self._state is WORKING:  # and stays so until the script has ended, for which nobody waits now
            self._deadlines.move(self, WORKING, OVER)
        elif self._state is REPLYING:
            self._end(Abnormal.CLOSED_WITHOUT_REPLY)
        if self.task is None:
            self._host.release(self)

    # -- states ---------------------------------------------------------------------------------------------

    def _enter(self, state: State) -> None:
        """Go to `state`; the time to leave it again is counted by the server."""
        before, self._state = self._state, state
        self._deadlines.move(self, before, state)

    def overdue(self) -> None:
        """The time to leave its state is up."""
        if self._state is READING:
            self._end(Abnormal.REQUEST_TIMEOUT, bytes=self._received)
        elif self._state is WORKING and self._script is not None:
            self._line(Abnormal.SERVICE_TIMEOUT, script=self._script.name)
            self._write(self._script.refuse(DeclineReason.UNAVAILABLE))
        elif self._state is REPLYING:
            self._end(Abnormal.REPLY_TIMEOUT)

    def give_way(self) -> None:
        """Its request is not complete, and another connection needs the place: gone at once. The server says so."""
        self._logged = True
        self._enter(OVER)
        self.abort()

    def _read(self, data: bytes) -> bytes:
        """Bytes of the request, whose script begins when it is complete; what stands behind it."""
        limits = self._host.limits.request
        if self._parser is None:
            request = whole_request(data, limits)
            if request is not None:
                self._begin(request)
                return b""
            self._parser = RequestParser(limits)
        request = self._parser.feed(data)
        if request is None:
            return b""
        self._begin(request)
        return self._parser.rest

    @property
    def _received(self) -> int:
        """Bytes of a request that is not complete."""
        return 0 if self._parser is None else self._parser.received

    def _begin(self, request: AgiRequest) -> None:
        self._script = script = find_script(request.script)
        self._enter(WORKING)
        self.task = self._loop.create_task(self._work(request, script), name=script.name)

    async def _work(self, request: AgiRequest, script: Script) -> None:
        try:
            try:
                answer = await script.run(request, self.peer, self._host.service)
            except Exception as error:
                answer = Answer(script.refuse(self._said(error, request, script)))
            if self._state is WORKING and not (self.lost or self._is_closing()):
                self._write(answer.variables)
            else:
                await self._undelivered(script, answer)
        except Exception as error:
            self._fault("fastagi_internal", error)
            self.abort()
        finally:
            self.work_ended()

    def work_ended(self) -> None:
        """The script has ended, or was cut before it began; harmless to say twice."""
        self.task = None
        if self.lost:
            self._host.release(self)

    def _is_closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _said(self, error: Exception, request: AgiRequest, script: Script) -> DeclineReason:
        """A fault of a script: one log line here, and the stable reason for Asterisk."""
        match error:
            case InvalidRequest():
                self._line(
                    Abnormal.BAD_REQUEST, script=script.name, field=error.field, detail=error.problem,
                    **_call_of(request),
                )  # fmt: skip
                return DeclineReason.BAD_REQUEST
            case Overloaded():
                self._line(Abnormal.OVERLOADED, script=script.name, detail=str(error), **_call_of(request))
                return DeclineReason.OVERLOADED
            case Unavailable():
                self._line(Abnormal.UNAVAILABLE, script=script.name, detail=str(error), **_call_of(request))
                return DeclineReason.UNAVAILABLE
        self._fault("fastagi_internal", error)
        return DeclineReason.INTERNAL

    async def _undelivered(self, script: Script, answer: Answer) -> None:
        """The answer found nobody: give an allowed call's reservation back; charged stays charged."""
        key = answer.reserved
        abandoned = None if key is None else str(key)
        self._line(Abnormal.CLOSED_BEFORE_ANSWER, script=script.name, abandoned=abandoned)
        if key is None:
            return
        try:
            await self._host.service.abandon_call(key, answer.login, answer.claim)
        except Exception as error:
            self._fault("fastagi_abandon_failed", error, call_key=abandoned)

    def _write(self, variables: Variables) -> None:
        if self._transport is not None:
            self._enter(REPLYING)
            self._transport.write(render_mset(variables))

    def _take_replies(self, data: bytes) -> None:
        if self._replies is None:
            self._replies = ReplyParser()
        for event in self._replies.feed(data):
            if isinstance(event, Hangup) or self._state is OVER:
                continue  # a channel whose caller has gone still takes our variables, for its hangup handler
            if self._state is WORKING:
                self._end(Abnormal.UNEXPECTED_REPLY, detail=f"{event.code} before any command")
            else:
                self._close_after(event)

    def _close_after(self, reply: Reply) -> None:
        if not reply.succeeded:
            detail = f"{reply.code} {reply.result} {reply.text}"[:SHOWN_REPLY]
            self._line(Abnormal.COMMAND_REFUSED, detail=detail)
        self._close()

    def _close(self) -> None:
        """All is said: close once what was written has left."""
        self._enter(OVER)
        if self._transport is not None:
            self._transport.close()

    def _end(self, reason: Abnormal, **details: object) -> None:
        """The one way out of an abnormal connection: one line, and the socket is gone at once."""
        self._line(reason, **details)
        self._enter(OVER)
        self.abort()

    def abort(self) -> None:
        """Drop the socket; a script that runs goes on."""
        if self._transport is not None:
            self._transport.abort()

    def _line(self, reason: Abnormal, **details: object) -> None:
        """The connection's one log line, and its count; silent when it had one."""
        if self._logged:
            return
        self._logged = True
        self._host.count(reason)
        shown = {key: value for key, value in details.items() if value is not None}
        _log.warning("fastagi_connection", reason=reason.value, peer=self.peer, **shown)

    def _fault(self, event: str, error: BaseException, **details: object) -> None:
        """A fault of ours: its class and traceback in the log, never on the wire."""
        self._logged = True
        self._host.count(Abnormal.INTERNAL)
        script = self._script.name if self._script else ""
        _log.error(event, peer=self.peer, script=script, error=type(error).__name__, exc_info=error, **details)


def _call_of(request: AgiRequest) -> dict[str, str]:
    """Whose call a refused request was, as far as it says, cut to what a log line takes."""
    login, number, *_ = [*(value.strip() for value in request.arguments), "", ""]
    said = {
        "channel": request.channel,
        "login": login or request.accountcode,
        "number": number or request.extension,
    }
    return {name: value[:SHOWN_FIELD] for name, value in said.items() if value}
