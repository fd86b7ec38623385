"""The FastAGI server: a hardened asyncio.Protocol, since a telephone exchange's port is scanned like any other.

It owns the listening socket and the open connections with the scripts they run. It works on any asyncio loop;
uvloop makes it about twice as fast. `start`, then `drain`: stop accepting, finish what runs, say what was cut.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Final, Protocol

import structlog

from agi.fastagi.connection import Connection, State
from agi.fastagi.deadlines import Deadlines
from agi.fastagi.errors import Abnormal
from agi.fastagi.limits import BACKLOG, LOOPBACK, REJECTION_LOG_SECONDS, Admission, Limits
from agi.fastagi.scripts import ChargingService

DEFAULT_PORT: Final = 4573  # what Asterisk connects to when the dialplan names no port
ACCEPT_TURNS: Final = 3  # loop turns in which asyncio makes a transport of a socket it has accepted
# Connections that are accepted in a turn of the loop: uvloop takes one of each listening socket. At 128 calls at a time
# the accepts set the pace, two turns a call: with four, batches are larger and the engine needs 5 % less CPU a call. At
# 8 at a time, and at 800 calls/s that come by chance, there is no difference.
ACCEPTED_A_TURN: Final = 4
CANCEL_SECONDS: Final = 1.0  # for cut scripts to give up; one that doesn't dies with the process

_log = structlog.get_logger(__name__)


class ConnectionObserver(Protocol):
    """Where the server's figures go (telemetry)."""

    def connection_opened(self) -> None:
        """A peer was admitted."""

    def connection_closed(self) -> None:
        """An admitted peer's connection is over, and so is its script."""

    def connection_rejected(self, reason: str) -> None:
        """A connection was refused or went wrong; `reason` is a value of `errors.Abnormal`."""


class NoObserver:
    """Counts nothing."""

    def connection_opened(self) -> None:
        """Nothing."""

    def connection_closed(self) -> None:
        """Nothing."""

    def connection_rejected(self, reason: str) -> None:
        """Nothing."""


