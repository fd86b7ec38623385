"""The listening sockets of an engine: opened once, shared by its workers, handed to the engine that follows.

Law: connections wait at a listening socket, not at a process. To close it is to reset those that wait and those whose
handshake is under way, so it is passed on instead, or systemd holds it, and whoever has it takes from the same queue.
That is also why the workers share one socket a port: with one each (SO_REUSEPORT), the calls given to a worker end with
it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, Self

FASTAGI: Final = "fastagi"
HTTP: Final = "http"  # metrics and health; a surface that is added has a name and a port of its own
BACKLOG: Final = 1_024  # connections the kernel holds until the loop takes them; Linux caps it at somaxconn
FIRST_ACTIVATED: Final = 3  # the descriptor of the first socket that systemd gives; sd_listen_fds(3)
ACTIVATED_MAX: Final = 64  # more sockets than any engine has ports
ACTIVATION_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Listeners:
    """The sockets by name, listening. One that a server has been given may be closed by it."""

    by_name: Mapping[str, socket.socket]

    def __getitem__(self, name: str) -> socket.socket:
        return self.by_name[name]

    def variable(self) -> str:
        """The value of LISTENERS_VARIABLE for a child process that inherits the sockets under their numbers."""
        return ",".join(f"{name}={sock.fileno()}" for name, sock in self.by_name.items())

    @classmethod
    def inherited(cls, variable: str) -> Self:
        """What `variable` said, in the child."""
        numbers = dict(pair.split("=") for pair in variable.split(","))
        return cls({name: socket.socket(fileno=int(number)) for name, number in numbers.items()})

    def close(self) -> None:
        """Let go of them; they go on where another process has them."""
        for sock in self.by_name.values():
            sock.close()


def open_listeners(addresses: Mapping[str, Address], received: Mapping[str, socket.socket] | None = None) -> Listeners:
    """Listen at these addresses, on the sockets `received` where they are at one of them, whatever they are called.

    Raises OSError naming host and port: taken, not permitted, or not an address of this machine.
    """
    left = dict(received or {})
    opened: dict[str, socket.socket] = {}
    with contextlib.ExitStack() as undo:
        for name, (host, port) in addresses.items():
            at_it = [given for given, sock in left.items() if (port or given == name) and _is_at(sock, host, port)]
            if at_it:
                opened[name] = left.pop(name if name in at_it else at_it[0])
            else:
                opened[name] = undo.enter_context(listen(host, port))
        undo.pop_all()
    return Listeners(opened)


def activated_sockets(environment: MutableMapping[str, str]) -> dict[str, socket.socket]:
    """The listening sockets that systemd holds for this process (LISTEN_FDS), by their FileDescriptorName.

    Its variables are taken out of `environment`: no child shall think the sockets are its own. Raises OSError for one
    that is no listening TCP socket.
    """
    process, count, names = (environment.pop(name, "") for name in ACTIVATION_VARIABLES)
    if process != str(os.getpid()) or not count.isdecimal():
        return {}
    called = names.split(":") if names else []
    found: dict[str, socket.socket] = {}
    for index in range(min(int(count), ACTIVATED_MAX)):
        sock = socket.socket(fileno=FIRST_ACTIVATED + index)
        name = called[index] if index < len(called) else ""
        is_tcp = sock.family in (socket.AF_INET, socket.AF_INET6) and sock.type == socket.SOCK_STREAM
        if not is_tcp or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise OSError(
                errno.EINVAL, f"LISTEN_FDS: socket {index + 1} ({name or 'no name'}) is no listening TCP socket"
            )
        sock.set_inheritable(False)
        sock.setblocking(False)
        _answer_at_once(sock)
        found[name if name and name not in found else f"{name}#{index + 1}"] = sock
    return found


def _answer_at_once(listener: socket.socket) -> None:
    """Its connections inherit it. Else the second part of an answer waits until the client has acknowledged the first:
    40 ms of each request on a connection that is kept. uvloop sets it by itself; asyncio not on sockets made like this.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _is_at(sock: socket.socket, host: str, port: int) -> bool:
    try:
        here, at = sock.getsockname()[:2]
    except (OSError, ValueError):  # a meeting point, whose address is a name
        return False
    wanted = resolve(host, port)
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
        _answer_at_once(listener)
        listener.bind(endpoint.address)
        listener.listen(backlog)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener
