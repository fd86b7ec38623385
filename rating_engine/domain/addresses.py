"""Addresses that people name: one, a network, or one with stars for what does not matter; always as a network."""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from rating_engine.domain.errors import InvalidRequest

Network = IPv4Network | IPv6Network

HOST_PREFIX_V6: Final = 64  # whoever has one address of IPv6 has so large a network of them

MAPPED_PREFIX: Final = 96  # bits before the address of IPv4 in one of IPv6

_STARS: Final = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,2})((?:\.\*){1,3})")


def parse_network(text: str, field: str) -> Network:
    """192.0.2.7, 192.0.2.0/24, 192.0.2.* or 2001:db8::/32 as a network. Raises InvalidRequest."""
    written = text.strip()
    stars = _STARS.fullmatch(written)
    if stars is not None and (stars[1] + stars[2]).count(".") <= 3:  # 192.0.* is 192.0.*.*
        missing = 3 - stars[1].count(".")
        written = stars[1] + ".0" * missing + f"/{32 - 8 * missing}"
    try:
        return _plain(ip_network(written))
    except ValueError:
        raise InvalidRequest(
            field, f"{text[:64]!r} is no address, no network such as 192.0.2.0/24, nor 192.0.2.*"
        ) from None


def _plain(network: Network) -> Network:
    """An address of IPv4 written as one of IPv6 (::ffff:192.0.2.7): whoever has it is met by its own name."""
    mapped = None if isinstance(network, IPv4Network) else network.network_address.ipv4_mapped
    if mapped is None or network.prefixlen < MAPPED_PREFIX:
        return network
    return IPv4Network((mapped, network.prefixlen - MAPPED_PREFIX))


def network_of_host(address: str) -> Network | None:
    """What one host has of addresses: itself, of IPv6 its /64. None: that is no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    if isinstance(found, IPv6Address):
        return IPv6Network((found, HOST_PREFIX_V6), strict=False)
    return IPv4Network(found)


def is_in(address: str, networks: tuple[Network, ...]) -> bool:
    """Whether an address is in one of the networks."""
    host = network_of_host(address)
    if host is None:
        return False
    exact = ip_address(address.partition("%")[0])
    if isinstance(exact, IPv6Address) and exact.ipv4_mapped is not None:
        exact = exact.ipv4_mapped
    return any(exact in network for network in networks)


def is_public(text: str) -> bool:
    """Whether an address is anybody's on the internet."""
    address = ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_global and not address.is_multicast
