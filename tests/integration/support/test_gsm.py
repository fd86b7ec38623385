"""Providers of mobile networks over HTTP: who answers without an end has not answered."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from rating_engine.adapters.gsm_http import HttpProviders
from rating_engine.domain.message import CarrierFailed

DRIPS = 100  # more than the deadline has room for


async def test_an_answer_that_drips_is_given_up_at_the_deadline_of_the_whole():
    over = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % DRIPS)
        with contextlib.suppress(ConnectionError):
            for _ in range(DRIPS):
                writer.write(b"x")
                await writer.drain()
                await asyncio.sleep(0.05)  # each drop is in time for a deadline that begins anew with it
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        providers = HttpProviders([f"slow sms http://127.0.0.1:{port}/"], timeout_seconds=0.3)
        with pytest.raises(CarrierFailed, match="not answered within"):
            await providers.ask("slow", "sms", {})
        await over.wait()
