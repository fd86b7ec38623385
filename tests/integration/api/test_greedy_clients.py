"""Clients that are slow, silent or greedy take neither the operator's health checks nor anybody else's place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from rating_engine.api import gate as http_gate
from rating_engine.api import server as http_server
from rating_engine.api.app import build_app
from rating_engine.api.server import HttpServer
from rating_engine.process.sockets import listen
from rating_engine.telemetry.metrics import Metrics
from tests.support.waiting import HANG_SECONDS, until

ASK = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
Handler = Callable[[Request], Awaitable[Response]]


class Ready:
    def exchanges(self) -> dict[str, str]:
        return {}

    async def readiness(self) -> dict[str, str | None]:
        return {}


@dataclass
class Client:
    """A connection that does as it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        received = b""
        async with asyncio.timeout(HANG_SECONDS):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(65_536):
                    received += data
        return received


@dataclass
class Site:
    server: HttpServer
    clients: list[Client] = field(default_factory=list)

    async def connect(self, sent: bytes = b"") -> Client:
        self.clients.append(Client(*await asyncio.open_connection(*self.server.address)))
        if sent:
            self.clients[-1].writer.write(sent)
        return self.clients[-1]

    async def healthz(self) -> int:
        async with httpx.AsyncClient() as client:
            host, port = self.server.address
            return (await client.get(f"http://{host}:{port}/healthz", timeout=HANG_SECONDS)).status_code

    async def holds(self, connections: int) -> None:
        async def does() -> bool:
            return self.server.connections == connections

        await until(does)


@asynccontextmanager
async def site(handler: Handler | None = None, *, max_connections: int = 200) -> AsyncIterator[Site]:
    surfaces = [] if handler is None else [Route("/extra", handler, methods=["GET", "POST"])]
    app = build_app(readiness=Ready(), metrics=Metrics(), surfaces=surfaces)
    served = Site(HttpServer(app, listen("127.0.0.1", 0), max_connections=max_connections))
    await served.server.start()
    try:
        yield served
    finally:
        for client in served.clients:
            client.writer.transport.abort()
        await served.server.stop(1.0)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\nslow: "])
async def test_health_is_answered_while_slow_clients_have_every_place(sent: bytes) -> None:
    async with site(max_connections=8) as here:
        slow = [await here.connect(sent) for _ in range(8)]
        await here.holds(8)

        assert [await here.healthz() for _ in range(4)] == [200] * 4
        assert await slow[0].rest() == b""  # the one that had waited longest
        assert here.server.connections <= 8


async def test_a_request_that_runs_gives_way_to_nobody_and_who_has_no_place_is_told_at_once() -> None:
    running, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def wait(_request: Request) -> Response:
        running.release()
        await go_on.wait()
        return PlainTextResponse("done")

    async with site(wait, max_connections=2) as here:
        first, second = [
            await here.connect(b"GET /extra HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") for _ in "ab"
        ]
        for _ in "ab":
            await running.acquire()
        assert (await (await here.connect()).rest()).startswith(b"HTTP/1.1 503 ")
        go_on.set()
        for client in (first, second):
            assert (await client.rest()).endswith(b"\r\n\r\ndone")


async def test_a_header_beyond_the_limit_is_refused_though_it_comes_in_one_read() -> None:
    async with site() as here:
        header = b"GET /healthz HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * http_gate.HEADER_BYTES_MAX + b"\r\n\r\n"
        client = await here.connect(header)
        assert b" 200 " not in await client.rest()
        fits = b"GET /healthz HTTP/1.1\r\nhost: x\r\nlong: " + b"x" * 16_000 + b"\r\nconnection: close\r\n\r\n"
        assert (await (await here.connect(fits)).rest()).startswith(b"HTTP/1.1 200 ")


async def test_a_header_that_never_ends_is_refused_at_the_limit() -> None:
    async with site() as here:
        client = await here.connect(b"GET /healthz HTTP/1.1\r\n")
        with contextlib.suppress(ConnectionError):
            for _ in range(http_gate.HEADER_BYTES_MAX):
                client.writer.write(b"a: b\r\n")
                await client.writer.drain()
        assert b" 200 " not in await client.rest()
        assert await here.healthz() == 200


async def test_a_client_that_asks_on_and_on_without_reading_has_one_answer() -> None:
    asked = 0

    async def count(_request: Request) -> Response:
        nonlocal asked
        asked += 1
        return PlainTextResponse("x" * 10_000)

    async with site(count) as here:
        client = await here.connect(b"GET /extra HTTP/1.1\r\nhost: x\r\n\r\n" * 1_000)
        answer = await client.rest()
        assert asked == 1
        assert not answer or b"connection: close" in answer  # a reset may overtake it


async def test_what_comes_behind_a_body_unasked_is_the_connections_last_answer() -> None:
    asked: list[bytes] = []

    async def note(request: Request) -> Response:
        asked.append(await request.body())
        return PlainTextResponse("ok")

    post = b"POST /extra HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc"
    async with site(note) as here:
        client = await here.connect(post * 20)
        await client.rest()
        assert asked == [b"abc"] * 2


async def test_a_connection_serves_request_after_request_with_bodies_of_any_size() -> None:
    async def size(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async with site(size) as here, httpx.AsyncClient() as client:
        host, port = here.server.address
        sizes = [0, 1, 10_000, 100_000, 0, 3]
        answers = [await client.post(f"http://{host}:{port}/extra", content=b"x" * size) for size in sizes]
        assert [int(answer.text) for answer in answers] == sizes
        assert here.server.connections == 1


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "BODY_SECONDS", 0.05)

    async def read(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async with site(read) as here:
        client = await here.connect(b"POST /extra HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nabc")
        assert await client.rest() == b""
        await here.holds(0)


async def test_a_client_that_does_not_take_its_answer_is_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_gate, "STALLED_SECONDS", 0.05)

    asked = asyncio.Event()

    async def much(_request: Request) -> Response:
        asked.set()
        return PlainTextResponse("x" * 50_000_000)

    async with site(much) as here:
        client = await here.connect()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        client.writer.write(b"GET /extra HTTP/1.1\r\nhost: x\r\n\r\n")
        await asked.wait()
        await here.holds(0)


async def test_an_event_stream_hears_that_the_server_stops_and_does_not_hold_it() -> None:
    async def events(request: Request) -> Response:
        async def stream() -> AsyncIterator[bytes]:
            yield b"data: hello\n\n"
            await request.state.stopping.wait()
            yield b"event: stopping\ndata:\n\n"

        return StreamingResponse(stream(), media_type="text/event-stream")

    async with site(events) as here:
        client = await here.connect(b"GET /extra HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(HANG_SECONDS):
            await client.reader.readuntil(b"hello")
            assert await here.server.stop(600.0) == 0
        assert b"event: stopping" in await client.rest()
