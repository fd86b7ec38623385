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
from typing import Final, Self

from rating_engine.api.server import listen, resolve

FASTAGI: Final = "fastagi"
HTTP: Final = "http"

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
