"""Addresses as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_network

import pytest

from rating_engine.domain.addresses import parse_network
from rating_engine.domain.ban import Ban, BanIndex

NOW = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "network"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        (" 192.0.2.* ", "192.0.2.0/24"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::/0", "::/0"),
    ],
)
def test_an_address_is_one_network_however_it_is_written(written: str, network: str):
    assert parse_network(written, "target") == ip_network(network)


def test_an_address_of_ipv4_that_is_banned_as_one_of_ipv6_is_banned():
    ban = Ban(1, "test", parse_network("::ffff:192.0.2.7", "target"), "", True, None, 0, NOW)
    for address in ("192.0.2.7", "::ffff:192.0.2.7"):
        assert BanIndex([ban]).find(address, NOW) is ban
