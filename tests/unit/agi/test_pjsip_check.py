"""pjsip.conf is read for trunks that keep callers waiting, or let calls run on."""

from __future__ import annotations

import pytest

from agi.pjsip_check import check_trunks

GOOD = """
[trunk](!)
type=endpoint
rtp_timeout=60 ; seconds
allow_transfer=no
[reachable](!)
type = aor
qualify_frequency => 30
[carrier](trunk)
aors=carrier
[carrier](reachable)
contact=sip:carrier.example.com
"""


def lacking(text: str, *routes: str) -> list[str]:
    found = check_trunks(text, routes or ("carrier",))
    assert all(mend.startswith("write ") for _, mend in found)
    return [what.partition(" has no ")[2].partition(":")[0] for what, _ in found]


def test_a_trunk_with_all_of_it_by_templates_has_nothing_to_find():
    assert lacking(GOOD) == []


def test_a_trunk_as_it_comes_lacks_all_of_it():
    assert lacking("[carrier]\ntype=aor\n[carrier]\ntype=endpoint\naors=carrier\n") == [
        "qualify_frequency",
        "rtp_timeout",
        "allow_transfer",
    ]


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("qualify_frequency => 30", "qualify_frequency=0", ["qualify_frequency"]),
        ("rtp_timeout=60", ";rtp_timeout=60", ["rtp_timeout"]),
        ("allow_transfer=no", "allow_transfer=yes", ["allow_transfer"]),
        ("contact=", "qualify_frequency=0\ncontact=", ["qualify_frequency"]),  # its own wins over the template's
    ],
)
def test_each_that_is_missing_is_named(old, new, missing):
    assert old in GOOD
    assert lacking(GOOD.replace(old, new)) == missing


def test_what_is_added_to_a_section_later_counts():
    added = GOOD.replace("allow_transfer=no", "") + "[carrier](+)\n"
    assert lacking(added) == ["allow_transfer"]
    bare = "[carrier]\ntype=endpoint\nrtp_timeout=60\n[carrier](+)\nallow_transfer=no\n"
    assert lacking(bare) == []


def test_a_route_whose_endpoint_is_kept_elsewhere_is_passed_over():
    assert lacking(GOOD, "somebody") == []
    assert check_trunks("", ("carrier",)) == []
