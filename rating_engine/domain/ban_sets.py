"""The bans as sets that a packet filter takes: which networks, and how nftables and ipset write them. Pure.

Laws: every address that is banned and not protected is in exactly one network of a set, and no other address is; the
same bans are the same text, whatever order they come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from typing import Any, Final

from rating_engine.domain.addresses import Network
from rating_engine.domain.ban import Ban

TABLE: Final = "rating_engine"
SETS: Final = {4: "banned4", 6: "banned6"}
IPSET_MAX: Final = 262_144  # networks of a set; more than an engine keeps bans

_HEAD: Final = "# Made by rating-engine, anew at each change of its bans; what is written here by hand is lost.\n"


class BanFileForm(StrEnum):
    """What reads the file: `nft -f FILE`, or `ipset restore -file FILE`."""

    NFTABLES = "nftables"
    IPSET = "ipset"


def banned_networks(bans: Iterable[Ban], now: datetime) -> list[Network]:
    """What is banned now, without what is protected: networks that do not overlap, by version and address."""
    counting = [ban for ban in bans if ban.expires_at is None or ban.expires_at > now]
    protected = {ban.target for ban in counting if ban.protects}
    banned = {ban.target for ban in counting if not ban.protects}
    left = [network for network in banned if not any(wider in protected for wider in _wider(network, protected))]
    if protected:
        left = [part for network in left for part in _without(network, protected)]
    v4 = collapse_addresses([each for each in left if isinstance(each, IPv4Network)])
    v6 = collapse_addresses([each for each in left if isinstance(each, IPv6Network)])
    return [*v4, *v6]


def next_end(bans: Iterable[Ban], now: datetime) -> datetime | None:
    """When the next of them is over; None: none ends by itself."""
    return min((ban.expires_at for ban in bans if ban.expires_at is not None and ban.expires_at > now), default=None)


def ban_file(networks: Sequence[Network], form: BanFileForm) -> str:
    """The whole file; read once more it changes nothing, and each set is changed at one moment."""
    versions = {version: [str(each) for each in networks if each.version == version] for version in SETS}
    return _HEAD + (_nftables(versions) if form is BanFileForm.NFTABLES else _ipset(versions))


def _nftables(versions: dict[int, list[str]]) -> str:
    lines = [f"add table inet {TABLE}"]
    for version, networks in versions.items():
        name = f"inet {TABLE} {SETS[version]}"
        lines += [f"add set {name} {{ type ipv{version}_addr; flags interval; }}", f"flush set {name}"]
        if networks:
            lines.append(f"add element {name} {{ {', '.join(networks)} }}")
    return "\n".join(lines) + "\n"


def _ipset(versions: dict[int, list[str]]) -> str:
    lines = []
    for version, networks in versions.items():
        name, family = f"{TABLE}_{SETS[version]}", {4: "inet", 6: "inet6"}[version]
        made = f"hash:net family {family} maxelem {IPSET_MAX} -exist"
        lines += [f"create {name} {made}", f"create {name}_new {made}", f"flush {name}_new"]
        # Of all addresses ipset takes two halves alone.
        halves = [half for each in networks for half in (_halves(each) if each.endswith("/0") else [each])]
        lines += [f"add {name}_new {each} -exist" for each in halves]
        lines += [f"swap {name}_new {name}", f"destroy {name}_new"]
    return "\n".join(lines) + "\n"


def _halves(everything: str) -> list[str]:
    return ["0.0.0.0/1", "128.0.0.0/1"] if "." in everything else ["::/1", "8000::/1"]


def _wider(network: Network, among: Iterable[Network]) -> list[Network]:
    """The networks of the lengths that there are which hold this one, or are it."""
    lengths = {each.prefixlen for each in among if each.version == network.version}
    return [network.supernet(new_prefix=length) for length in lengths if length <= network.prefixlen]


def _without(network: Network, protected: Iterable[Network]) -> list[Network]:
    """The parts of a network that nobody protects."""
    parts: list[Any] = [network]  # Any: of one version, which the library's types cannot say
    for hole in protected:
        if hole.version == network.version:
            left = [part for part in parts if not _holds(hole, part)]  # what another hole cut off may lie in this one
            parts = [rest for part in left for rest in (part.address_exclude(hole) if _holds(part, hole) else (part,))]
    return parts


def _holds(network: Any, other: Any) -> bool:
    return bool(other.subnet_of(network))
