"""A TCP proxy that spoils a connection on request: cuts it, refuses it, delays it, lets it trickle, goes silent."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

CHUNK_BYTES = 65_536


class TcpProxy:
    """Listens on a free loopback port and passes bytes to `host`:`port`.

    The faults may be changed while connections are open: `delay_seconds` before each chunk in each direction,
    `bytes_per_second` (None = no limit), `refuse()` / `accept()`, `silence()` / `speak()`, `say()`, `cut()`,
    `swallow_answers()`.
    """

    def __init__(self, host: str, port: int) -> None:
        self.delay_seconds = 0.0
        self.bytes_per_second: float | None = None
        self.connections_made = 0
        self.port = 0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pairs: dict[tuple[asyncio.StreamWriter, asyncio.StreamWriter], None] = {}  # in the order they were made
        self._swallowed: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._speaking = asyncio.Event()
        self._speaking.set()

    @property
    def connections(self) -> int:
        """Connections open through the proxy now."""
        return len(self._pairs)

    def url(self, url: str) -> str:
        """`url` with its host and port replaced by the proxy's."""
        parts = urlsplit(url)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    async def start(self) -> None:
        """Listen; on the same port again after `refuse`."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut everything."""
        await self.refuse()
        self.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def refuse(self) -> None:
        """Refuse new connections, as a stopped server does; open ones stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def accept(self) -> None:
        """Take connections again."""
        if self._server is None:
            await self.start()

    def silence(self) -> None:
        """Pass nothing on, as a network that drops every packet; what is sent meanwhile arrives after `speak`."""
        self._speaking.clear()

    def speak(self) -> None:
        """Pass bytes on again."""
        self._speaking.set()

    def swallow_answers(self, spared: int = 0) -> None:
        """Of all connections that are open, but the `spared` oldest ones, nothing of the server reaches its client."""
        self._swallowed |= {client for client, _ in list(self._pairs)[spared:]}

    def say(self, data: bytes) -> None:
        """Send every client bytes that its server did not send."""
        for client, _ in self._pairs:
            client.write(data)

    def cut(self) -> int:
        """Reset every open connection; returns how many."""
        pairs = list(self._pairs)
        for pair in pairs:
            for writer in pair:
                writer.transport.abort()
        return len(pairs)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections_made += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, server_writer)
        self._pairs[pair] = None
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pass_on(reader, server_writer))
                both.create_task(self._pass_on(server_reader, writer))
        except* OSError:
            pass  # a cut connection; the other half is ended below
        finally:
            self._pairs.pop(pair, None)
            self._swallowed.discard(writer)
            for end in pair:
                end.close()
            for end in pair:
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(self._chunk_bytes()):
            if self.delay_seconds:
                await asyncio.sleep(self.delay_seconds)
            if self.bytes_per_second is not None:
                await asyncio.sleep(len(chunk) / self.bytes_per_second)
            await self._speaking.wait()
            if writer in self._swallowed:
                continue
            writer.write(chunk)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    def _chunk_bytes(self) -> int:
        """Small chunks when throttled, so that bytes trickle instead of coming late in one piece."""
        return CHUNK_BYTES if self.bytes_per_second is None else max(1, int(self.bytes_per_second / 100))
