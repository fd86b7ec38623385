"""The operator's routes and the HTTP server under them, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from rating_engine.api import gate as http_gate
from rating_engine.api.app import build_app
from rating_engine.api.ops import routes as ops_routes
from rating_engine.api.server import HttpServer
from rating_engine.process.sockets import listen
from rating_engine.telemetry.metrics import Metrics
from tests.support.waiting import HANG_SECONDS, until_holds

Handler = Callable[[Request], Awaitable[Response]]


@dataclass
class Dependencies:
    """What the engine says of its dependencies."""

    state: dict[str, str | None] = field(default_factory=dict)
    error: Exception | None = None
    hangs: bool = False

    def exchanges(self) -> dict[str, str]:
        return {}

    async def readiness(self) -> dict[str, str | None]:
        if self.error is not None:
            raise self.error
        if self.hangs:
            await asyncio.Event().wait()
        return self.state


@asynccontextmanager
async def served(
    dependencies: Dependencies | None = None, *, metrics: Metrics | None = None, handler: Handler | None = None
) -> AsyncIterator[tuple[httpx.AsyncClient, HttpServer]]:
    """A running server with an extra route /extra, and a client of it."""
    surfaces = [] if handler is None else [Route("/extra", handler)]
    app = build_app(readiness=dependencies or Dependencies(), metrics=metrics or Metrics(), surfaces=surfaces)
    server = HttpServer(app, listen("127.0.0.1", 0))
    await server.start()
    host, port = server.address
    try:
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
            yield client, server
    finally:
        await server.stop(1.0)


async def no_longer_taken(client: httpx.AsyncClient) -> None:
    """Return when a new connection is refused."""
    try:
        while True:
            await client.get("/healthz", headers={"connection": "close"})
    except httpx.TransportError:
        return


# --- health


async def test_a_process_that_runs_is_alive_whatever_it_lacks() -> None:
    async with served(Dependencies({"postgresql": "connection refused"})) as (client, _):
        response = await client.get("/healthz")

    assert (response.status_code, response.text) == (200, "ok\n")


async def test_an_engine_that_has_all_it_needs_is_ready() -> None:
    async with served(Dependencies({"postgresql": None, "redis": None})) as (client, _):
        response = await client.get("/readyz")

    assert response.status_code == 200
    assert response.json() == {"ready": True, "missing": []}


async def test_an_engine_that_is_not_ready_names_what_is_missing() -> None:
    state = {"redis": None, "postgresql": "connection refused", "schema": "version 3, this engine knows 2"}
    async with served(Dependencies(state)) as (client, _):
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json() == {
        "ready": False,
        "missing": ["postgresql: connection refused", "schema: version 3, this engine knows 2"],
    }
    assert response.headers["cache-control"] == "no-store"


async def test_a_check_that_fails_is_told_by_its_kind_only() -> None:
    async with served(Dependencies(error=RuntimeError("postgresql://u:hunter2@h/d"))) as (client, _):
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["missing"] == ["readiness: RuntimeError"]


async def test_a_check_that_does_not_answer_means_not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops_routes, "READINESS_SECONDS", 0.02)
    async with served(Dependencies(hangs=True)) as (client, _):
        response = await client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["missing"] == ["readiness: no answer within 0.02 s"]


# --- metrics


async def test_metrics_are_given_in_the_text_format() -> None:
    metrics = Metrics()
    metrics.prepared("allowed", "", 0.002)
    async with served(metrics=metrics) as (client, _):
        response = await client.get("/metrics")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=")
    assert 'rating_calls_total{outcome="allowed",reason="none",stage="prepare",surface="fastagi"} 1.0' in response.text


async def test_metrics_are_given_as_openmetrics_to_who_accepts_it() -> None:
    async with served() as (client, _):
        response = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert response.headers["content-type"].startswith("application/openmetrics-text")


# --- the application


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_nothing_can_be_posted_to_the_operators_routes(path: str) -> None:
    async with served() as (client, _):
        response = await client.post(path)

    assert response.status_code == 405


async def test_an_unknown_path_is_not_found() -> None:
    async with served() as (client, _):
        assert (await client.get("/nowhere")).status_code == 404


async def test_an_error_in_a_handler_is_answered_without_a_detail() -> None:
    async def fail(_request: Request) -> Response:
        raise RuntimeError("postgresql://u:hunter2@h/d")

    async with served(handler=fail) as (client, _):
        response = await client.get("/extra")

    assert (response.status_code, response.text) == (500, "internal error\n")


async def test_an_error_in_a_handler_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async def fail(_request: Request) -> Response:
        raise RuntimeError("broken")

    with structlog.testing.capture_logs() as events:
        async with served(handler=fail) as (client, _):
            await client.get("/extra")

    assert [event["event"] for event in events] == ["http_request_failed"]
    assert caplog.messages == []


# --- the server


async def test_a_stop_lets_a_running_request_finish() -> None:
    entered, release = asyncio.Event(), asyncio.Event()

    async def wait(_request: Request) -> Response:
        entered.set()
        await release.wait()
        return PlainTextResponse("done")

    async with served(handler=wait) as (client, server):
        request = asyncio.create_task(client.get("/extra"))
        await entered.wait()
        stopping = asyncio.create_task(server.stop(30.0))
        await no_longer_taken(client)
        release.set()

        assert (await request).text == "done"
        assert await stopping == 0


async def test_a_stop_cuts_what_does_not_finish_and_says_how_much() -> None:
    entered = asyncio.Event()

    async def hang(_request: Request) -> Response:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with served(handler=hang) as (client, server):
        request = asyncio.create_task(client.get("/extra"))
        await entered.wait()

        assert await server.stop(0.05) == 1
        with pytest.raises(httpx.TransportError):
            await request


async def test_a_stop_answers_who_has_connected_and_not_asked_yet() -> None:
    async with served() as (_, server):
        new, kept = [await asyncio.open_connection(*server.address) for _ in range(2)]
        kept[1].write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"connection: close" not in await answer_of(kept[0])
        stopping = asyncio.create_task(server.stop(30.0))
        await refused(server.address)

        for reader, writer in (new, kept):
            writer.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
            assert b"connection: close" in await answer_of(reader)
            assert await reader.read() == b""
            writer.close()

        assert await stopping == 0


async def test_a_stop_does_not_wait_for_who_never_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_gate, "LAST_REQUEST_SECONDS", 0.05)
    async with served() as (_, server):
        reader, writer = await asyncio.open_connection(*server.address)

        async with asyncio.timeout(HANG_SECONDS):
            assert await server.stop(600.0) == 0
        assert await reader.read() == b""
        writer.close()


async def answer_of(reader: asyncio.StreamReader) -> bytes:
    """The headers of an answer of two bytes, "ok" and a line end, and those."""
    headers = await reader.readuntil(b"\r\n\r\n")
    assert headers.startswith(b"HTTP/1.1 200 ")
    assert await reader.readexactly(3) == b"ok\n"
    return headers


async def refused(address: tuple[str, int]) -> None:
    """Return when the address is not listened on any more."""
    with contextlib.suppress(ConnectionError):  # reset, when it closes at this moment
        while True:
            _, writer = await asyncio.open_connection(*address)
            writer.close()


async def test_a_server_that_was_never_started_stops_at_once() -> None:
    with listen("127.0.0.1", 0) as listener:
        assert await HttpServer(build_app(readiness=Dependencies(), metrics=Metrics()), listener).stop(1.0) == 0


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nhost: x\r\nslow: "])
async def test_a_client_that_does_not_finish_its_request_is_cut_off(
    sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_gate, "REQUEST_SECONDS", 0.05)
    async with served() as (_, server):
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(sent)

        assert await reader.read() == b""
        writer.close()


async def test_a_client_may_use_its_connection_again() -> None:
    async with served() as (client, _):
        first = await client.get("/healthz")
        second = await client.get("/readyz")

    assert (first.status_code, second.status_code) == (200, 200)


async def test_garbage_gets_a_400_and_the_server_lives_on() -> None:
    async with served() as (client, server):
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"\x16\x03\x01 not http\r\n\r\n")
        answer = await reader.read()
        writer.close()

        assert answer.startswith(b"HTTP/1.1 400 ")
        assert (await client.get("/healthz")).status_code == 200


# --- the socket


def test_a_taken_port_is_an_error_that_names_it() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(OSError, match=rf"cannot listen on 127\.0\.0\.1 port {port}: "):
            listen("127.0.0.1", port)


def test_workers_can_share_a_port() -> None:
    with listen("127.0.0.1", 0, reuse_port=True) as first:
        port = first.getsockname()[1]
        with listen("127.0.0.1", port, reuse_port=True) as second:
            assert second.getsockname() == first.getsockname()


def test_an_address_that_is_not_ours_is_an_error_that_names_it() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port 8080: "):
        listen("192.0.2.1", 8080)


def test_an_ipv6_address_is_listened_on_where_there_is_one() -> None:
    if not socket.has_ipv6:
        pytest.skip("this Python has no IPv6")
    try:
        listener = listen("::1", 0)
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    with listener:
        assert listener.family == socket.AF_INET6


# --- beside calls


async def test_of_requests_that_come_together_one_begins_in_a_turn_of_the_loop() -> None:
    turn, begun = 0, list[int]()
    loop = asyncio.get_running_loop()

    def count() -> None:
        nonlocal turn, ticker
        turn += 1
        ticker = loop.call_soon(count)

    async def handler(request: Request) -> Response:
        begun.append(turn)
        return PlainTextResponse("begun")

    ticker = loop.call_soon(count)
    async with served(handler=handler) as (_, server):
        clients = [socket.create_connection(server.address) for _ in range(8)]
        await until_holds(lambda: server.connections == len(clients))
        for client in clients:
            client.sendall(b"GET /extra HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        await until_holds(lambda: len(begun) == len(clients))
        for client in clients:
            client.close()
    ticker.cancel()

    assert len(set(begun)) == len(clients)
