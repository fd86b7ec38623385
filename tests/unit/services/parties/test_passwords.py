"""Passwords are worked out two at a time, a bounded number waits, and what was right is remembered for a minute."""

from __future__ import annotations

import asyncio

import pytest

from rating_engine.domain.errors import InvalidRequest, Overloaded
from rating_engine.services.parties import passwords
from rating_engine.services.parties.passwords import REMEMBERED_SECONDS, WAITING_MAX, Passwords, md5_given, md5_of


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was worked out, in place of argon2: the hash of `x` is `hash of x`."""
    done: list[str] = []

    def verify(md5: str, hashed: str) -> bool:
        done.append(md5)
        return hashed == f"hash of {md5}"

    monkeypatch.setattr(passwords, "_verify", verify)
    monkeypatch.setattr(passwords, "_hash", lambda md5: f"hash of {md5}")
    return done


async def test_what_was_right_is_remembered_for_a_minute_and_what_was_wrong_is_not(worked):
    clock = Clock()
    known = Passwords(monotonic=clock)

    assert [await known.verify("a", "hash of a") for _ in range(3)] == [True] * 3
    assert [await known.verify("b", "hash of a") for _ in range(2)] == [False] * 2
    assert worked == ["a", "b", "b"]
    assert await known.verify("a", "hash of b") is False
    clock.now = REMEMBERED_SECONDS
    assert await known.verify("a", "hash of a") is True
    assert worked == ["a", "b", "b", "a", "a"]


async def test_who_comes_when_too_many_wait_is_refused_and_the_rest_is_served(worked):
    known = Passwords()

    answers = await asyncio.gather(
        *(known.verify(str(n), f"hash of {n}") for n in range(WAITING_MAX + 5)), return_exceptions=True
    )

    assert sum(answer is True for answer in answers) == WAITING_MAX
    assert sum(isinstance(answer, Overloaded) for answer in answers) == 5
    assert await known.verify("again", "hash of again")


async def test_a_hash_is_argon2id_and_its_own_each_time():
    known = Passwords()
    first, second = [(await known.hash(md5_of("correct horse"))).text for _ in range(2)]

    assert first.startswith("$argon2id$")
    assert first != second
    assert await known.verify(md5_of("correct horse"), second)
    assert not await known.verify(md5_of("correct horse"), "no hash at all")


@pytest.mark.parametrize("text", ["", "x" * 32, "0" * 33, "0" * 31])
def test_what_is_no_md5_is_refused(text):
    with pytest.raises(InvalidRequest):
        md5_given(text)
