"""A small SIP phone with sound, on loopback: it dials, answers, refuses, forwards, holds and transfers.

Law: what a leg notes of itself is the other side's trace: a test says by it what should have been charged.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final
from urllib.parse import quote

from tests.asterisk.sip_message import Message, describe, sound_port, tag_of, uri_of, user_of
from tests.asterisk.sound import HOST, Sound

PATIENCE_SECONDS: Final = 5.0  # nothing waited for here takes longer than a few
POLL_SECONDS: Final = 0.02
STEADY: Final = 0.7  # of a second: by the shipped tolerance of 200 ms a charge steps at 0.2


class Phone(asyncio.DatagramProtocol):
    """`async with Phone(name, port of the exchange)`. Its sound is its own, so that who hears whom is known.

    `on_call` is what it does when it is called; as it comes it answers at once. `calls`: every leg it ever had.
    """

    _voices = itertools.cycle(range(1, 250))

    def __init__(self, name: str, exchange_port: int) -> None:
        self.name = name
        self.exchange = (HOST, exchange_port)
        self.voice = next(self._voices)
        self.calls: list[Leg] = []
        self.messages: list[tuple[str, str]] = []  # from whom, and what they said
        self.on_call: Callable[[Leg], Awaitable[None]] = Leg.answer
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((HOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self._transport: asyncio.DatagramTransport | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Phone:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=self._socket)
        return self

    async def __aexit__(self, *_: object) -> None:
        for leg in self.calls:
            leg.sound.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transport is not None:
            self._transport.close()
        await asyncio.sleep(0)  # transports close in a turn of the loop

    async def call(self, number: str) -> Leg:
        """Dial; the leg is returned as soon as it is asked for."""
        leg = Leg(self, f"{uuid.uuid4().hex}@{HOST}", number=number)
        self.calls.append(leg)
        leg.local = f"<sip:{self.name}@{HOST}:{self.port}>;tag={uuid.uuid4().hex[:8]}"
        leg.remote = f"<sip:{number}@{HOST}:{self.exchange[1]}>"
        leg.target = f"sip:{number}@{HOST}:{self.exchange[1]}"
        await leg.listen()
        leg.send("INVITE", describe(leg.sound.port))
        return leg

    async def next_call(self) -> Leg:
        """Wait until somebody calls whom no test has looked at yet; return the leg once it is answered."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                for leg in self.calls:
                    if leg.incoming and not leg.seen and leg.answered_at is not None:
                        leg.seen = True
                        return leg
                await asyncio.sleep(POLL_SECONDS)

    def spawn(self, work: Awaitable[None]) -> None:
        """Run beside; cancelled with the phone."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def put(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(message.encode(), self.exchange)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not data.strip():
            return  # a keep-alive
        message = Message.parse(data)
        leg = next((leg for leg in self.calls if leg.call_id == message.get("call-id")), None)
        if message.status:
            if leg is not None:
                leg.take_answer(message)
        elif leg is not None:
            leg.take_request(message)
        elif message.method == "INVITE":
            self._ring(message)
        elif message.method == "MESSAGE":
            self.messages.append((user_of(message.get("from")), message.body))
            self.put(answer_to(message, 200))
        else:
            self.put(answer_to(message, 200 if message.method == "OPTIONS" else 481))

    def _ring(self, invite: Message) -> None:
        leg = Leg(self, invite.get("call-id"), number=user_of(invite.start), incoming=True)
        leg.invite = invite
        leg.caller = user_of(invite.get("from"))
        leg.local = f"{invite.get('to')};tag={uuid.uuid4().hex[:8]}"
        leg.remote = invite.get("from")
        leg.target = uri_of(invite.get("contact"))
        leg.sound.remote_port = sound_port(invite.body)
        self.calls.append(leg)
        self.put(answer_to(invite, 100))
        self.spawn(self.on_call(leg))


class Leg:
    """One call of a phone. Moments are of time.monotonic()."""

    def __init__(self, phone: Phone, call_id: str, *, number: str, incoming: bool = False) -> None:
        self.phone, self.call_id, self.number, self.incoming = phone, call_id, number, incoming
        self.local = self.remote = self.target = self.caller = ""
        self.invite: Message | None = None
        self.seen = False
        self.answers: list[int] = []  # to the INVITE that began it
        self.ringing_tag = ""
        self.answered_at: float | None = None
        self.ended_at: float | None = None
        self.ended_by_us = False
        self.said: list[str] = []  # how a transfer went, as NOTIFY told
        self.sound = Sound(phone.voice, self._note)
        self._cseq = 0
        self._last_invite = 0
        self._branches: dict[int, str] = {}
        self._finals: dict[int, asyncio.Future[Message]] = {}
        self._news = asyncio.Event()

    # -- what a person does

    async def answer(self) -> None:
        """Take the call."""
        await self.listen()
        assert self.invite is not None
        if self.ended_at is None:
            self.answered_at = time.monotonic()
            self._reply(self.invite, 200, describe(self.sound.port))
            self._note()

    async def ring(self) -> None:
        """Let it ring, and do nothing more."""
        assert self.invite is not None
        self._reply(self.invite, 180)

    async def play_early(self) -> None:
        """Sound before the answer (183)."""
        await self.listen()
        assert self.invite is not None
        self._reply(self.invite, 183, describe(self.sound.port))

    async def refuse(self, status: int, contact: str = "") -> None:
        """Say no; 302 with the number that it is forwarded to."""
        assert self.invite is not None
        self.ended_at = time.monotonic()
        extra = (("contact", f"<sip:{contact}@{HOST}:{self.phone.exchange[1]}>"),) if contact else ()
        self.phone.put(answer_to(self.invite, status, tag=tag_of(self.local), extra=extra))
        self._note()

    async def hang_up(self) -> None:
        """Put the phone down: BYE, or CANCEL while it still rings."""
        if self.ended_at is not None:
            return
        self.ended_by_us = True
        if self.answered_at is None and not self.incoming:
            self.send("CANCEL", cseq=self._last_invite)
            return
        self._end()
        self.send("BYE")

    async def talk(self, seconds: float) -> None:
        """People talk for so long."""
        await asyncio.sleep(seconds)

    async def talk_on(self, at_least: float = 1.7) -> None:
        """Talk until so long has passed since the answer, and on to where a charge is the same some tenths later."""
        until = math.ceil(max(at_least, self.talked) - STEADY) + STEADY
        await asyncio.sleep(until - self.talked)

    async def hold(self) -> None:
        """Put the other side on hold."""
        self.sound.silent = True
        await self._ask("INVITE", describe(self.sound.port, "sendonly"))

    async def resume(self) -> None:
        """Take it back."""
        self.sound.silent = False
        await self._ask("INVITE", describe(self.sound.port))

    async def transfer(self, number: str) -> int:
        """Transfer blind (REFER); return the answer to it."""
        return await self._refer(f"<sip:{number}@{HOST}:{self.phone.exchange[1]}>")

    async def transfer_to(self, other: Leg) -> int:
        """Connect whom this leg talks to with whom the other one does, or still rings (REFER with Replaces)."""
        replaces = f"{other.call_id};to-tag={tag_of(other.remote) or other.ringing_tag};from-tag={tag_of(other.local)}"
        return await self._refer(f"<{other.target}?Replaces={quote(replaces, safe='')}>")

    async def press(self, keys: str) -> None:
        """Press keys one after the other (RFC 4733); each has its time, so that many are not too many."""
        for key in keys:
            self.sound.keys.append(key)
            await self._until(lambda: not self.sound.keys)

    # -- what is waited for

    async def answered(self) -> Leg:
        await self._until(lambda: self.answered_at is not None or self.ended_at is not None)
        assert self.answered_at is not None, f"refused: {self.answers}"
        return self

    async def ended(self) -> Leg:
        await self._until(lambda: self.ended_at is not None)
        return self

    async def rings(self) -> Leg:
        await self._until(lambda: 180 in self.answers)
        return self

    async def hears(self, other: Phone) -> None:
        """Wait until sound of another phone arrives from now on."""
        before = self.sound.heard.get(other.voice, 0)
        await self._until(lambda: self.sound.heard.get(other.voice, 0) > before + 2)

    async def hears_keys(self, keys: str) -> None:
        """Wait until the other side has pressed these, and no others."""
        await self._until(lambda: self.sound.heard_keys == keys)

    @property
    def talked(self) -> float:
        """How long it was answered; so far, while it is."""
        assert self.answered_at is not None
        return (self.ended_at or time.monotonic()) - self.answered_at

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def _note(self) -> None:
        self._news.set()

    # -- SIP

    def send(self, method: str, body: str = "", *, extra: tuple[tuple[str, str], ...] = (), cseq: int = 0) -> int:
        """Send a request within the dialog (or the one that begins it); return its number."""
        if not cseq:
            self._cseq += 1
            cseq = self._cseq
            self._branches[cseq] = f"z9hG4bK{uuid.uuid4().hex[:12]}"
        if method == "INVITE":
            self._last_invite = cseq
        branch = self._branches[cseq]
        headers = [
            ("via", f"SIP/2.0/UDP {HOST}:{self.phone.port};branch={branch};rport"),
            ("max-forwards", "70"),
            ("from", self.local),
            ("to", self.remote),
            ("call-id", self.call_id),
            ("cseq", f"{cseq} {method}"),
            ("contact", f"<sip:{self.phone.name}@{HOST}:{self.phone.port}>"),
            *extra,
        ]
        if body:
            headers.append(("content-type", "application/sdp"))
        self.phone.put(Message(f"{method} {self.target} SIP/2.0", tuple(headers), body))
        return cseq

    async def _ask(self, method: str, body: str = "", *, extra: tuple[tuple[str, str], ...] = ()) -> Message:
        """Send a request and wait for its final answer."""
        cseq = self.send(method, body, extra=extra)
        self._finals[cseq] = asyncio.get_running_loop().create_future()
        return await asyncio.wait_for(self._finals[cseq], PATIENCE_SECONDS)

    async def _refer(self, to: str) -> int:
        return (await self._ask("REFER", extra=(("refer-to", to), ("referred-by", self.local.split(";")[0])))).status

    def take_answer(self, message: Message) -> None:
        number, method = int(message.get("cseq").split()[0]), message.method
        if method == "INVITE" and message.status >= 200:
            self._acknowledge(message, number)
        first = method == "INVITE" and self.answered_at is None and not self.incoming
        if first:
            self._take_first_answer(message)
        future = self._finals.get(number)
        if message.status >= 200 and future is not None and not future.done():
            future.set_result(message)
        self._note()

    def _take_first_answer(self, message: Message) -> None:
        self.answers.append(message.status)
        self.ringing_tag = tag_of(message.get("to"))
        if (port := sound_port(message.body)) is not None:
            self.sound.remote_port = port
        if message.status >= 300:
            self.remote = message.get("to")
            self._end()
        elif message.status >= 200:
            self.remote = message.get("to")
            self.target = uri_of(message.get("contact")) or self.target
            self.answered_at = time.monotonic()

    def _acknowledge(self, message: Message, number: int) -> None:
        if message.status < 300:  # a transaction of its own
            self.remote = message.get("to")
            self.target = uri_of(message.get("contact")) or self.target
            kept, self._branches[number] = self._branches[number], f"z9hG4bK{uuid.uuid4().hex[:12]}"
            self.send("ACK", cseq=number)
            self._branches[number] = kept
        else:
            remote, self.remote = self.remote, message.get("to")
            self.send("ACK", cseq=number)
            self.remote = remote

    def take_request(self, message: Message) -> None:
        method = message.method
        if method == "ACK":
            return
        if method == "INVITE" and self.answered_at is None:
            return  # sent again: the answer is on its way
        if method == "CANCEL":
            self._reply(message, 200)
            if self.answered_at is None and self.invite is not None and self.ended_at is None:
                self._end()
                self.phone.put(answer_to(self.invite, 487, tag=tag_of(self.local)))
        elif method in ("INVITE", "UPDATE"):
            if (port := sound_port(message.body)) is not None:
                self.sound.remote_port = port
            self._reply(message, 200, describe(self.sound.port) if method == "INVITE" or message.body else "")
        else:
            self._reply(message, 200)
            if method == "BYE" and self.ended_at is None:
                self._end()
            elif method == "NOTIFY":
                self.said.append(message.body.strip())
                if self.said[-1].startswith("SIP/2.0 2"):  # as phones do: the transfer went well, they are out of it
                    self.phone.spawn(self.hang_up())
        self._note()

    def _reply(self, request: Message, status: int, body: str = "") -> None:
        extra: tuple[tuple[str, str], ...] = (("contact", f"<sip:{self.phone.name}@{HOST}:{self.phone.port}>"),)
        if body:
            extra += (("content-type", "application/sdp"),)
        self.phone.put(answer_to(request, status, body, tag=tag_of(self.local), extra=extra))

    def _end(self) -> None:
        self.ended_at = time.monotonic()
        self.sound.close()
        self._note()

    async def listen(self) -> None:
        """Open the way for sound, unless it is open, and speak."""
        if not self.sound.port:
            await self.sound.open()
            self.phone.spawn(self.sound.speak())


def answer_to(
    request: Message, status: int, body: str = "", *, tag: str = "", extra: tuple[tuple[str, str], ...] = ()
) -> Message:
    """An answer to a request."""
    to = request.get("to")
    if tag and not tag_of(to):
        to += f";tag={tag}"
    headers = [("via", via) for via in request.all("via")]
    headers += [("record-route", route) for route in request.all("record-route")]
    headers += [(name, request.get(name)) for name in ("from", "call-id", "cseq")]
    return Message(f"SIP/2.0 {status} Said", (*headers, ("to", to), *extra), body)


@contextlib.asynccontextmanager
async def phones(*them: Phone) -> AsyncIterator[None]:
    """Plug several in, and out again."""
    async with contextlib.AsyncExitStack() as stack:
        for each in them:
            await stack.enter_async_context(each)
        yield
