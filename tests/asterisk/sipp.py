"""SIPp, of Debian's sip-tester, beside an exchange: many callers at once, and a carrier whose trace is kept.

The carrier's trace is what it wrote of the messages it sent and had: when it answered each call, and when each ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from tests.asterisk.exchange import Exchange

SCENARIOS: Final = Path(__file__).with_name("sipp")
SECONDS: Final = 60  # no run takes longer than some seconds
PROGRAM: Final = "sipp"
TRACE: Final = "trace.log"  # of the carrier
_MESSAGE: Final = re.compile(r"^-{5,} (\S+)\nUDP message (sent|received)[^\n]*\n\n(.*?)(?=^-{5,} |\Z)", re.M | re.S)
_INVITE: Final = re.compile(r"INVITE sip:(\d+)@")
_CALL: Final = re.compile(r"^Call-ID:\s*(\S+)", re.M | re.I)
_CSEQ: Final = re.compile(r"^CSeq:\s*\d+ (\w+)", re.M | re.I)


@dataclass(frozen=True)
class Talk:
    """One call of the trace, in seconds of the carrier's clock."""

    answered: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.answered


class Sipp:
    """SIPp in an exchange's root, its files in the exchange's spool."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def talk(
        self,
        login: str,
        number: str,
        *,
        port: int,
        calls: int,
        a_second: int,
        together: int,
        seconds: float,
        trace: str = "",
    ) -> asyncio.subprocess.Process:
        """Begin to dial: so many in all, a second and at a time; who is answered talks so long, and hangs up.

        `trace`: the file of its messages; then each call has a number of its own, `number` and how many were before.
        """
        traced: list[str] = []
        if trace:
            traced = ["-trace_msg", "-message_file", str(self._exchange.spool_inside / trace)]
        longest = int(calls / a_second + 10 * seconds) + SECONDS
        return await self._start(
            "talker", f"127.0.0.1:{port}", "-s", number, "-key", "login", login, "-m", str(calls), "-r", str(a_second),
            "-l", str(together), "-d", str(int(seconds * 1000)), "-timeout", str(longest), *traced,
            numbered=bool(trace),
        )  # fmt: skip

    async def call(self, login: str, number: str, *, port: int, calls: int, together: int) -> int:
        """Dial so many times, so many a second, and wait until all are over; return the exit code."""
        process = await self._start(
            "caller", f"127.0.0.1:{port}", "-s", number, "-key", "login", login, "-m", str(calls), "-r", str(together),
            "-l", str(calls), "-timeout", str(SECONDS),
        )  # fmt: skip
        return await asyncio.wait_for(process.wait(), SECONDS)

    @contextlib.asynccontextmanager
    async def carrier(self, port: int, scenario: str = "carrier") -> AsyncIterator[None]:
        """A carrier at that port, until the end of the block."""
        trace = self._exchange.spool_inside / TRACE
        process = await self._start(scenario, "-p", str(port), "-trace_msg", "-message_file", str(trace))
        try:
            yield
        finally:
            process.kill()
            await process.wait()

    def invites(self, trace: str, way: str) -> dict[str, float]:
        """When the first INVITE to each number was `sent` or `received`, by a trace, in seconds of its clock."""
        found: dict[str, float] = {}
        for at, went, message in _MESSAGE.findall((self._exchange.spool / trace).read_text()):
            if went == way and (asked := _INVITE.match(message)) is not None:
                found.setdefault(asked[1], datetime.fromisoformat(at).timestamp())
        return found

    def talks(self) -> list[Talk]:
        """The calls of the carrier's trace that were answered and have ended."""
        answered: dict[str, float] = {}
        ended: dict[str, float] = {}
        for at, way, message in _MESSAGE.findall((self._exchange.spool / TRACE).read_text()):
            call, method = _CALL.search(message), _CSEQ.search(message)
            if call is None or method is None:
                continue
            moment = datetime.fromisoformat(at).timestamp()
            if way == "sent" and message.startswith("SIP/2.0 200") and method.group(1) == "INVITE":
                answered.setdefault(call.group(1), moment)
            elif way == "received" and message.startswith("BYE"):
                ended.setdefault(call.group(1), moment)
        return [Talk(answered[each], ended[each]) for each in answered if each in ended]

    async def _start(self, scenario: str, *arguments: str, numbered: bool = False) -> asyncio.subprocess.Process:
        name = f"{scenario}.xml"
        text = (SCENARIOS / name).read_text()
        self._exchange.give(name, text.replace("[service]", "[service][call_number]") if numbered else text)
        command = [PROGRAM, "-sf", str(self._exchange.spool_inside / name), "-i", "127.0.0.1", "-nostdin", *arguments]
        return await asyncio.create_subprocess_exec(
            *self._exchange.beside(*command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=self._exchange.spool,
        )
