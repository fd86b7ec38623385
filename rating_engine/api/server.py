"""One ASGI application on one listening socket: uvicorn reads HTTP, `gate` says what a client may take.

uvicorn's own `Server` is not used: it wants the process's signals, waits for a header for ever, and answers 503 to a
health check while slow clients have all places.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final, cast

import structlog
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.server import ServerState

from rating_engine.api.gate import Gate, GatedConnection

KEEP_ALIVE_SECONDS: Final = 5  # an idle connection costs a descriptor
BODY_SECONDS: Final = 20.0  # from the end of a request's header to that of its body
DROPPED_BYTES: Final = 16_777_216  # of a body that nobody reads; who sends more of it is cut off with its answer
CUT_SECONDS: Final = 1.0  # for what was cut to end; what does not ends with the process
BACKLOG: Final = 1_024

_log = structlog.get_logger(__name__)


class HttpServer:
    """Serves an application on a listening socket. A handler that streams hears of the end by
    `request.state.stopping`, an asyncio.Event."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        *,
        max_connections: int = 200,
        is_banned: Callable[[str], bool] = lambda address: False,
    ) -> None:
        """`listener` is bound and listening (`listen`); it belongs to the server from here on. `is_banned`: whether an
        address is answered 403 to whatever it asks.
        """
        self._listener = listener
        self._config = uvicorn.Config(
            _Answering(app, self._connection_of),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._state = ServerState()
        self._stopping = asyncio.Event()
        self._gate = Gate(self._make_protocol, max_connections=max_connections, is_banned=is_banned)
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    @property
    def connections(self) -> int:
        """Connections open now."""
        return self._gate.connections

    async def start(self) -> None:
        """Start serving; returns when requests are taken."""
        self._config.load()
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: GatedConnection(self._gate), sock=self._listener, backlog=BACKLOG
        )

    async def stop(self, seconds: float) -> int:
        """Take no more connections, let running requests finish for `seconds`, cut the rest; returns how many."""
        if self._server is None:
            return 0
        self._stopping.set()
        self._server.close()
        self._server = None
        cut = 0
        try:
            async with asyncio.timeout(seconds):
                await self._gate.stop()
        except TimeoutError:
            cut = await self._cut()
        self._listener.close()
        if cut:
            _log.warning("http_requests_cut", count=cut, seconds=seconds)
        return cut

    async def _cut(self) -> int:
        """End what still runs: its requests, its connections."""
        requests = list(self._state.tasks)
        for request in requests:
            request.cancel()
        self._gate.abort()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CUT_SECONDS):
                await asyncio.gather(*requests, self._gate.stop(), return_exceptions=True)
        return len(requests)

    def _make_protocol(self) -> asyncio.Protocol:
        make: Any = self._config.http_protocol_class
        return cast(
            asyncio.Protocol,
            make(config=self._config, server_state=self._state, app_state={"stopping": self._stopping}),
        )

    def _connection_of(self, scope: Scope) -> GatedConnection | None:
        return self._gate.at(tuple(scope["client"])) if scope.get("client") else None


class _Answering:
    """Tells the gate when an answer begins and ends, and gives a request's body its deadline."""

    def __init__(self, app: ASGIApp, connection_of: Any) -> None:
        self._app = app
        self._connection_of = connection_of
        self._begins = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request (ASGI)."""
        connection: GatedConnection | None = self._connection_of(scope)
        if connection is None:  # cut off in the meantime
            return
        connection.begin()
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        has_come = False

        async def receive_in_time() -> Message:
            nonlocal has_come
            if has_come:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                connection.abort()
                return {"type": "http.disconnect"}
            has_come = not message.get("more_body", False)
            return message

        async def drop_rest() -> None:
            """What comes of a body that nobody read is no request; and a client that still sends hears no answer."""
            dropped = 0
            while not has_come and dropped < DROPPED_BYTES:
                message = await receive_in_time()
                if message["type"] == "http.disconnect":
                    break
                dropped += len(message.get("body", b""))
            connection.is_last = connection.is_last or not has_come

        async def send_and_tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                if connection.has_body and not has_come:
                    await drop_rest()
                headers = [*message.get("headers", ()), (b"date", formatdate(usegmt=True).encode())]
                if connection.is_last:
                    headers.append((b"connection", b"close"))
                message = {**message, "headers": headers}
            await send(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                connection.answered()

        # One request begins in a turn of the loop: what comes meanwhile, calls above all, waits for one beginning
        # (half a millisecond) and not for as many as came together.
        await self._begins.acquire()
        asyncio.get_running_loop().call_soon(self._begins.release)
        await self._app(scope, receive_in_time, send_and_tell)
