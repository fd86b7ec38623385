"""The proxy that fault tests stand on: each fault is the one it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy in front of a server that sends back what it gets."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1_024):
            writer.write(chunk)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with TcpProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as running:
        yield running
    server.close()


async def echoed(proxy: TcpProxy, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(data)
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


async def test_bytes_pass_both_ways_and_the_end_too(proxy: TcpProxy) -> None:
    data = bytes(range(256)) * 1_000

    assert await echoed(proxy, data) == data
    assert proxy.connections_made == 1


async def test_a_delay_or_a_trickle_changes_no_byte(proxy: TcpProxy) -> None:
    proxy.delay_seconds = 0.001
    proxy.bytes_per_second = 20_000.0

    assert await echoed(proxy, b"x" * 2_000) == b"x" * 2_000


async def test_a_refused_connection_is_refused_and_later_taken_again(proxy: TcpProxy) -> None:
    await proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await echoed(proxy, b"x")

    await proxy.accept()

    assert await echoed(proxy, b"x") == b"x"


async def test_a_cut_resets_what_is_open_and_nothing_else(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"x")
    assert await reader.readexactly(1) == b"x"

    assert proxy.cut() == 1
    assert await reader.read() == b""
    writer.close()

    assert await echoed(proxy, b"y") == b"y"


async def test_nothing_passes_in_silence_and_all_of_it_afterwards(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.silence()
    writer.write(b"x")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.readexactly(1), 0.05)

    proxy.speak()

    assert await reader.readexactly(1) == b"x"
    writer.close()


def test_a_url_is_turned_to_the_proxy() -> None:
    proxy = TcpProxy("db.example", 5432)
    proxy.port = 1234

    assert proxy.url("postgresql://u:p@db.example:5432/d?a=b") == "postgresql://u:p@127.0.0.1:1234/d?a=b"
    assert proxy.url("redis://db.example/0") == "redis://127.0.0.1:1234/0"
