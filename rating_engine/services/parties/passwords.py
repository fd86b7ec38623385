"""Passwords: argon2id over the MD5 of a password in hex, so that one password serves every surface.

Laws: a password, its MD5 and what is remembered of it never leave this module; two are worked out at a time, each in a
thread (19 MB and some 30 ms of a core), a bounded number wait, and who comes then is refused; that a password was right
is remembered for REMEMBERED_SECONDS under a key that this process drew, so a stolen memory is no list of hashes.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from rating_engine.domain.errors import InvalidRequest, Overloaded
from rating_engine.domain.weak_passwords import is_weak_md5

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Result = TypeVar("Result")

AT_A_TIME: Final = 2  # calls keep the rest of the machine
WAITING_MAX: Final = 64  # they are through in two seconds; who waits longer asks again by itself
# What OWASP asks for at least; a hash names its own, so more can be asked of new ones at any time.
PASSES: Final = 2
MEMORY_KIB: Final = 19_456
REMEMBERED_SECONDS: Final = 60.0  # a surface sends the password with each request
REMEMBERED_MAX: Final = 10_000  # of 32 bytes each

_MD5: Final = re.compile(r"[0-9a-fA-F]{32}")


def md5_of(password: str) -> str:
    """The MD5 of a password in hex: what is hashed, since one surface is given no more than this."""
    return hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()


def md5_given(text: str, field: str = "password") -> str:
    """An MD5 that was given in a password's place. Raises InvalidRequest."""
    if not _MD5.fullmatch(text):
        raise InvalidRequest(field, "is no MD5: 32 hexadecimal digits")
    return text.lower()


class HashedPassword:
    """What is kept of a new password: its hash, and whether it is one that is tried first."""

    __slots__ = ("_md5", "text")

    def __init__(self, md5: str, text: str) -> None:
        self._md5 = md5
        self.text = text

    def is_weak_for(self, login: str) -> bool:
        """Whether it is common, or made of this login."""
        return is_weak_md5(self._md5, login)


class Passwords:
    """Hashes passwords and checks them. One a process."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now = monotonic
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._waiting = 0
        self._key = secrets.token_bytes(32)
        self._nobodys: str | None = None
        self._right: OrderedDict[bytes, float] = OrderedDict()  # until when; the oldest first

    async def hash(self, md5: str) -> HashedPassword:
        """What is kept of a password. Errors: Overloaded."""
        return HashedPassword(md5, await self._in_turn(lambda: _hash(md5)))

    async def verify(self, md5: str, hashed: str) -> bool:
        """Whether it is the password of this hash. Errors: Overloaded."""
        seal = hmac.digest(self._key, f"{md5} {hashed}".encode(), "sha256")
        now = self._now()
        if self._right.get(seal, 0.0) > now:
            return True
        if not await self._in_turn(lambda: _verify(md5, hashed)):
            return False
        while self._right and (len(self._right) >= REMEMBERED_MAX or next(iter(self._right.values())) <= now):
            self._right.popitem(last=False)
        self._right[seal] = now + REMEMBERED_SECONDS
        self._right.move_to_end(seal)
        return True

    async def verify_nobody(self, md5: str) -> None:
        """As long as a wrong password takes, for a login nobody has: the time tells no logins. Errors: Overloaded."""
        if self._nobodys is None:
            self._nobodys = (await self.hash(secrets.token_hex(16))).text
        await self.verify(md5, self._nobodys)

    async def _in_turn(self, work: Callable[[], Result]) -> Result:
        if self._waiting >= WAITING_MAX:
            raise Overloaded("too many passwords are being checked; try again in a second")
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _hash(md5: str) -> str:
    return _hasher().hash(md5)


def _verify(md5: str, hashed: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return _hasher().verify(hashed, md5)
    except (VerificationError, InvalidHashError):
        return False


@functools.cache
def _hasher() -> PasswordHasher:
    """Loaded with the first password: commands that need none start without it."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=1)
