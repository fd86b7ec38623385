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
from typing import Final, Protocol, cast

import structlog

from agi.fastagi import fields
from agi.fastagi.command import render_mset
from agi.fastagi.deadlines import Deadlines
from agi.fastagi.errors import Abnormal, ProtocolError
from agi.fastagi.limits import Limits
from agi.fastagi.reply import DONE, Hangup, Reply, ReplyParser
from agi.fastagi.request import AgiRequest, RequestParser
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


class Host(Protocol):
    """What a connection needs of its server."""

    service: ChargingService
    limits: Limits

    @property
    def deadlines(self) -> Deadlines[State, Connection]:
        """Of the open connections, by their state."""
        ...

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

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self._host = host
        self._deadlines = host.deadlines
        self._loop = loop
        self._parser = RequestParser(host.limits.request)
        self._replies: ReplyParser | None = None  # made for replies that are not the usual one
        self._state = State.OVER
        self._transport: asyncio.Transport | None = None
        self._script: Script | None = None
        self._logged = False
        self.lost = False  # the transport is gone
        self.peer = ""
        self.task: asyncio.Task[None] | None = None  # the running script; named for the script

    # -- what asyncio calls ---------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A socket was accepted: admit its peer or close at once."""
        self._transport = cast(asyncio.Transport, transport)
        peer = self._host.admit(self, transport.get_extra_info("peername"))
        if peer is None:
            self._transport.abort()
            return
        self.peer = peer
        self._enter(State.READING)

    def data_received(self, data: bytes) -> None:
        """Bytes arrived: of the request, or of Asterisk's replies."""
        if data == DONE and self._state is State.REPLYING and self._replies is None:
            self._close()  # how nearly every call ends
            return
        try:
            if self._state is State.READING:
                request = self._parser.feed(data)
                if request is None:
                    return
                self._begin(request)
                data = self._parser.rest
            if data:
                self._take_replies(data)
        except ProtocolError as error:
            self._end(Abnormal(error.code), detail=str(error))

    def eof_received(self) -> None:
        """The peer closed its half: Asterisk never does, so the transport closes."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The transport is gone, by us or by the peer."""
        self.lost = True
        if self._state is State.READING:
            self._end(Abnormal.CLOSED_EARLY, bytes=self._parser.received)
        elif self._state is State.WORKING:  # and stays so until the script has ended, for which nobody waits now
            self._deadlines.move(self, State.WORKING, State.OVER)
        elif self._state is State.REPLYING:
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
        if self._state is State.READING:
            self._end(Abnormal.REQUEST_TIMEOUT, bytes=self._parser.received)
        elif self._state is State.WORKING and self._script is not None:
            self._line(Abnormal.SERVICE_TIMEOUT, script=self._script.name)
            self._write(self._script.refuse(DeclineReason.UNAVAILABLE))
        elif self._state is State.REPLYING:
            self._end(Abnormal.REPLY_TIMEOUT)

    def give_way(self) -> None:
        """Its request is not complete, and another connection needs the place: gone at once. The server says so."""
        self._logged = True
        self._enter(State.OVER)
        self.abort()

    def _begin(self, request: AgiRequest) -> None:
        self._script = find_script(request.script)
        self._enter(State.WORKING)
        self.task = self._loop.create_task(self._work(request, self._script), name=self._script.name)

    async def _work(self, request: AgiRequest, script: Script) -> None:
        try:
            answer = await self._answer(request, script)
            if self._state is State.WORKING and not self._gone():
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

    def _gone(self) -> bool:
        return self.lost or self._transport is None or self._transport.is_closing()

    async def _answer(self, request: AgiRequest, script: Script) -> Answer:
        """What to set, whatever the script does; a fault is one log line here and a stable reason for Asterisk."""
        try:
            return await script.run(request, self.peer, self._host.service)
        except InvalidRequest as error:
            self._line(
                Abnormal.BAD_REQUEST, script=script.name, field=error.field, detail=error.problem, **_call_of(request)
            )
            return Answer(script.refuse(DeclineReason.BAD_REQUEST))
        except Overloaded as error:
            self._line(Abnormal.OVERLOADED, script=script.name, detail=str(error), **_call_of(request))
            return Answer(script.refuse(DeclineReason.OVERLOADED))
        except Unavailable as error:
            self._line(Abnormal.UNAVAILABLE, script=script.name, detail=str(error), **_call_of(request))
            return Answer(script.refuse(DeclineReason.UNAVAILABLE))
        except Exception as error:
            self._fault("fastagi_internal", error)
            return Answer(script.refuse(DeclineReason.INTERNAL))

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
            self._enter(State.REPLYING)
            self._transport.write(render_mset(variables))

    def _take_replies(self, data: bytes) -> None:
        if self._replies is None:
            self._replies = ReplyParser()
        for event in self._replies.feed(data):
            if isinstance(event, Hangup) or self._state is State.OVER:
                continue  # a channel whose caller has gone still takes our variables, for its hangup handler
            if self._state is State.WORKING:
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
        self._enter(State.OVER)
        if self._transport is not None:
            self._transport.close()

    def _end(self, reason: Abnormal, **details: object) -> None:
        """The one way out of an abnormal connection: one line, and the socket is gone at once."""
        self._line(reason, **details)
        self._enter(State.OVER)
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
    said = {
        "channel": request.channel,
        "login": fields.argument(request, 0) or request.accountcode,
        "number": fields.argument(request, 1) or request.extension,
    }
    return {name: value[:SHOWN_FIELD] for name, value in said.items() if value}
