"""One WebSocket to an exchange: events come by it, and requests go by it with their answers.

Laws: a request is sent once, on the connection that is there, or fails; a request that is not answered in time ends the
connection, since everything behind it waits; what has ended is never opened again, a new one takes its place.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from agi.ari.address import AriAddress
from agi.ari.requests import Request
from rating_engine.domain.errors import Unavailable

CONNECT_SECONDS: Final = 3.0  # TCP and handshake; a server that accepts and says nothing is none
ANSWER_SECONDS: Final = 5.0  # a request takes an exchange milliseconds
LOOK_SECONDS: Final = 1.0  # how often it is looked for requests that were not answered
PING_SECONDS: Final = 5.0  # and dead when two are not answered
MESSAGE_BYTES: Final = 64 * 1024 * 1024  # the list of ten thousand channels has some ten

Message = dict[str, Any]


class Refused(Unavailable):
    """What a person has to mend: the exchange does not let us in, is not the one it should be, or is too old; the
    message says which."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What an exchange answers: HTTP's status, and the JSON that came with it (None: nothing)."""

    status: int
    body: Any = None

    @property
    def done(self) -> bool:
        """Whether it did what it was asked for."""
        return 200 <= self.status < 300


class AriConnection:
    """A connection of one application. `lost` is set when it is over, for good; `why` says by what."""

    def __init__(self, address: AriAddress, application: str, on_event: Callable[[Message], None]) -> None:
        self._address = address
        self._application = application
        self._on_event = on_event
        self._socket: ClientConnection | None = None
        self._waiting: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._asked: dict[str, tuple[float, asyncio.Future[Answered]]] = {}
        self._number = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.lost = asyncio.Event()
        self.why = ""

    async def open(self) -> None:
        """Connect. Errors: OSError, Unavailable; Refused: user, secret or certificate is wrong."""
        address = self._address
        scheme, tls = ("wss", _ssl_context(address)) if address.tls else ("ws", None)
        secret = b64encode(f"{address.username}:{address.secret}".encode()).decode()
        try:
            self._socket = await connect(
                f"{scheme}://{address.host}:{address.port}/ari/events?app={self._application}",
                additional_headers={"Authorization": f"Basic {secret}"},
                ssl=tls,
                compression=None,
                proxy=None,
                open_timeout=CONNECT_SECONDS,
                close_timeout=1.0,
                ping_interval=PING_SECONDS,
                ping_timeout=2 * PING_SECONDS,
                max_size=MESSAGE_BYTES,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            if status in (401, 403):
                raise Refused(f"{address.exchange}: user or secret is refused ({status})") from None
            raise Unavailable(
                f"{address.exchange}: answers {status} instead of a WebSocket: is res_ari there?"
            ) from None
        except ssl.SSLError as error:
            why = getattr(error, "verify_message", "") or error.reason
            raise Refused(f"{address.exchange}: its certificate is not accepted: {why}") from None
        except (WebSocketException, TimeoutError) as error:
            raise Unavailable(f"{address.exchange}: {error or 'no answer'}") from None
        loop = asyncio.get_running_loop()
        works = (self._read(self._socket), self._write(self._socket), self._watch())
        self._tasks = [loop.create_task(work, name=f"ari-{self._application}") for work in works]

    def post(self, request: Request) -> asyncio.Future[Answered]:
        """Send a request behind all before it; the answer comes in time, or Unavailable."""
        future: asyncio.Future[Answered] = asyncio.get_running_loop().create_future()
        if self.lost.is_set():
            future.set_exception(Unavailable(f"{self._address.exchange}: the connection is lost"))
            return future
        self._number += 1
        name = str(self._number)
        said: Message = {
            "type": "RESTRequest",
            "transaction_id": name,
            "request_id": name,
            "method": request.method,
            "uri": request.uri,
        }
        if request.query:
            said["query_strings"] = [{"name": key, "value": value} for key, value in request.query.items()]
        if request.body is not None:
            said["content_type"] = "application/json"
            said["message_body"] = orjson.dumps(request.body).decode()
        self._asked[name] = (time.monotonic(), future)
        self._waiting.append(orjson.dumps(said))
        self._wake.set()
        return future

    async def ask(self, request: Request) -> Answered:
        """The answer to one request. Errors: Unavailable."""
        return await self.post(request)

    def give_up(self, why: str) -> None:
        """End it from within."""
        self._end(why)

    async def close(self) -> None:
        """End it; what was asked and not answered fails."""
        self._end("closed")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.transport.abort()

    async def _read(self, socket: ClientConnection) -> None:
        """Every way out of this is the end, whoever closed how."""
        try:
            async for text in socket:
                message = orjson.loads(text)
                if message.get("type") == "RESTResponse":
                    self._answer(message)
                else:
                    self._on_event(message)
            self._end("the exchange closed it")
        except (WebSocketException, OSError, ValueError) as error:
            self._end(str(error) or type(error).__name__)
        finally:
            self._end("the reader ended")

    async def _write(self, socket: ClientConnection) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._waiting:
                    await socket.send(self._waiting.popleft(), text=True)
        except (WebSocketException, OSError) as error:
            self._end(str(error) or type(error).__name__)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            asked = next((asked for asked, _ in self._asked.values()), None)
            if asked is not None and time.monotonic() - asked > ANSWER_SECONDS:
                self._end(f"a request was not answered within {ANSWER_SECONDS:g} s")

    def _answer(self, message: Message) -> None:
        _, future = self._asked.pop(str(message.get("request_id", "")), (0.0, None))
        if future is None or future.done():
            return
        body = message.get("message_body")
        future.set_result(Answered(int(message.get("status_code", 0)), orjson.loads(body) if body else None))

    def _end(self, why: str) -> None:
        if self.lost.is_set():
            return
        self.why = why
        self.lost.set()
        for _, future in self._asked.values():
            if not future.done():
                future.set_exception(Unavailable(f"{self._address.exchange}: {why}"))
                future.exception()  # who does not wait for it need not hear of it
        self._asked.clear()
        if self._socket is not None:
            self._socket.transport.abort()


def _ssl_context(address: AriAddress) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=address.ca_file or None)
    except OSError as error:
        raise Refused(f"{address.exchange}: no certificates in ca={address.ca_file}: {error}") from None
