"""`serve --takeover`: the engine that has the ports gives its listening sockets to the one that follows.

Laws: at every moment somebody takes connections from each port, or will from the same queue, so none is refused or
reset; the old engine goes on as if nothing had been asked until the new one says that it serves, and for good if it
never does; an engine gives its sockets to none but processes of its own user.

The two meet at a unix socket (Linux's abstract kind, named by the FastAGI address). One packet carries the sockets
with their names, this meeting point among them; then the connection stays open, and means: nothing has changed yet.
The new engine ends it with READY, on which the old one drains and ends, or by dying, on which the old one goes on.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import socket
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import structlog

from rating_engine.domain.errors import RatingEngineError
from rating_engine.process import notify
from rating_engine.process.notify import notify_systemd
from rating_engine.process.sockets import FASTAGI, Address, Endpoint, Listeners, open_listeners, resolve

PROTOCOL: Final = 1  # of the packet; both engines are of one program, but seldom of one version
READY: Final = b"ready"
RENDEZVOUS: Final = "rendezvous"  # the meeting point's name among the sockets
PACKET_BYTES_MAX: Final = 4_096
SOCKETS_MAX: Final = 16  # of one packet; one a port, and the meeting point
WAITING_MAX: Final = 4  # engines that want to follow at the same time; one does
ANSWER_SECONDS: Final = 10.0  # a running engine answers at once, unless it is being taken over just now

_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred: pid, uid, gid
_log = structlog.get_logger(__name__)


class TakeoverError(RatingEngineError):
    """The running engine cannot be taken over; it goes on. The message says why."""

    code = "takeover"


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The engine to follow: its process id, its sockets by name, and the connection to it."""

    pid: int
    sockets: Mapping[str, socket.socket]
    connection: socket.socket

    @classmethod
    def find(cls, host: str, port: int) -> Self | None:
        """The engine that has this FastAGI address, or None. Raises TakeoverError."""
        if sys.platform != "linux":
            raise TakeoverError("--takeover needs Linux; elsewhere stop the running engine first")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(_meeting_point(resolve(host, port)))
            return cls._met(connection)
        except ConnectionRefusedError:
            connection.close()
            return None
        except TimeoutError:
            connection.close()
            raise TakeoverError("the running engine does not answer: is another one taking over just now?") from None
        except BaseException:
            connection.close()
            raise

    @classmethod
    def _met(cls, connection: socket.socket) -> Self:
        if (owner := _peer_user(connection)) != os.geteuid():
            raise TakeoverError(f"the running engine is of another user (uid {owner}): run this as that user")
        size = array.array("i").itemsize * SOCKETS_MAX
        packet, ancillary, _, _ = connection.recvmsg(PACKET_BYTES_MAX, socket.CMSG_SPACE(size), socket.MSG_CMSG_CLOEXEC)
        with contextlib.ExitStack() as unused:
            received = [unused.enter_context(socket.socket(fileno=number)) for number in _descriptors(ancillary)]
            try:
                said = json.loads(packet)
                if said["protocol"] != PROTOCOL:
                    problem = f"the running engine hands over in another way ({said['protocol']}): restart it"
                    raise TakeoverError(problem)
                met = cls(int(said["pid"]), dict(zip(said["sockets"], received, strict=True)), connection)
            except (ValueError, LookupError, TypeError) as error:
                raise TakeoverError(f"the running engine gave no sockets: {packet[:100]!r}") from error
            unused.pop_all()
            return met

    def follow(self) -> None:
        """Say that this engine serves: the old one drains from now on."""
        with contextlib.suppress(OSError):  # it ended just now, and what it had is ours
            self.connection.send(READY)
        self.connection.close()