class FastAgiServer:
    """Serves the scripts of `scripts.SCRIPTS` to the exchanges of `allowed_networks`.

    `sock` is a bound socket of the caller's (closed with the server) and then host and port are unused;
    `reuse_port` lets several processes listen on one port. A connection holds its place among
    `limits.connections` until it is closed and its script has ended. Where all are taken, the connection that has
    waited longest for its own request gives its place to a new one: only calls can use the places up.
    """

    def __init__(
        self,
        service: ChargingService,
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        sock: socket.socket | None = None,
        reuse_port: bool = False,
        limits: Limits | None = None,
        allowed_networks: Sequence[IPv4Network | IPv6Network] = LOOPBACK,
        observer: ConnectionObserver | None = None,
        is_banned: Callable[[str], bool] = lambda address: False,
    ) -> None:
        self.service = service
        self.limits = limits or Limits()
        self._host = host
        self._port = port
        self._sock = sock
        self._reuse_port = reuse_port
        self._admission = Admission(allowed_networks)
        self._observer = observer or NoObserver()
        self._is_banned = is_banned
        self._servers: list[asyncio.Server] = []  # all of one listening socket: see ACCEPTED_A_TURN
        self._deadlines: Deadlines[State, Connection] | None = None
        self._open: set[Connection] = set()
        self._empty = asyncio.Event()
        self._refused_at: dict[Abnormal, float] = {}
        self._refused_silently: Counter[Abnormal] = Counter()

    async def start(self) -> None:
        """Listen. Raises OSError when the address can't be had."""
        loop = asyncio.get_running_loop()
        spans = {
            State.READING: self.limits.request_seconds,
            State.WORKING: self.limits.service_seconds,
            State.REPLYING: self.limits.reply_seconds,
        }
        self._deadlines = deadlines = Deadlines(loop, spans, Connection.overdue)

        def accepted() -> Connection:
            return Connection(self, loop, deadlines)

        if self._sock is not None:
            server = await loop.create_server(accepted, sock=self._sock, backlog=BACKLOG)
        else:
            server = await loop.create_server(
                accepted, self._host, self._port, reuse_port=self._reuse_port, backlog=BACKLOG
            )
        self._servers.append(server)
        self._port = int(server.sockets[0].getsockname()[1])
        for again in _same_sockets(server, ACCEPTED_A_TURN - 1):
            self._servers.append(await loop.create_server(accepted, sock=again, backlog=BACKLOG))

    @property
    def port(self) -> int:
        """The port listened on; what the system chose when 0 was asked for."""
        return self._port

    @property
    def connections(self) -> int:
        """Connections open now, those whose script outlives its client included."""
        return len(self._open)

    @property
    def unattended(self) -> int:
        """Connections whose client has left while its script still runs."""
        return sum(connection.lost for connection in self._open)

    async def drain(self, seconds: float) -> int:
        """Stop accepting, let open connections finish for so many seconds, cut the rest; how many were cut.

        A cut finish is told again by its exchange's reconciliation or expires; it is never half charged, since
        the ledger's transaction either happened or did not.
        """
        await self._stop_accepting()
        cut = 0
        if self._open:
            self._empty.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
            except TimeoutError:
                cut = await self._cut()
        if self._deadlines is not None:
            self._deadlines.close()
        return cut

    async def _stop_accepting(self) -> None:
        """Close the listening sockets, and serve whom the system had connected to them before.

        Closing resets the connections that still wait for accept(), but where another process has the same socket.
        A socket of its own on the same port (SO_REUSEPORT) is no help: it never sees those.
        """
        if not self._servers or self._deadlines is None:
            return
        loop, deadlines = asyncio.get_running_loop(), self._deadlines
        listeners = _same_sockets(self._servers[0], 1)
        for server in self._servers:
            for listener in server.sockets:
                loop.remove_reader(listener.fileno())  # asyncio's own accept; uvloop's ends with close()
        for _ in range(ACCEPT_TURNS):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()
        waiting: list[socket.socket] = []
        for listener in listeners:
            with listener:
                waiting += _accept_waiting(listener)
        for accepted in waiting:
            await loop.connect_accepted_socket(lambda: Connection(self, loop, deadlines), accepted)

    async def _cut(self) -> int:
        cut = list(self._open)
        tasks = [connection.task for connection in cut if connection.task is not None]
        scripts = Counter(task.get_name() for task in tasks)
        for connection in cut:
            connection.abort()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CANCEL_SECONDS)
        for connection in cut:
            if connection.task is not None and connection.task.done():
                connection.work_ended()  # of one that was cancelled before its first step, nothing ran
        _log.warning("fastagi_cut", connections=len(cut), scripts=dict(scripts))
        return len(cut)

    # -- what a connection asks (connection.Host) -------------------------------------------------------------

    def admit(self, connection: Connection, peername: object) -> str | None:
        """The peer's address when it may speak; None when it was refused, logged and counted."""
        host = str(peername[0]) if isinstance(peername, tuple) and peername else ""
        address = self._admission.address_of(host)
        reason = None
        if address is None:
            # No name at all: the peer was gone before it was looked at.
            reason = Abnormal.NETWORK_NOT_ALLOWED if host else Abnormal.CLOSED_EARLY
        elif self._is_banned(address):
            reason = Abnormal.BANNED
        elif len(self._open) >= self.limits.connections and not self._make_room():
            reason = Abnormal.TOO_MANY_CONNECTIONS
        if reason is not None:
            self._refuse(reason, host)
            return None
        self._open.add(connection)
        self._observer.connection_opened()
        return address

    def _make_room(self) -> bool:
        """End the connection that has waited longest for its request to be complete; False where there is none."""
        longest = None if self._deadlines is None else self._deadlines.longest(State.READING)
        if longest is None:
            return False
        longest.give_way()
        self.release(longest)  # asyncio tells of its end a moment later
        self._refuse(Abnormal.GAVE_WAY, longest.peer)
        return True

    def count(self, reason: Abnormal) -> None:
        """Count a connection that ended abnormally."""
        self._observer.connection_rejected(reason.value)

    def release(self, connection: Connection) -> None:
        """The connection is lost and its script has ended; unknown ones (refused) are none of ours."""
        if connection in self._open:
            self._open.discard(connection)
            self._observer.connection_closed()
            if not self._open:
                self._empty.set()

    def _refuse(self, reason: Abnormal, host: str) -> None:
        """One line a second for each reason: `suppressed` says how many went without one since the last."""
        self.count(reason)
        now = asyncio.get_running_loop().time()
        if now - self._refused_at.get(reason, -REJECTION_LOG_SECONDS) < REJECTION_LOG_SECONDS:
            self._refused_silently[reason] += 1
            return
        self._refused_at[reason] = now
        suppressed = self._refused_silently.pop(reason, 0)
        _log.warning("fastagi_refused", reason=reason.value, peer=host, suppressed=suppressed)


def _same_sockets(server: asyncio.Server, times: int) -> list[socket.socket]:
    """The listening sockets of `server` so many times, each with a descriptor of its own."""
    return [socket.fromfd(s.fileno(), s.family, s.type) for s in server.sockets for _ in range(times)]


def _accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Whom the system has connected to `listener` by now, taken in one go so that nobody slips in behind."""
    waiting: list[socket.socket] = []
    listener.setblocking(False)
    for _ in range(BACKLOG):
        try:
            accepted, _peer = listener.accept()
        except ConnectionAbortedError:
            continue  # gone while it waited
        except OSError:  # nobody waits any more (BlockingIOError), or no descriptor is left
            break
        accepted.setblocking(False)
        waiting.append(accepted)
    return waiting
