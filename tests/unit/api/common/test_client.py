"""Who asks, by what trusted proxies say: the right-most address that is none of theirs, and https only if all was."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from rating_engine.api.common.client import ProxyHeader, client_of

TRUSTED = (ip_network("10.0.0.0/8"), ip_network("::1/128"))
PROXY = "10.0.0.1"


def asked(*headers: tuple[str, str], header: ProxyHeader = ProxyHeader.X_FORWARDED, peer: str = PROXY) -> object:
    return client_of(peer, [(name.encode(), value) for name, value in headers], TRUSTED, header)


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("127.0.0.1, 192.0.2.7", "192.0.2.7"),  # what the client has written stands left
        ("10.0.0.9, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),  # all trusted: who is furthest away
        ("192.0.2.7:51111", "192.0.2.7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", PROXY),
        ("192.0.2.7, unknown", PROXY),
        ("192.0.2.7, garbage, 10.0.0.2", "10.0.0.2"),  # who wrote garbage is as far as anything is known
        ("fe80::1%eth0", PROXY),
        ("", PROXY),
        (" , ,", PROXY),
    ],
)
def test_the_right_most_address_that_is_no_proxys_counts(chain, address):
    assert asked(("x-forwarded-for", chain)) == (address, False)


def test_several_headers_are_one_chain():
    assert asked(("x-forwarded-for", "127.0.0.1"), ("x-forwarded-for", "192.0.2.7"))[0] == "192.0.2.7"


@pytest.mark.parametrize(
    ("ways", "secure"),
    [(["https"], True), (["HTTPS"], True), (["http"], False), ([], False), (["https, http"], False),
     (["https", "http"], False), (["https, https"], True), (["on"], False), ([""], False)],
)  # fmt: skip
def test_it_is_secure_if_every_hop_says_so(ways, secure):
    assert asked(("x-forwarded-for", "192.0.2.7"), *(("x-forwarded-proto", way) for way in ways))[1] is secure


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("for=192.0.2.7;proto=https", ("192.0.2.7", True)),
        ('For="[2001:db8::7]:4711";by=10.0.0.1;Proto=https', ("2001:db8::7", True)),
        ("for=127.0.0.1;proto=https, for=192.0.2.7;proto=http", ("192.0.2.7", False)),
        ("for=192.0.2.7;proto=https, for=10.0.0.2", ("192.0.2.7", False)),  # one hop says nothing of its way
        ('for="a,b;for=1.2.3.4", for=192.0.2.7', ("192.0.2.7", False)),
        ("for=_hidden", (PROXY, False)),
        ('for="', (PROXY, False)),
        ("", (PROXY, False)),
    ],
)
def test_rfc_7239_says_the_same(said, heard):
    assert asked(("forwarded", said), header=ProxyHeader.FORWARDED) == heard


def test_the_form_that_proxies_do_not_write_is_not_looked_at():
    said = [("forwarded", "for=127.0.0.1;proto=https"), ("x-forwarded-for", "192.0.2.7")]

    assert asked(*said) == ("192.0.2.7", False)
    assert asked(*said, header=ProxyHeader.FORWARDED) == ("127.0.0.1", True)
