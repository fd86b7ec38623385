"""What an exchange says of logins that failed there, as a real one has said it."""

from __future__ import annotations

import pytest

from agi.ami.security import failed_login
from rating_engine.domain.watching import FailedLogin

EVENT = {
    "Event": "ChallengeResponseFailed",
    "EventTV": "2026-11-30T06:53:53.411+0000",
    "Severity": "Error",
    "Service": "PJSIP",
    "EventVersion": "1",
    "AccountID": "anna",
    "SessionID": "5b4d",
    "LocalAddress": "IPV4/UDP/127.0.0.1/5060",
    "RemoteAddress": "IPV4/UDP/192.0.2.7/51234",
    "Challenge": "1764485633/abc",
    "Response": "0f0f",
    "ExpectedResponse": "",
}


def test_a_wrong_password_is_somebodys_at_an_address():
    assert failed_login(EVENT) == FailedLogin("192.0.2.7", "anna", "ChallengeResponseFailed", "PJSIP", "5b4d")


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({"Event": "InvalidAccountID"}, "192.0.2.7"),
        ({"Event": "InvalidPassword", "Service": "AMI", "RemoteAddress": "IPV4/TCP/192.0.2.7/5"}, "192.0.2.7"),
        ({"RemoteAddress": "IPV6/TLS/2001:db8::7/5061"}, "2001:db8::7"),
        ({"RemoteAddress": "IPV6/UDP/fe80::1%eth0/5061"}, "fe80::1"),
        ({"Event": "SuccessfulAuth"}, None),
        ({"Event": "ChallengeSent"}, None),
        ({"Event": "LoadAverageLimit"}, None),
        ({"RemoteAddress": "garbage"}, None),
        ({"RemoteAddress": ""}, None),
    ],
)
def test_only_logins_that_failed_count_and_only_with_an_address(changes, address):
    found = failed_login({**EVENT, **changes})
    assert (found and found.address) == address


def test_what_a_guesser_writes_is_kept_short_and_printable():
    found = failed_login({**EVENT, "AccountID": "a\x1b[31m\n" + "x" * 10_000})
    assert found is not None
    assert found.account == ("a[31m" + "x" * 10_000)[:64]
