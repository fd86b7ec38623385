"""agi.fastagi.limits: who may speak to the server."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from agi.fastagi.limits import KNOWN_PEERS, LOOPBACK, Admission


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.8.9.10", "127.8.9.10"),
        ("::1", "::1"),
        ("0:0:0:0:0:0:0:1", "::1"),
        ("::ffff:127.0.0.1", "127.0.0.1"),
        ("10.0.0.1", None),
        ("::ffff:10.0.0.1", None),
        ("fe80::1%eth0", None),
        ("2001:db8::1", None),
        ("localhost", None),
        ("", None),
    ],
)
def test_only_loopback_is_admitted_by_default(host: str, address: str | None) -> None:
    assert Admission(LOOPBACK).address_of(host) == address


def test_a_network_is_admitted_when_it_is_listed() -> None:
    admission = Admission([ip_network("10.1.0.0/16"), ip_network("fe80::/10")])
    assert admission.address_of("10.1.2.3") == "10.1.2.3"
    assert admission.address_of("10.2.0.1") is None
    assert admission.address_of("127.0.0.1") is None
    assert admission.address_of("fe80::1") == "fe80::1"


def test_nobody_is_admitted_to_an_empty_list() -> None:
    assert Admission([]).address_of("127.0.0.1") is None


def test_what_is_remembered_stays_bounded_and_right() -> None:
    admission = Admission(LOOPBACK)
    for number in range(KNOWN_PEERS + 10):
        assert admission.address_of(f"127.1.{number // 256}.{number % 256}") is not None
    assert len(admission._known) <= KNOWN_PEERS
    assert admission.address_of("10.0.0.1") is None
    assert admission.address_of("10.0.0.1") is None
