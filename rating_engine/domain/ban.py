"""Addresses that are not served, and those that nothing bans by itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from rating_engine.domain.addresses import Network

WHITELIST: Final = "whitelist"  # the source of rows that protect
ENGINE_SOURCE: Final = "engine"  # of bans of this engine's own ports


@dataclass(frozen=True, slots=True)
class Ban:
    """One row. `source`: for whom it was said (an exchange, `engine`, or `whitelist`). `expires_at` None: never."""

    ban_id: int
    source: str
    target: Network
    reason: str
    permanent: bool
    expires_at: datetime | None
    hits: int
    created_at: datetime

    @property
    def protects(self) -> bool:
        """Whether it is the opposite of a ban."""
        return self.source == WHITELIST


class BanIndex:
    """Bans for looking up: a table by the length of a network, so a thousand bans cost as little as one."""

    def __init__(self, bans: Iterable[Ban] = ()) -> None:
        self._banned: dict[tuple[int, int], dict[int, Ban]] = {}
        self._protected: dict[tuple[int, int], dict[int, Ban]] = {}
        for ban in bans:
            table = self._protected if ban.protects else self._banned
            kept = table.setdefault((ban.target.version, ban.target.prefixlen), {})
            before = kept.get(int(ban.target.network_address))
            if before is None or _lasts_longer(ban, before):
                kept[int(ban.target.network_address)] = ban
        self.bans_any = bool(self._banned)

    def find(self, address: str, now: datetime) -> Ban | None:
        """The ban that an address is under; None: it is served. What is no address is served: its listener decides."""
        found = _look(self._banned, address, now)
        return None if found is None or self.is_protected(address, now) else found

    def is_protected(self, address: str, now: datetime) -> bool:
        """Whether nothing bans it by itself."""
        return _look(self._protected, address, now) is not None


def _look(table: dict[tuple[int, int], dict[int, Ban]], text: str, now: datetime) -> Ban | None:
    if not table:
        return None
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    number, bits = int(address), address.max_prefixlen
    for (version, length), kept in table.items():
        ban = kept.get(number >> (bits - length) << (bits - length)) if version == address.version else None
        if ban is not None and (ban.expires_at is None or ban.expires_at > now):
            return ban
    return None


def _lasts_longer(ban: Ban, other: Ban) -> bool:
    if ban.expires_at is None or other.expires_at is None:
        return ban.expires_at is None
    return ban.expires_at > other.expires_at
