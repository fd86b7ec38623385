"""How an exchange is named in the settings."""

from __future__ import annotations

import pytest

from agi.ami.address import AmiAddress, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("pbx1=ami://engine:s3cret@10.0.0.9:5038", AmiAddress("pbx1", "10.0.0.9", 5038, "engine", "s3cret")),
        ("10.0.0.9=ami://engine:s@10.0.0.9", AmiAddress("10.0.0.9", "10.0.0.9", 5038, "engine", "s")),
        ("2001:db8::1=ami://e:s@[2001:db8::1]:99", AmiAddress("2001:db8::1", "2001:db8::1", 99, "e", "s")),
        ("a=ami://e:a%40b%2Fc%25@host", AmiAddress("a", "host", 5038, "e", "a@b/c%")),
        ("a=ami://e:s@host?tls=1", AmiAddress("a", "host", 5039, "e", "s", tls=True)),
        ("a=ami://e:s@host:1?tls=yes&ca=/etc/ca.pem", AmiAddress("a", "host", 1, "e", "s", True, "/etc/ca.pem")),
    ],
)
def test_an_exchange_is_understood(text: str, address: AmiAddress) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "pbx1",
        "ami://e:s@host",
        "a/b=ami://e:s@host",
        "a b=ami://e:s@host",
        "a=http://e:s@host",
        "a=ami://host",
        "a=ami://e@host",
        "a=ami://e:s@",
        "a=ami://e:s%0d%0aAction@host",
        "a=ami://e:s@host:99999",
        "a=ami://e:s@host?ssl=1",
        "a=ami://e:s@host?tls",
    ],
)
def test_what_names_no_exchange_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_address(text)


def test_a_secret_is_not_shown() -> None:
    assert "s3cret" not in repr(parse_address("a=ami://e:s3cret@host"))
