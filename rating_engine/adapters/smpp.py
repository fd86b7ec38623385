"""A carrier by SMPP 3.4: one transceiver, held by the engine that leads.

Laws: what was written to the carrier and not answered is known to nobody, what was not written may be sent again; a
message that comes in is acknowledged when it is kept, and not before; the password is in no log. What is sent at a
time, waited for and read has a limit.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import structlog

from rating_engine.adapters import smpp_pdu as pdus
from rating_engine.adapters.smpp_pdu import InvalidPdu, Pdu
from rating_engine.domain.carrier import CarrierSettings
from rating_engine.domain.errors import RatingEngineError, Unavailable
from rating_engine.domain.message import Message, MessageKind
from rating_engine.domain.sms_text import encode_text
from rating_engine.services.messaging.carriers import Accepted, CarrierAway, CarrierRefused, CarrierSilent

PORT: Final = 2775
CONNECT_SECONDS: Final = 10.0  # to connect and bind
ANSWER_SECONDS: Final = 10.0  # of one PDU: a carrier answers within one
ENQUIRE_SECONDS: Final = 30.0  # between two questions whether it is there: firewalls forget a quiet connection later
BACKOFF_SECONDS: Final = (1.0, 30.0)  # before the first and the later attempts to connect again
WINDOW: Final = 10  # PDUs that wait for their answer at a time, which every carrier allows
PARTS_SECONDS: Final = 60.0  # that the first parts of a long message wait for the others
MAX_PARTIAL: Final = 1_000  # long messages of which parts are missing, the oldest out first
LATER: Final = frozenset({pdus.QUEUE_FULL, pdus.THROTTLED})
# How a connection ends by itself, or by what the carrier says.
ENDS: Final = (OSError, EOFError, InvalidPdu, CarrierRefused, CarrierAway, CarrierSilent)
LAST_SEQUENCE: Final = 0x7FFFFFFF

_log = structlog.get_logger(__name__)


class Inbox(Protocol):
    """What takes messages and reports."""

    async def receive(self, carrier: str, sender: str, recipient: str, text: str) -> None:
        """Keep a message. Errors: RatingEngineError."""

    async def report(self, carrier: str, carrier_id: str, word: str) -> None:
        """Keep a delivery report. Errors: RatingEngineError."""


class SmppCarrier:
    """One carrier; nothing is connected before `run`."""

    kinds: Final = frozenset({MessageKind.SMS})

    def __init__(self, settings: CarrierSettings) -> None:
        self.name, self.prefixes, self.cost_tariff = settings.name, settings.prefixes, settings.cost
        self._url = settings.url
        self._session: Session | None = None
        self._references = itertools.count(int(time.time()))

    @property
    def is_here(self) -> bool:
        """Whether this process holds the transceiver now."""
        return self._session is not None

    async def hand_over(self, message: Message) -> Accepted:
        """Errors: CarrierRefused, CarrierAway, CarrierSilent."""
        session = self._session
        if session is None:
            raise CarrierAway("not bound")
        text = encode_text(message.text)
        contents = pdus.contents(text.encoding, text.parts, next(self._references))
        carrier_id = ""
        for place, content in enumerate(contents, start=1):
            is_last = place == len(contents)
            part = partial(
                pdus.submit, sender=message.sender, recipient=message.recipient, content=content,
                encoding=text.encoding, udh=len(contents) > 1, receipt=is_last,
            )  # fmt: skip
            answer = await session.ask(part)
            if answer.status != pdus.OK:
                raise _refusal(answer.status, place)
            carrier_id = pdus.read_id(answer.body)
        return Accepted(carrier_id)

    async def run(self, inbox: Inbox) -> None:
        """Keep the transceiver until cancelled."""
        wait, longest = BACKOFF_SECONDS
        while True:
            began = time.monotonic()
            try:
                await self._hold(inbox)
            except OSError as error:
                _log.warning("smpp_lost", carrier=self.name, problem=str(error) or type(error).__name__)
            wait = min(2 * wait, longest) if time.monotonic() - began < longest else BACKOFF_SECONDS[0]
            await asyncio.sleep(wait)

    async def _hold(self, inbox: Inbox) -> None:
        parts = urlsplit(self._url)
        context = ssl.create_default_context() if parts.scheme == "smpps" else None
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port or PORT, ssl=context)
        session = Session(self.name, reader, writer, inbox)
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(session.read(), name="smpp-read")
                system_id, password = unquote(parts.username or ""), unquote(parts.password or "")
                answer = await session.ask(lambda sequence: pdus.bind(sequence, system_id, password))
                if answer.status != pdus.OK:
                    raise CarrierRefused(f"does not let us in: 0x{answer.status:02x}")
                self._session = session
                _log.info("smpp_bound", carrier=self.name)
                group.create_task(session.enquire(), name="smpp-enquire")
                await reading
        except ExceptionGroup as errors:
            if errors.split(ENDS)[1] is not None:
                raise
            raise OSError(str(errors.exceptions[0]) or type(errors.exceptions[0]).__name__) from None
        finally:
            self._session = None
            session.close()


class Session:
    """One connection: questions and their answers, and what the carrier asks."""

    def __init__(self, carrier: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inbox: Inbox) -> None:
        self._carrier, self._reader, self._writer, self._inbox = carrier, reader, writer, inbox
        self._sequences = itertools.cycle(range(1, LAST_SEQUENCE))
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._window = asyncio.Semaphore(WINDOW)
        self._partial: dict[tuple[str, str, int], tuple[float, dict[int, str]]] = {}

    async def ask(self, question: Callable[[int], Pdu]) -> Pdu:
        """The answer to a PDU, which `question` makes with its number. Errors: CarrierAway, CarrierSilent."""
        async with self._window:
            sequence = next(self._sequences)
            pdu = question(sequence)
            answered = self._waiting[sequence] = asyncio.get_running_loop().create_future()
            try:
                if self._writer.is_closing():
                    raise CarrierAway("the connection is gone")
                self._writer.write(pdu.encode())
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._writer.drain()
                    answer: Pdu = await answered
                    return answer
            except (OSError, TimeoutError) as error:
                raise CarrierSilent(str(error) or "no answer in time") from None
            finally:
                del self._waiting[sequence]

    async def enquire(self) -> None:
        """Ask now and then whether the carrier is there. Errors: CarrierSilent where it is not."""
        while True:
            await asyncio.sleep(ENQUIRE_SECONDS)
            await self.ask(lambda sequence: Pdu(pdus.ENQUIRE_LINK, pdus.OK, sequence))

    async def read(self) -> None:
        """Take what comes, until the connection ends. Errors: OSError, EOFError, InvalidPdu."""
        try:
            while True:
                head = await self._reader.readexactly(pdus.HEAD.size)
                length, command, status, sequence = pdus.read_head(head)
                await self._take(Pdu(command, status, sequence, await self._reader.readexactly(length)))
        finally:
            for answered in self._waiting.values():
                if not answered.done():
                    answered.set_exception(ConnectionError("the connection ended"))

    def close(self) -> None:
        """Say good-bye, if there is still somebody, and end."""
        with contextlib.suppress(OSError):
            self._writer.write(Pdu(pdus.UNBIND, pdus.OK, next(self._sequences)).encode())
        self._writer.close()

    async def _take(self, pdu: Pdu) -> None:
        if pdu.command & pdus.RESPONSE:
            answered = self._waiting.get(pdu.sequence)
            if answered is not None and not answered.done():
                answered.set_result(pdu)
            return
        match pdu.command:
            case pdus.DELIVER_SM:
                status, body = await self._delivered(pdu.body), b"\0"
            case pdus.ENQUIRE_LINK | pdus.UNBIND:
                status, body = pdus.OK, b""
            case _:
                self._writer.write(Pdu(pdus.GENERIC_NACK, pdus.UNKNOWN_COMMAND, pdu.sequence).encode())
                return
        self._writer.write(Pdu(pdu.command | pdus.RESPONSE, status, pdu.sequence, body).encode())
        if pdu.command == pdus.UNBIND:
            raise ConnectionError("the carrier ends the session")

    async def _delivered(self, body: bytes) -> int:
        """What the carrier is answered: it has it kept, or shall try again, or never."""
        try:
            came = pdus.read_delivered(body)
        except InvalidPdu as error:
            _log.warning("smpp_not_understood", carrier=self._carrier, problem=str(error))
            return pdus.WRONG_LENGTH
        try:
            if came.is_receipt:
                await self._inbox.report(self._carrier, came.receipt_id, came.receipt_state)
            elif (text := self._whole(came)) is not None:
                await self._inbox.receive(self._carrier, came.sender, came.recipient, text)
        except Unavailable:
            return pdus.TRY_LATER
        except RatingEngineError as error:
            _log.info("smpp_not_taken", carrier=self._carrier, receipt=came.is_receipt, reason=error.code)
            return pdus.OK if came.is_receipt else pdus.WRONG_DESTINATION
        return pdus.OK

    def _whole(self, came: pdus.Delivered) -> str | None:
        """The text of a message whose last part this is; None: others are missing."""
        if came.part is None:
            return came.text
        reference, count, place = came.part
        key, now = (came.sender, came.recipient, reference), time.monotonic()
        for old in [each for each, (since, _) in self._partial.items() if now - since > PARTS_SECONDS]:
            del self._partial[old]
        while len(self._partial) >= MAX_PARTIAL:
            del self._partial[next(iter(self._partial))]
        _, parts = self._partial.setdefault(key, (now, {}))
        parts[place] = came.text
        if len(parts) < count:
            return None
        del self._partial[key]
        return "".join(parts[each] for each in sorted(parts))


def _refusal(status: int, part: int) -> Exception:
    if part > 1:
        return CarrierSilent(f"refuses part {part} with 0x{status:02x}, and has those before")
    return CarrierAway(f"has no room: 0x{status:02x}") if status in LATER else CarrierRefused(f"says 0x{status:02x}")
