"""Looking bans up by a table finds what going through all of them finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.ban import WHITELIST, Ban, BanIndex

NOW = datetime(2026, 11, 30, tzinfo=UTC)

addresses = st.one_of(
    st.integers(0, 31).map(lambda n: f"192.0.2.{n}"), st.integers(0, 7).map(lambda n: f"2001:db8::{n:x}")
)
networks = st.builds(
    lambda address, bits: ip_network(f"{address}/{ip_address(address).max_prefixlen - bits}", strict=False),
    addresses,
    st.integers(0, 6),
)
bans = st.builds(
    lambda network, source, hours: Ban(
        0, source, network, "", False, None if hours is None else NOW + timedelta(hours=hours), 0, NOW
    ),
    networks,
    st.sampled_from(["engine", "pbx1", WHITELIST]),
    st.sampled_from([None, -1, 1]),
)


@given(st.lists(bans, max_size=8), addresses)
def test_the_table_finds_what_a_search_finds(known, address):
    def counts(protects: bool) -> bool:
        return any(
            ban.protects is protects
            and ip_address(address) in ban.target
            and (ban.expires_at is None or ban.expires_at > NOW)
            for ban in known
        )

    index = BanIndex(known)

    assert index.is_protected(address, NOW) == counts(True)
    assert (index.find(address, NOW) is not None) == (counts(False) and not counts(True))
    assert (index.find(f"::ffff:{address}", NOW) is not None) == (
        index.find(address, NOW) is not None
    ) or ":" in address


@given(st.text())
def test_what_is_no_address_is_not_banned(text):
    index = BanIndex([Ban(0, "engine", ip_network("0.0.0.0/0"), "", False, None, 0, NOW)])

    assert index.find(text, NOW) is None or ip_address(text)
