"""The little of Asterisk's manager interface the tests need: actions with answers, and every event kept."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Final

Message = dict[str, str]
LINE_BYTES: Final = 1 << 20  # one event line; `core show` answers are the longest, a few kB
EVENTS_KEPT: Final = 200_000  # a test makes some hundreds; more than this is a test gone mad


class AmiClosed(Exception):
    """The exchange closed the connection, or was never there."""


class Ami:
    """One logged-in manager connection. `events` grows as they come; `wait_event` looks at old ones first."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._answers: dict[str, asyncio.Future[list[Message]]] = {}
        self._parts: dict[str, list[Message]] = {}
        self._ids = itertools.count(1)
        self.events: list[Message] = []
        self._news = asyncio.Event()
        self.closed = False
        self._task = asyncio.create_task(self._read(), name="ami-reader")

    @classmethod
    async def connect(cls, port: int, username: str, secret: str) -> Ami:
        """Log in; raises AmiClosed or OSError."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LINE_BYTES)
        if not await reader.readline():  # the greeting line
            raise AmiClosed
        ami = cls(reader, writer)
        answer = await ami.action("Login", Username=username, Secret=secret)
        if answer[0]["Response"] != "Success":
            await ami.close()
            raise AmiClosed(answer[0].get("Message", ""))
        return ami

    async def action(self, name: str, variables: dict[str, str] | None = None, **fields: str) -> list[Message]:
        """Send one action; return its answer and, where it lists, the events of the list."""
        action_id = str(next(self._ids))
        future: asyncio.Future[list[Message]] = asyncio.get_running_loop().create_future()
        self._answers[action_id] = future
        lines = [f"Action: {name}", f"ActionID: {action_id}"]
        lines += [f"{key}: {value}" for key, value in fields.items()]
        lines += [f"Variable: {key}={value}" for key, value in (variables or {}).items()]
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        return await asyncio.wait_for(future, 10)

    async def wait_event(self, wanted: Callable[[Message], bool], seconds: float = 15.0) -> Message:
        """Return the first event, past or coming, that `wanted` accepts; raises TimeoutError."""
        async with asyncio.timeout(seconds):
            seen = 0
            while True:
                while seen < len(self.events):
                    if wanted(self.events[seen]):
                        return self.events[seen]
                    seen += 1
                if self.closed:
                    raise AmiClosed
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        """Leave; pending actions fail with AmiClosed."""
        self._writer.close()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while (message := await self._message()) is not None:
                self._take(message)
        except OSError:
            pass
        finally:
            self.closed = True
            self._news.set()
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(AmiClosed())
                    future.exception()  # seen: nobody may be waiting for it any more

    async def _message(self) -> Message | None:
        message: Message = {}
        while line := await self._reader.readline():
            text = line.decode(errors="replace").rstrip("\r\n")
            if not text:
                if message:
                    return message
                continue
            key, _, value = text.partition(":")
            value = value.strip()
            message[key] = f"{message[key]}\n{value}" if key in message else value
        return None

    def _take(self, message: Message) -> None:
        action_id = message.get("ActionID", "")
        future = self._answers.get(action_id)
        if future is None or message.get("Event") == "OriginateResponse":
            if len(self.events) >= EVENTS_KEPT:
                raise OverflowError("too many manager events")
            self.events.append(message)
            self._news.set()
            return
        parts = self._parts.setdefault(action_id, [])
        parts.append(message)
        if message.get("EventList", "").lower() == "start":
            return
        if "Response" in message or message.get("EventList", "").lower() == "complete":
            del self._answers[action_id], self._parts[action_id]
            if not future.done():
                future.set_result(parts)
