"""The FastAGI server comes and goes without losing a call; and how our client says what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
import uvloop

from agi.fastagi.client import CallFailedError, agi_call, render_request
from agi.fastagi.limits import Limits
from agi.fastagi.request import RequestLimits
from agi.fastagi.server import FastAgiServer
from tests.support.fastagi_bench import PATIENCE, QUICK, Bench, Counts, Log, Peer, Service, Start
from tests.support.waiting import until_holds

# -- start and drain ------------------------------------------------------------------------------------------


async def test_drain_finishes_what_runs_and_cuts_nothing(start: Start) -> None:
    bench = await start(hold=True)
    call = asyncio.create_task(bench.call("callPrepare", "alice", "7901"))
    await bench.service.asked.wait()
    drain = asyncio.create_task(bench.server.drain(PATIENCE))
    await no_longer_taken(bench.server.port)
    assert not drain.done()
    bench.service.go_on.set()
    assert (await call)["RATING_STATUS"] == "ALLOWED"
    assert await drain == 0
    assert "fastagi_cut" not in {line["event"] for line in bench.log}


async def no_longer_taken(port: int) -> None:
    """Return when a new connection is refused."""
    with contextlib.suppress(ConnectionError):  # reset, where it closes at this moment
        async with asyncio.timeout(PATIENCE):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()


async def calls_that_arrive_as_the_drain_begins(turns: int) -> None:
    """Connections stand when the drain begins, `turns` loop turns before it, and more come until they are refused."""
    service = Service()
    service.go_on.set()
    server = FastAgiServer(service, port=0, limits=replace(QUICK, connections=200))
    await server.start()
    port = server.port
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    for _ in range(turns):
        await asyncio.sleep(0)
    drain = asyncio.create_task(server.drain(PATIENCE))
    with contextlib.suppress(ConnectionRefusedError):
        for _ in range(100):
            sockets.append(socket.create_connection(("127.0.0.1", port)))
            await asyncio.sleep(0)
    assert len(sockets) < 120
    for sock in sockets:
        peer = Peer(*await asyncio.open_connection(sock=sock))
        peer.writer.write(render_request("h", 1, "callPrepare", ["alice", "7901"], uniqueid="1"))
        assert (await peer.command())["RATING_STATUS"] == "ALLOWED"
        peer.writer.write(b"200 result=0\n")
        assert await peer.closed() == b""
    assert await drain == 0
    assert server.connections == 0


@pytest.mark.parametrize("turns", range(6))
@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_every_connection_that_a_drain_does_not_refuse_is_answered(
    log: Log, factory: Callable[[], asyncio.AbstractEventLoop], turns: int
) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(calls_that_arrive_as_the_drain_begins(turns))
    assert log == []


async def test_drain_stops_accepting(start: Start) -> None:
    bench = await start()
    port = bench.server.port
    assert await bench.server.drain(PATIENCE) == 0
    with pytest.raises(CallFailedError, match="not reachable"):
        await agi_call("127.0.0.1", port, "ping", uniqueid="1", timeout=PATIENCE)


async def test_drain_says_how_many_it_cut(start: Start) -> None:
    bench = await start(hold=True)
    calls = [asyncio.create_task(bench.call("callPrepare", "alice", "1", uniqueid=f"u{number}")) for number in range(2)]
    silent = await bench.connect()
    await until_holds(lambda: bench.server.connections == 3 and len(bench.service.prepared) == 2)
    assert await bench.server.drain(0.05) == 3
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, CallFailedError)
    assert await silent.closed() == b""
    (line,) = [line for line in bench.log if line["event"] == "fastagi_cut"]
    assert (line["connections"], line["scripts"]) == (3, {"callPrepare": 2})
    assert bench.service.completed == []
    await bench.idle()


async def test_a_bound_socket_of_the_callers_is_served(log: Log) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    service = Service()
    service.go_on.set()
    server = FastAgiServer(service, sock=sock)
    await server.start()
    assert server.port == sock.getsockname()[1]
    assert (await agi_call("127.0.0.1", server.port, "ping", uniqueid="1"))["RATING_STATUS"] == "OK"
    assert await server.drain(PATIENCE) == 0


async def test_two_servers_share_a_port_and_one_goes_on_when_the_other_drains(log: Log) -> None:
    first = FastAgiServer(Service(), port=0, reuse_port=True)
    await first.start()
    second = FastAgiServer(Service(), port=first.port, reuse_port=True)
    await second.start()
    await first.drain(PATIENCE)
    for number in range(5):
        assert (await agi_call("127.0.0.1", second.port, "ping", uniqueid=str(number)))["RATING_STATUS"] == "OK"
    await second.drain(PATIENCE)


async def test_an_address_that_is_taken_is_an_error_at_start(start: Start) -> None:
    bench = await start()
    with pytest.raises(OSError, match="in use"):
        await FastAgiServer(Service(), port=bench.server.port).start()


def test_uvloop_serves_the_same_and_survives_the_same(log: Log) -> None:
    async def scene() -> None:
        service = Service()
        counts = Counts()
        limits = Limits(request=RequestLimits(line_bytes=500))
        server = FastAgiServer(service, port=0, limits=limits, observer=counts)
        await server.start()
        bench = Bench(server, service, counts, log)
        service.go_on.set()
        assert (await bench.call("callPrepare", "alice", "7901"))["RATING_STATUS"] == "ALLOWED"
        for sent in (b"", b"GET /\r\n\r\n", b"agi_x: " + b"x" * 1_000_000, b"agi_x: 1\n"):
            peer = await bench.connect()
            with contextlib.suppress(ConnectionError):
                peer.writer.write(sent)
                await peer.writer.drain()
            peer.writer.close()
            await bench.idle()
        assert bench.reasons() == ["closed_early", "not_agi", "line_too_long", "closed_early"]
        service.go_on.clear()
        service.asked.clear()
        peer = await bench.ask("callPrepare", "alice", "7901")
        await service.asked.wait()
        peer.leave()
        await until_holds(lambda: server.unattended == 1)
        service.go_on.set()
        await bench.idle()
        assert [login for _, login in service.abandoned] == ["alice"]
        assert (await bench.call("ping"))["RATING_STATUS"] == "OK"
        await bench.stop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scene())


# -- the client's own errors ----------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def engine_that_sends(answer: bytes) -> AsyncIterator[int]:
    """The port of a server that answers one request so, and has closed its connection at the end."""
    over = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\n\n")
            writer.write(answer)
            await writer.drain()
            if answer:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]
        async with asyncio.timeout(PATIENCE):
            await over.wait()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (b"", "closed without an answer"),
        (b"x" * 5000, "more than Asterisk would take"),
        (b"NOOP\n" * 200, "more than Asterisk would take"),
    ],
    ids=["nothing", "long line", "many commands"],
)
async def test_the_client_says_what_was_wrong_with_the_engine(answer: bytes, problem: str) -> None:
    async with engine_that_sends(answer) as port:
        with pytest.raises(CallFailedError, match=problem):
            await agi_call("127.0.0.1", port, "ping", uniqueid="1", timeout=PATIENCE)


async def test_the_client_gives_up_on_an_engine_that_never_answers(start: Start) -> None:
    bench = await start(hold=True)
    with pytest.raises(CallFailedError, match=r"no answer from .* within 0\.05 s"):
        await agi_call("127.0.0.1", bench.server.port, "callPrepare", ["a", "1"], uniqueid="1", timeout=0.05)