class Entrance:
    """The ports of one engine: from whom they came, and, once it serves, to whom they go."""

    def __init__(self, listeners: Listeners, rendezvous: socket.socket | None, predecessor: Predecessor | None) -> None:
        self.listeners = listeners
        self.predecessor = predecessor
        self._rendezvous = rendezvous
        self._successor: socket.socket | None = None
        self._serves = False

    @property
    def waits_for(self) -> socket.socket | None:
        """What becomes readable when it is time to `advance`; None: nothing can happen now."""
        if not self._serves:
            return None
        return self._successor or self._rendezvous

    def ready(self) -> None:
        """This engine serves: the old one may go, systemd may know, and a new one may come."""
        if self.predecessor is not None:
            _log.info("took_over", pid=self.predecessor.pid)
            self.predecessor.follow()
        notify_systemd(notify.READY)
        self._serves = True

    def advance(self) -> bool:
        """Meet an engine that wants to follow, or hear from it. True: it serves, and this one should drain and end."""
        if self._successor is None:
            self._meet()
            return False
        with self._successor as successor:
            self._successor = None
            try:
                said = successor.recv(len(READY))
            except OSError:
                said = b""
        if said != READY:
            _log.warning("takeover_abandoned", hint="the engine that wanted to take over has ended; its log says why")
            return False
        _log.info("handed_over")
        return True

    def close(self) -> None:
        """Let go of everything. What a successor has goes on; without one the ports are closed."""
        self.listeners.close()
        if self.predecessor is not None:
            self.predecessor.connection.close()  # one that was not followed goes on
        for sock in (self._rendezvous, self._successor):
            if sock is not None:
                sock.close()
        self._rendezvous = self._successor = None

    def _meet(self) -> None:
        assert self._rendezvous is not None
        try:
            visitor, _ = self._rendezvous.accept()
        except OSError:  # it went away
            return
        visitor.setblocking(False)
        if (user := _peer_user(visitor)) != os.geteuid():
            _log.warning("takeover_refused", uid=user)
            visitor.close()
            return
        sockets = {**self.listeners.by_name, RENDEZVOUS: self._rendezvous}
        packet = {"protocol": PROTOCOL, "pid": os.getpid(), "sockets": list(sockets)}
        numbers = array.array("i", [sock.fileno() for sock in sockets.values()])
        try:
            visitor.sendmsg([json.dumps(packet).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
        except OSError as error:
            _log.warning("takeover_failed", error=str(error))
            visitor.close()
            return
        self._successor = visitor


def open_entrance(
    addresses: Mapping[str, Address],
    *,
    take_over: bool,
    may_be_followed: bool = True,
    activated: Mapping[str, socket.socket] | None = None,
) -> Entrance:
    """Listen at these addresses, by name; with `take_over` on the sockets of the engine that has them now, if one has.

    `activated`: sockets that systemd holds. One with the name of a listener is that listener, whatever its address;
    others are used where they are at one of the addresses. Raises OSError naming a port that cannot be had, and
    TakeoverError.
    """
    activated = activated or {}
    given = {name: sock.getsockname()[:2] for name, sock in activated.items() if name in addresses}
    addresses = {**addresses, **given}
    predecessor = Predecessor.find(*addresses[FASTAGI]) if take_over else None
    received = {**(predecessor.sockets if predecessor is not None else {}), **activated}
    kept: list[socket.socket | None] = []
    try:
        listeners = open_listeners(addresses, received)
        kept += listeners.by_name.values()
        for name, sock in activated.items():
            if sock not in kept:
                hint = "FileDescriptorName is none of the ports, and the address none of the settings: nobody serves it"
                _log.warning("socket_unused", name=name, address=sock.getsockname()[:2], hint=hint)
        if predecessor is not None:
            rendezvous = predecessor.sockets.get(RENDEZVOUS)
            kept += [rendezvous, predecessor.connection]
        else:
            may_meet = may_be_followed and sys.platform == "linux"
            rendezvous = _open_rendezvous(listeners[FASTAGI]) if may_meet else None
            if take_over:
                _log.info("nobody_to_take_over_from")
        return Entrance(listeners, rendezvous, predecessor)
    finally:
        connection = [predecessor.connection] if predecessor is not None else []
        for sock in (*received.values(), *connection, *(predecessor.sockets.values() if predecessor else ())):
            if sock not in kept:  # at an address that is no longer wanted; the old engine serves who waits there
                sock.close()


def _open_rendezvous(listener: socket.socket) -> socket.socket | None:
    """The meeting point for the engine after this one; None, and a line in the log, when it cannot be had."""
    rendezvous = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        rendezvous.setblocking(False)
        rendezvous.bind(_meeting_point(Endpoint(listener.family, listener.getsockname())))
        rendezvous.listen(WAITING_MAX)
    except OSError as error:
        rendezvous.close()
        _log.warning("takeover_impossible", error=str(error), hint="serve --takeover will find no engine here")
        return None
    return rendezvous


def _meeting_point(endpoint: Endpoint) -> bytes:
    """An abstract address, which vanishes with the last process that has it and needs no directory."""
    host, port = endpoint.address[:2]
    return f"\0rating-engine takeover {host} {port}".encode()


def _peer_user(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    user: int = _CREDENTIALS.unpack(credentials)[1]
    return user


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return list(numbers)
