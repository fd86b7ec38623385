"""Every limit of the FastAGI server, with its reason, and who may speak to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from agi.fastagi.request import DEFAULT_LIMITS, RequestLimits

MAX_CONNECTIONS: Final = 4_096  # one a channel being set up or torn down; each costs about 10 kB and a descriptor
REQUEST_SECONDS: Final = 5.0  # Asterisk sends its headers in one burst; more means a stalled or hostile peer
SERVICE_SECONDS: Final = 15.0  # a backstop: the services keep shorter deadlines of their own
REPLY_SECONDS: Final = 10.0  # Asterisk replies when its channel thread wakes; a busy machine may take a second
BACKLOG: Final = 1_024  # connections that wait for accept(): a burst of calls on a busy loop
REJECTION_LOG_SECONDS: Final = 1.0  # one line a second and reason at most, so that a flood doesn't fill the disk
KNOWN_PEERS: Final = 4_096  # addresses whose admission is remembered; the memory starts anew when it is full

LOOPBACK: Final[tuple[IPv4Network | IPv6Network, ...]] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one peer, and all of them together, may take."""

    connections: int = MAX_CONNECTIONS
    request: RequestLimits = field(default=DEFAULT_LIMITS)
    request_seconds: float = REQUEST_SECONDS
    service_seconds: float = SERVICE_SECONDS
    reply_seconds: float = REPLY_SECONDS


class Admission:
    """Which peers may speak: those of the allowed networks. Remembers what it found, for the next call."""

    def __init__(self, networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._networks = tuple(networks)
        self._known: dict[str, str | None] = {}

    def address_of(self, host: str) -> str | None:
        """The peer's address in its usual form (IPv4 also where it came mapped into IPv6); None = not allowed."""
        if host not in self._known:
            if len(self._known) >= KNOWN_PEERS:
                self._known.clear()
            self._known[host] = self._look(host)
        return self._known[host]

    def _look(self, host: str) -> str | None:
        try:
            address = ip_address(host)
        except ValueError:
            return None
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return str(address) if any(address in network for network in self._networks) else None
