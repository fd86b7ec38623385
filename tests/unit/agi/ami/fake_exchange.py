"""A manager interface that does what the real one can't be made to do: lie, stop in the middle, say nothing."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from agi.ami.address import AmiAddress

Action = dict[str, str]
Answer = Callable[[Action], str | bytes | None]  # None: silence


def message(**fields: object) -> str:
    """One message as Asterisk writes it."""
    return "".join(f"{key}: {value}\r\n" for key, value in fields.items()) + "\r\n"


def success(action: Action, **fields: object) -> str:
    return message(Response="Success", ActionID=action["ActionID"], **fields)


def pong(action: Action) -> str:
    return success(action, Ping="Pong", Timestamp=f"{time.time():.6f}")


def listed(action: Action, *uniqueids: str, promised: int | None = None, complete: bool = True) -> str:
    """An answer to CoreShowChannels."""
    said = message(Response="Success", ActionID=action["ActionID"], EventList="start", Message="Channels will follow")
    for uniqueid in uniqueids:
        said += message(
            Event="CoreShowChannel",
            ActionID=action["ActionID"],
            Channel=f"SIP/{uniqueid}",
            Uniqueid=uniqueid,
            BridgeId="",
        )
    if complete:
        said += message(
            Event="CoreShowChannelsComplete",
            ActionID=action["ActionID"],
            EventList="Complete",
            ListItems=len(uniqueids) if promised is None else promised,
        )
    return said


class FakeExchange:
    """`async with FakeExchange() as exchange`; `answers` by the action's name, changed while it runs."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {"Login": success, "Ping": pong}
        self.actions: list[Action] = []
        self.connections = 0
        self._tls = tls
        self._writers: set[asyncio.StreamWriter] = set()
        self._news = asyncio.Event()

    @property
    def address(self) -> AmiAddress:
        return AmiAddress("pbx1", "127.0.0.1", self._server.sockets[0].getsockname()[1], "engine", "s3cret")

    def asked(self, name: str) -> list[Action]:
        """The actions of that name that came so far."""
        return [action for action in self.actions if action["Action"] == name]

    async def asked_once(self, name: str) -> Action:
        """Wait for an action."""
        while not self.asked(name):
            self._news.clear()
            await self._news.wait()
        return self.asked(name)[0]

    def say(self, text: str | bytes) -> None:
        """Send to everybody who is connected."""
        for writer in self._writers:
            writer.write(text.encode() if isinstance(text, str) else text)

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._writers:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        self._news.set()
        writer.write(b"Asterisk Call Manager/11.0.0\r\n")
        action: Action = {}
        try:
            while line := await reader.readline():
                text = line.decode("latin-1").rstrip("\r\n")
                if text:
                    key, _, value = text.partition(": ")
                    action[key] = value
                    continue
                self._take(action, writer)
                action = {}
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _take(self, action: Action, writer: asyncio.StreamWriter) -> None:
        self.actions.append(action)
        self._news.set()
        answer = self.answers.get(action["Action"], success)(action)
        if answer is not None and not writer.is_closing():
            writer.write(answer.encode() if isinstance(answer, str) else answer)
