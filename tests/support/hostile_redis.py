"""A server that greets as Redis does and then answers what a test makes it: a Redis in somebody else's hands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class HostileRedis:
    """Answers PING, AUTH, SELECT, CLIENT; whatever else it is asked, `answer` does what it likes with it."""

    def __init__(self, answer: Answer) -> None:
        self.sent = 0  # bytes that left after the greeting
        self.questions = 0
        self._answer = answer
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            try:
                while command := await _command(reader):
                    if command[0] in (b"PING", b"AUTH", b"SELECT", b"CLIENT"):
                        writer.write(b"+OK\r\n")
                    else:
                        self.questions += 1
                        await self._answer(writer)
                    await writer.drain()
            finally:
                self._tasks.discard(task)
                writer.close()


async def _command(reader: asyncio.StreamReader) -> list[bytes]:
    head = await reader.readline()
    parts = []
    for _ in range(int(head[1:] or 0)):
        length = int((await reader.readline())[1:])
        parts.append((await reader.readexactly(length + 2))[:-2])
    return parts
