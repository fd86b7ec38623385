"""One logged-in manager connection, from its beginning to its end, through panoramisk.

panoramisk frames messages and matches answers to actions. What it does beyond that is kept from harm: it would
connect again by itself without a deadline or an end, send actions again that were asked of the old connection (an
AbsoluteTimeout sent minutes late lengthens a call), never notice a silent peer, and buffer without bound.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

from agi.ami.address import AmiAddress
from rating_engine.domain.errors import Unavailable

CONNECT_SECONDS: Final = 3.0
LOGIN_SECONDS: Final = 3.0
ANSWER_SECONDS: Final = 3.0  # an action takes an exchange milliseconds
LIST_SECONDS: Final = 10.0  # a list of ten thousand channels takes a second or two
MESSAGE_BYTES: Final = 256 * 1024  # of one unfinished message; the longest that Asterisk sends has a few kB

# Every byte is one character and comes back the same: a channel's name need not be valid UTF-8.
ENCODING: Final = "latin-1"
# Asked for: channels, dialling, hangups; logins that failed; contacts of phones.
EVENTS: Final = "call,security,system"

Message = Mapping[str, Any]

_silent = logging.getLogger("agi.ami.panoramisk")  # it would log actions whole, the secret of a login with them
_silent.addHandler(logging.NullHandler())
_silent.propagate = False
_silent.setLevel(logging.CRITICAL + 1)


class Refused(Unavailable):
    """The exchange does not let us in; the message is its own."""


class _Protocol(AMIProtocol):  # type: ignore[misc]
    """panoramisk's protocol, bounded."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.log = _silent

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.queue and len(self.queue[0]) > MESSAGE_BYTES:
            self.transport.abort()

    def connection_lost(self, exc: object) -> None:
        if self.factory is not None:  # lost before it was anybody's
            super().connection_lost(exc)


class _Manager(Manager):  # type: ignore[misc]
    """panoramisk's manager for one connection: what is lost is over."""

    def __init__(self, address: AmiAddress, on_lost: Callable[[], None]) -> None:
        super().__init__(
            username=_encodable(address.username),
            secret=_encodable(address.secret),
            events=EVENTS,
            encoding=ENCODING,
            log=_silent,
            loop=asyncio.get_running_loop(),
        )
        self._on_lost = on_lost

    def connection_lost(self, exc: object) -> None:
        self._on_lost()

    def login(self, future: object) -> None:
        """Left to AmiConnection.open, which looks at the answer."""

    def ping(self) -> None:
        """Left to AmiLink, which waits for the answer."""


class AmiConnection:
    """Asks and hears one exchange. `lost` is set when the connection is over, for good."""

    def __init__(self, address: AmiAddress, on_event: Callable[[Message], None]) -> None:
        self.lost = asyncio.Event()
        self._address = address
        self._manager = _Manager(address, self._end)
        self._manager.register_event("*", lambda manager, event: on_event(event))
        self._asked: set[asyncio.Future[Any]] = set()

    async def open(self) -> None:
        """Connect and log in. Errors: OSError, Unavailable; Refused: the name or secret is wrong."""
        address = self._address
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_SECONDS):
            made = await loop.create_connection(_Protocol, address.host, address.port, ssl=_ssl_context(address))
        connected: asyncio.Future[Any] = loop.create_future()
        connected.set_result(made)
        self._manager.connection_made(connected)  # sends the login
        answer = await self._answer(self._manager.authenticated_future, LOGIN_SECONDS)
        if not answer.success:
            raise Refused(f"{address.exchange}: {answer.message or 'login refused'}")

    async def ask(self, action: str, **fields: str) -> Message:
        """The answer to one action. Errors: Unavailable when none comes in time."""
        answer = await self._send(action, fields, as_list=False, seconds=ANSWER_SECONDS)
        return answer if isinstance(answer, Mapping) else answer[0]

    async def ask_and_hear(self, action: str, seconds: float, **fields: str) -> Message:
        """The last word on an action that is answered at once and told of later: of an Originate its OriginateResponse.

        Errors: Unavailable when none comes in time.
        """
        answer = await self._send(action, fields, as_list=None, seconds=seconds)
        return answer if isinstance(answer, Mapping) else answer[-1]

    async def ask_list(self, action: str) -> list[Message]:
        """The events of a list, all of them. Errors: Unavailable when it does not come whole in time."""
        answer = await self._send(action, {}, as_list=None, seconds=LIST_SECONDS)
        events = [event for event in answer if "Event" in event] if isinstance(answer, list) else []
        if not events or str(events[-1].get("EventList", "")).lower() != "complete":
            raise Unavailable(f"{self._address.exchange}: {action} was not answered with a list")
        items, end = events[:-1], events[-1]
        if str(end.get("ListItems", "")) != str(len(items)):
            raise Unavailable(
                f"{self._address.exchange}: {len(items)} of {end.get('ListItems')} items of {action} came"
            )
        return items

    def close(self) -> None:
        """End it; what was asked and not answered fails."""
        self._manager.close()
        self._end()

    async def _send(self, action: str, fields: Mapping[str, str], *, as_list: bool | None, seconds: float) -> Any:
        if self.lost.is_set():
            raise Unavailable(f"{self._address.exchange}: the connection is lost")
        said = {"Action": action, **{key: _one_line(value) for key, value in fields.items()}}
        future = self._manager.send_action(said, as_list=as_list)
        try:
            return await self._answer(future, seconds)
        finally:
            self._forget(future)

    async def _answer(self, future: asyncio.Future[Any], seconds: float) -> Any:
        self._asked.add(future)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise Unavailable(f"{self._address.exchange}: no answer within {seconds:g} s") from None
        finally:
            self._asked.discard(future)

    def _forget(self, future: asyncio.Future[Any]) -> None:
        """panoramisk keeps an action until it is answered; one that never will be is taken out."""
        responses = self._manager.protocol.responses
        for key in [key for key, action in responses.items() if action.future is future]:
            del responses[key]

    def _end(self) -> None:
        self.lost.set()
        for future in list(self._asked):
            if not future.done():
                future.set_exception(Unavailable(f"{self._address.exchange}: the connection was lost"))


def _ssl_context(address: AmiAddress) -> ssl.SSLContext | None:
    if not address.tls:
        return None
    return ssl.create_default_context(cafile=address.ca_file or None)


def _encodable(text: str) -> str:
    """`text` so that ENCODING sends its UTF-8."""
    return text.encode().decode(ENCODING)


def _one_line(value: str) -> str:
    """A field's value; a line break would begin another field."""
    if "\r" in value or "\n" in value:
        raise ValueError("a value of a manager action is one line")
    return value
