"""A FastAGI server on a real socket, the service behind it, and peers that do as they like."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from agi.fastagi.client import agi_call, render_request
from agi.fastagi.dialplan_syntax import mset_variables, split_command
from agi.fastagi.limits import Limits
from agi.fastagi.server import FastAgiServer
from rating_engine.domain.outcomes import (
    Allowed,
    Balance,
    BalanceOutcome,
    CallKey,
    Declined,
    DeclineReason,
    FinishCall,
    FinishOutcome,
    PrepareCall,
    PrepareOutcome,
    Saved,
)
from tests.support.waiting import until_holds

PATIENCE = 10.0  # seconds until a test gives up; nothing here should need one

QUICK = Limits(connections=50, request_seconds=PATIENCE, service_seconds=PATIENCE, reply_seconds=PATIENCE)

Log = list[MutableMapping[str, Any]]


@dataclass
class Service:
    """Allows and saves everything, when it is told to go on."""

    prepared: list[PrepareCall] = field(default_factory=list)
    finished: list[FinishCall] = field(default_factory=list)
    completed: list[CallKey] = field(default_factory=list)
    abandoned: list[tuple[CallKey, str]] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    abandon_error: Exception | None = None
    repeated: bool = False

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        self.prepared.append(call)
        await self._work()
        self.completed.append(call.call_key)
        return Allowed(
            call_key=call.call_key,
            max_seconds=99999,
            destination=call.destination,
            callerid=call.callerid or "",
            direction="RussiaMobile-Tele2",
            route_prefix="outline/",
            route_name="route1-cli",
            reserved=Decimal(1),
            currency="EUR",
            repeated=self.repeated,
        )

    async def finish_call(self, call: FinishCall) -> FinishOutcome:
        self.finished.append(call)
        await self._work()
        self.completed.append(call.call_key)
        return Saved(
            call_key=call.call_key,
            cost=Decimal("0.50"),
            currency="EUR",
            billed_seconds=60,
            seconds=call.seconds,
            direction="RussiaMobile-Tele2",
            destination=call.destination,
            callerid=call.callerid or "",
            route_name="route1-cli",
            disposition=call.disposition,
            cause=call.cause,
        )

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        lasts = None if call is None else 61
        return Balance(login, "EUR", Decimal("12.34"), Decimal("2.34"), Decimal(0), Decimal("10.00"), lasts)

    async def prepare_inbound(self, call: PrepareCall) -> Declined:
        """No number is ours."""
        return Declined(DeclineReason.UNKNOWN_NUMBER)

    async def next_inbound(self, call: object, exchange: str) -> Declined:
        """No number is ours."""
        return Declined(DeclineReason.UNKNOWN_NUMBER)

    async def abandon_call(self, call_key: CallKey, login: str, claim: object = None) -> None:
        self.abandoned.append((call_key, login))
        if self.abandon_error is not None:
            raise self.abandon_error

    async def _work(self) -> None:
        self.asked.set()
        await self.go_on.wait()
        if self.error is not None:
            raise self.error


@dataclass
class Counts:
    """An observer that counts."""

    opened: int = 0
    closed: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def connection_opened(self) -> None:
        self.opened += 1

    def connection_closed(self) -> None:
        self.closed += 1

    def connection_rejected(self, reason: str) -> None:
        self.rejected[reason] += 1


@dataclass
class Bench:
    """A running server, its service and its counts."""

    server: FastAgiServer
    service: Service
    counts: Counts
    log: Log
    peers: list[Peer] = field(default_factory=list)

    async def call(self, script: str, *args: str, uniqueid: str = "1700000000.42", **channel: str) -> dict[str, str]:
        return await agi_call(
            "127.0.0.1", self.server.port, script, args, uniqueid=uniqueid, timeout=PATIENCE, **channel
        )

    async def connect(self) -> Peer:
        self.peers.append(Peer(*await asyncio.open_connection("127.0.0.1", self.server.port)))
        return self.peers[-1]

    async def ask(self, script: str, *args: str) -> Peer:
        """A peer whose request is sent whole."""
        peer = await self.connect()
        peer.writer.write(render_request("127.0.0.1", 4573, script, args, uniqueid="1700000000.42"))
        return peer

    async def stop(self) -> None:
        """Close every peer and the server, and see that nothing is left."""
        for peer in self.peers:
            peer.leave()
        self.service.go_on.set()
        await self.server.drain(PATIENCE)
        assert self.server.connections == 0
        assert self.counts.opened == self.counts.closed

    async def idle(self) -> None:
        """Wait until no connection and no script is left."""
        await until_holds(lambda: self.server.connections == 0)

    def reasons(self) -> list[str]:
        return [str(line["reason"]) for line in self.log if "reason" in line]


@dataclass
class Peer:
    """The other end of a connection, which does as it likes."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def command(self) -> dict[str, str]:
        """The variables of the one command that is due."""
        async with asyncio.timeout(PATIENCE):
            line = await self.reader.readline()
        words = split_command(line.decode().rstrip("\n"))
        assert words[:2] == ["EXEC", "MSet"]
        return mset_variables(words[2])

    async def closed(self) -> bytes:
        """Wait until the server has closed; what it sent until then."""
        received = b""
        async with asyncio.timeout(PATIENCE):
            with contextlib.suppress(ConnectionError):
                while data := await self.reader.read(4096):
                    received += data
        self.writer.close()
        return received

    def leave(self) -> None:
        """Be gone at once."""
        self.writer.transport.abort()


Start = Callable[..., Awaitable[Bench]]
