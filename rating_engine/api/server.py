"""uvicorn under the engine's own rule: on a socket it is given, without signal handlers, stopped when it is told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Final

import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

KEEP_ALIVE_SECONDS: Final = 5  # an idle connection costs a descriptor
HEADER_BYTES_MAX: Final = 16_384  # request line and headers; what common proxies allow
REQUEST_SECONDS: Final = 10.0  # from the connection, or the last answer, to the end of a request's header
LAST_REQUEST_SECONDS: Final = 2.0  # for what is under way to a stopping server, sent a second time by TCP if need be
CUT_SECONDS: Final = 1.0  # for what was cut to end; what does not ends with the process
START_POLL_SECONDS: Final = 0.01

_log = structlog.get_logger(__name__)


class HttpServer:
    """Serves one ASGI application on one listening socket."""

    def __init__(self, app: ASGIApp, listener: socket.socket, *, max_connections: int = 200) -> None:
        """`listener` is bound and listening (`listen`); it belongs to the server from here on."""
        self._listener = listener
        self._server = _SignalFreeServer(
            uvicorn.Config(
                app,
                http=_PromptProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                limit_concurrency=max_connections,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                h11_max_incomplete_event_size=HEADER_BYTES_MAX,
            )
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    async def start(self) -> None:
        """Start serving; returns when requests are taken."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="http-server")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise RuntimeError("the HTTP server ended while it started")
            await asyncio.sleep(START_POLL_SECONDS)

    async def stop(self, seconds: float) -> int:
        """Take no more connections, let running requests finish for `seconds`, cut the rest; returns how many."""
        if self._task is None:
            return 0
        self._server.should_exit = True
        cut = 0
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._task)
        except TimeoutError:
            cut = await self._cut()
        self._task = None
        self._listener.close()
        if cut:
            _log.warning("http_requests_cut", count=cut, seconds=seconds)
        return cut

    async def _cut(self) -> int:
        """End what still runs: its requests, its connections, the server's own task."""
        state = self._server.server_state
        requests = list(state.tasks)
        self._server.force_exit = True
        for request in requests:
            request.cancel()
        for connection in list(state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        assert self._task is not None
        with contextlib.suppress(TimeoutError):  # wait_for cancels it then
            await asyncio.wait_for(self._task, CUT_SECONDS)
        return len(requests)


class _PromptProtocol(H11Protocol):
    """uvicorn's protocol with two habits of its own.

    A request's header has a deadline: uvicorn itself would wait for ever. And a server that stops answers the requests
    that are on their way to it: uvicorn would close every connection that has none at the moment, new ones too.
    """

    _deadline: asyncio.TimerHandle | None = None
    _stopping = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        before = self.cycle
        super().data_received(data)
        if self.cycle is not before:
            self._stop_waiting()
            if self._stopping:
                self._make_last()

    def on_response_complete(self) -> None:
        before = self.cycle
        super().on_response_complete()
        if self.cycle is before:  # else the next request had come already and runs
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: one more answer, to what is asked or under way; it says that the connection ends."""
        self._stopping = True
        if self.cycle is not None and not self.cycle.response_complete:
            self._make_last()
        else:
            self._stop_waiting()
            self._deadline = self.loop.call_later(LAST_REQUEST_SECONDS, self.transport.abort)

    def _make_last(self) -> None:
        self.cycle.keep_alive = False
        if not self.cycle.response_started:
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]

    def _expect_request(self) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            self._deadline = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _SignalFreeServer(uvicorn.Server):
    """Signals belong to the process, which has more than HTTP to end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
