"""The sets of a packet filter: exactly the addresses that are banned and not protected, in networks of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from rating_engine.domain.addresses import Network
from rating_engine.domain.ban import WHITELIST, Ban, BanIndex
from rating_engine.domain.ban_sets import BanFileForm, ban_file, banned_networks, next_end

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ban(target: Network, source: str, ends: timedelta | None) -> Ban:
    return Ban(1, source, target, "", False, None if ends is None else NOW + ends, 0, NOW)


def network(number: int, length: int, v6: bool) -> Network:
    if v6:
        return ip_network((0x20010DB8 << 96 | number, 128 - length), strict=False)
    return ip_network((0xC0000200 + number, 32 - length), strict=False)


networks = st.builds(network, st.integers(0, 63), st.integers(0, 6), st.booleans())
ends = st.sampled_from([None, timedelta(hours=1), timedelta(0), timedelta(hours=-1)])
bans = st.lists(st.builds(ban, networks, st.sampled_from(["engine", "pbx1", WHITELIST]), ends), max_size=12)


@given(bans)
def test_exactly_what_the_engine_refuses_is_in_one_network(bans):
    found = banned_networks(bans, NOW)
    index = BanIndex(bans)

    for number in range(64):
        for v6 in (False, True):
            address = network(number, 0, v6).network_address
            holding = [each for each in found if address in each]
            assert len(holding) == (index.find(str(address), NOW) is not None)


@given(bans, st.randoms())
def test_the_order_of_bans_is_no_matter(bans, random):
    other = random.sample(bans, len(bans))
    for form in BanFileForm:
        assert ban_file(banned_networks(bans, NOW), form) == ban_file(banned_networks(other, NOW), form)


@given(bans)
def test_nothing_changes_by_itself_before_the_next_end(bans):
    end = next_end(bans, NOW)
    just_before = NOW + timedelta(days=1_000) if end is None else end - timedelta(microseconds=1)
    assert banned_networks(bans, NOW) == banned_networks(bans, just_before)


def test_what_is_protected_twice_is_in_no_network():
    """The wider of two protected networks holds parts that the narrower one cut off."""
    protected = [ban(ip_network(each), WHITELIST, None) for each in ("192.0.2.0/30", "192.0.2.0/28")]
    found = banned_networks([*protected, ban(ip_network("192.0.2.0/27"), "engine", None)], NOW)
    assert found == [ip_network("192.0.2.16/28")]


def test_all_the_internet_but_an_office_is_quickly_told():
    everything = [ban(ip_network("0.0.0.0/0"), "engine", None), ban(ip_network("192.0.2.0/24"), WHITELIST, None)]
    found = banned_networks(everything, NOW)
    assert len(found) == 24
    assert not any(ip_address("192.0.2.7") in each for each in found)
