"""What is tried first is weak, as a text and as the MD5 that one surface is given in its place."""

from __future__ import annotations

import hashlib

import pytest

from rating_engine.domain.weak_passwords import COMMON, SHORT, is_weak, is_weak_md5


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    "password",
    ["12345678", "Password1", "QWERTY123", "office-7", "office-71234", "7-eciffo", "sipoffice-7", "Office-7!"],
)
def test_what_is_common_or_made_of_the_login_is_weak(password: str) -> None:
    assert is_weak(password, "office-7")
    assert is_weak_md5(md5(password), "office-7")


def test_what_is_short_is_weak_where_its_length_is_known() -> None:
    assert is_weak("x9$Kw2a", "office-7")
    assert not is_weak_md5(md5("x9$Kw2a"), "office-7")


@pytest.mark.parametrize("password", ["correct horse", "x9$Kw2aZ", "office-8", "wN4tK1q9rV"])
def test_others_are_not(password: str) -> None:
    assert not is_weak(password, "office-7")
    assert not is_weak_md5(md5(password), "office-7")


def test_no_common_one_is_shorter_than_a_password_may_be() -> None:
    assert {word for word in COMMON if len(word) < SHORT} == {"123456", "1234567"}
    assert all(word == word.lower() for word in COMMON)
