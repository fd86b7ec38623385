"""A provider's gateway on loopback that is asked by GET, and answers what a test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Gateway:
    """`asked`: the targets of its requests; `status` and `answer`: of the next ones."""

    port: int = 0
    asked: list[str] = field(default_factory=list)
    status: int = 200
    answer: bytes = b"ok"

    def was_asked(self, times: int) -> bool:
        """Whether so many requests came, or more."""
        return len(self.asked) >= times

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request of one connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.split()[1].decode())
        moved = b"location: http://127.0.0.1:1/\r\n" if 300 <= self.status < 400 else b""
        writer.write(b"HTTP/1.1 %d x\r\n%scontent-length: %d\r\n\r\n" % (self.status, moved, len(self.answer)))
        with contextlib.suppress(ConnectionError):
            writer.write(self.answer)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def gateway_on() -> AsyncIterator[Gateway]:
    """One that listens until the block ends."""
    gateway = Gateway()
    server = await asyncio.start_server(gateway.serve, "127.0.0.1", 0)
    gateway.port = server.sockets[0].getsockname()[1]
    try:
        yield gateway
    finally:
        server.close()
        await server.wait_closed()
