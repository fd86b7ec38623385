"""A FastAGI client that speaks as Asterisk 22 does: for the command line, the demo, tests and load.

It sends the header block of a real Asterisk, reads our commands by Asterisk's rules, answers each as Asterisk
answers, and collects the variables it was told to set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, cast

from agi.fastagi.command import MAX_COMMAND_BYTES
from agi.fastagi.dialplan_syntax import mset_variables, split_command
from rating_engine.domain.errors import RatingEngineError

CALL_SECONDS: Final = 10.0  # for connecting, asking and the answer together; an engine that works takes milliseconds
MAX_COMMANDS: Final = 100  # an engine that sends more in one call is not ours

_HEADERS: Final = """\
agi_network: yes
agi_network_script: {script}
agi_request: agi://{host}:{port}/{script}
agi_channel: PJSIP/{channel}-00000001
agi_language: en
agi_type: PJSIP
agi_uniqueid: {uniqueid}
agi_version: 22.10.1
agi_callerid: {callerid}
agi_calleridname: unknown
agi_callingpres: 0
agi_callingani2: 0
agi_callington: 0
agi_callingtns: 0
agi_dnid: {dnid}
agi_rdnis: unknown
agi_context: rating
agi_extension: {extension}
agi_priority: 2
agi_enhanced: 0.0
agi_accountcode: {accountcode}
agi_threadid: 139882319587008
"""


class CallFailedError(RatingEngineError):
    """The engine gave no answer: unreachable, closed, too slow, or no AGI. The message says which."""

    code = "agi_call_failed"
    retryable = True


class Channel:
    """The channel side of AGI: carries a command out, answers as Asterisk, keeps the variables."""

    def __init__(self) -> None:
        self.variables: dict[str, str] = {}

    def execute(self, line: str) -> str:
        """Asterisk's reply to one command line, without line ends."""
        words = split_command(line)
        verb = " ".join(words[:2]).upper()
        if verb == "EXEC MSET":
            self.variables.update(mset_variables(words[2] if len(words) > 2 else ""))
            return "200 result=0"
        if words and words[0].upper() == "EXEC":
            return "200 result=-2"  # Asterisk: could not find the application
        if verb == "SET VARIABLE" and len(words) == 4:
            self.variables[words[2]] = words[3]
            return "200 result=1"
        if verb == "GET VARIABLE" and len(words) == 3:
            value = self.variables.get(words[2])
            return "200 result=0" if value is None else f"200 result=1 ({value})"
        if words and words[0].upper() in ("NOOP", "VERBOSE"):
            return "200 result=1" if words[0].upper() == "VERBOSE" else "200 result=0"
        return "510 Invalid or unknown command"


def render_request(
    host: str,
    port: int,
    script: str,
    arguments: Sequence[str],
    *,
    uniqueid: str,
    accountcode: str = "",
    callerid: str = "",
    extension: str = "",
) -> bytes:
    """The header block Asterisk 22 sends. Raises ValueError where a value holds a line end."""
    headers = _HEADERS.format(
        host=host,
        port=port,
        script=script,
        channel=accountcode or "test",
        uniqueid=uniqueid,
        callerid=callerid or "unknown",
        dnid=extension or "unknown",
        extension=extension or "s",
        accountcode=accountcode,
    )
    lines = [headers, *(f"agi_arg_{index}: {value}\n" for index, value in enumerate(arguments, 1)), "\n"]
    block = "".join(lines)
    expected = headers.count("\n") + len(arguments) + 1
    if "\r" in block or block.count("\n") != expected or headers.count("\n") != _HEADERS.count("\n"):
        raise ValueError("a header's value holds a line end")
    return block.encode()


async def agi_call(
    host: str,
    port: int,
    script: str,
    args: Sequence[str] = (),
    *,
    uniqueid: str,
    accountcode: str = "",
    callerid: str = "",
    extension: str = "",
    timeout: float = CALL_SECONDS,
) -> dict[str, str]:
    """Run one script (`callPrepare`, `callFinish?exchange=pbx1` ...) and return the variables it set.

    Raises CallFailedError when no variable was set: not reachable, closed without an answer, not within
    `timeout` seconds, or not an AGI command.
    """
    block = render_request(
        host,
        port,
        script,
        args,
        uniqueid=uniqueid,
        accountcode=accountcode,
        callerid=callerid,
        extension=extension,
    )
    loop = asyncio.get_running_loop()
    call = _Call(block, loop.create_future())
    transport: asyncio.BaseTransport | None = None
    try:
        async with asyncio.timeout(timeout):
            transport, _ = await loop.create_connection(lambda: call, host, port)
            return await call.answered
    except TimeoutError:
        raise CallFailedError(f"{script}: no answer from {host}:{port} within {timeout:g} s") from None
    except OSError as error:
        raise CallFailedError(f"{script}: {host}:{port} is not reachable: {error}") from error
    finally:
        if transport is not None:
            transport.close()


class _Call(asyncio.Protocol):
    """One connection: its request goes out at once, `answered` holds the variables when the engine closes."""

    def __init__(self, request: bytes, answered: asyncio.Future[dict[str, str]]) -> None:
        self.answered = answered
        self._request = request
        self._channel = Channel()
        self._buffer = b""
        self._commands = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by shape, not by class
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._commands += 1
            if len(line) + 1 > MAX_COMMAND_BYTES or self._commands > MAX_COMMANDS:
                self._fail("the engine sent more than Asterisk would take")
                return
            reply = self._channel.execute(line.decode("utf-8", errors="replace"))
            if self._transport is not None:
                self._transport.write(reply.encode() + b"\n")
        if len(self._buffer) > MAX_COMMAND_BYTES:
            self._fail("the engine sent more than Asterisk would take")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.answered.done():
            return
        if self._channel.variables:
            self.answered.set_result(self._channel.variables)
        else:
            self._fail("the engine closed without an answer; its log says why")

    def _fail(self, problem: str) -> None:
        if not self.answered.done():
            self.answered.set_exception(CallFailedError(problem))
        if self._transport is not None:
            self._transport.abort()
