"""Passwords that are tried first by whoever has none: the commonest ones, and those that are the login again.

Pure. What is short is not asked here: users' passwords have PASSWORD_MIN characters at least (domain/party).
"""

from __future__ import annotations

import functools
import hashlib
from typing import Final

SHORT: Final = 8  # characters; what is shorter is tried whole in hours

# What heads every published list of leaked passwords, in lower case; telephones' own defaults among them.
COMMON: Final = frozenset(
    """
    123456 1234567 12345678 123456789 1234567890 12345678910 0123456789 987654321 9876543210 0987654321 87654321
    00000000 11111111 22222222 33333333 55555555 66666666 77777777 88888888 99999999 111111111 000000000 11223344
    1122334455 12341234 123123123 123321123 12344321 147258369 1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qazxsw2 zaq12wsx
    a1b2c3d4 aa123456 abc12345 abcd1234 abcdefgh asdfghjkl asdfasdf qwertyui qwertyuiop qwerty12 qwerty123
    qwerty1234 qazwsxedc q1w2e3r4 q1w2e3r4t5 zxcvbnm1 zxcvbnm123 password password1 password12 password123
    passw0rd p@ssw0rd p@ssword pass1234 passwort passwort1 parola123 haslo123 changeme changeme1 changeit letmein1
    letmein123 iloveyou iloveyou1 sunshine princess football baseball superman starwars whatever trustno1 welcome1
    welcome123 computer internet samsung1 michelle jennifer charlie1 admin123 admin1234 administrator adminadmin
    root1234 toor1234 test1234 testtest user1234 guest123 default1 secret12 secret123 master12 dragon12 monkey12
    shadow12 asterisk asterisk1 freepbx1 telephone voip1234 sip12345 phone123
    """.split()  # noqa: SIM905 (a list of them takes a page)
)
_AROUND: Final = ("", "1", "12", "123", "1234", "!", "sip", "voip")  # what people put behind the login


def is_weak(password: str, login: str) -> bool:
    """Whether a password is short, common, or made of the login."""
    return len(password) < SHORT or password.lower() in COMMON or password.lower() in _of_login(login)


def is_weak_md5(md5: str, login: str) -> bool:
    """The same of a password's MD5 in hex, which does not tell how long it was."""
    return md5.lower() in _common_md5s() or md5.lower() in {_md5(text) for text in _as_written(_of_login(login))}


def _of_login(login: str) -> frozenset[str]:
    login = login.lower()
    return frozenset(word for text in _AROUND for word in (login + text, text + login)) | {login[::-1], login * 2}


def _as_written(words: frozenset[str]) -> frozenset[str]:
    return words | {word.capitalize() for word in words} | {word.upper() for word in words}


@functools.cache
def _common_md5s() -> frozenset[str]:
    return frozenset(map(_md5, _as_written(COMMON)))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
