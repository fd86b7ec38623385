"""The listening sockets of an engine: opened once, shared by its workers, handed to the engine that follows.

Law: connections wait at a listening socket, not at a process. To close it is to reset those that wait and those whose
handshake is under way, so it is passed on instead, and whoever has it takes from the same queue. That is also why the
workers share one socket a port: with one each (SO_REUSEPORT), the calls given to a worker end with it.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

FASTAGI: Final = "fastagi"
HTTP: Final = "http"
BACKLOG: Final = 1_024  # connections the kernel holds until the loop takes them; Linux caps it at somaxconn

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Listeners:
    """The two sockets, listening. One that a server has been given may be closed by it."""

    fastagi: socket.socket
    http: socket.socket

    @property
    def by_name(self) -> dict[str, socket.socket]:
        """Each with the name it goes by between processes."""
        return {FASTAGI: self.fastagi, HTTP: self.http}

    def variable(self) -> str:
        """The value of LISTENERS_VARIABLE for a child process that inherits the sockets under their numbers."""
        return ",".join(f"{name}={sock.fileno()}" for name, sock in self.by_name.items())

    @classmethod
    def inherited(cls, variable: str) -> Self:
        """What `variable` said, in the child."""
        numbers = dict(pair.split("=") for pair in variable.split(","))
        return cls(*(socket.socket(fileno=int(numbers[name])) for name in (FASTAGI, HTTP)))

    def close(self) -> None:
        """Let go of them; they go on where another process has them."""
        for sock in self.by_name.values():
            sock.close()


def open_listeners(fastagi: Address, http: Address, received: Mapping[str, socket.socket] | None = None) -> Listeners:
    """Listen at these addresses, on the sockets `received` by name where they are at the right one.

    Raises OSError naming host and port: taken, not permitted, or not an address of this machine.
    """
    opened: list[socket.socket] = []
    with contextlib.ExitStack() as undo:
        for name, (host, port) in ((FASTAGI, fastagi), (HTTP, http)):
            given = (received or {}).get(name)
            if given is None or not _is_at(given, host, port):
                given = undo.enter_context(listen(host, port))
            opened.append(given)
        undo.pop_all()
    return Listeners(*opened)


def _is_at(sock: socket.socket, host: str, port: int) -> bool:
    wanted = resolve(host, port)
    here, at = sock.getsockname()[:2]
    return sock.family == wanted.family and here == wanted.address[0] and port in (0, at)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a host and port come to: an address family, and the address as bind() takes it."""

    family: socket.AddressFamily
    address: tuple[Any, ...]


def resolve(host: str, port: int) -> Endpoint:
    """IPv4 or IPv6 as `host` is. Raises OSError naming host and port."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return Endpoint(found[0], found[4])


def listen(host: str, port: int, *, reuse_port: bool = False, backlog: int = BACKLOG) -> socket.socket:
    """A listening TCP socket, IPv4 or IPv6 as `host` is; port 0 = any free.

    `reuse_port` lets several sockets listen on one port, the kernel spreading connections over them.
    Raises OSError naming host and port: taken, not permitted, or not an address of this machine.
    """
    endpoint = resolve(host, port)
    try:
        listener = socket.socket(endpoint.family, socket.SOCK_STREAM)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.setblocking(False)
        listener.bind(endpoint.address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener
