"""Whatever a client writes into the headers of its request, a trusted proxy's own words count."""

from __future__ import annotations

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.api.common.client import ProxyHeader, client_of

TRUSTED = (ip_network("10.0.0.0/8"),)
written = st.text(st.characters(max_codepoint=255), max_size=200)
headers = st.sampled_from([b"x-forwarded-for", b"x-forwarded-proto", b"forwarded"])


@given(before=st.lists(written, max_size=3), hops=st.integers(0, 3))
def test_what_stands_left_of_the_address_that_a_proxy_added_changes_nothing(before, hops):
    added = ["192.0.2.7", *(f"10.0.0.{hop + 2}" for hop in range(hops))]
    chain = [(b"x-forwarded-for", text) for text in before] + [(b"x-forwarded-for", ", ".join(added))]

    assert client_of("10.0.0.1", chain, TRUSTED, ProxyHeader.X_FORWARDED)[0] == "192.0.2.7"


@given(said=st.lists(st.tuples(headers, written), max_size=6), header=st.sampled_from(ProxyHeader))
def test_nothing_written_there_is_an_error_and_the_answer_is_an_address(said, header):
    address, secure = client_of("10.0.0.1", said, TRUSTED, header)

    assert ip_network(address).num_addresses == 1
    assert not secure or any("https" in text.lower() for _, text in said)
