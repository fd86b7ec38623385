"""Exchanges: the Asterisk servers whose phones the engine knows.

Laws: an exchange is known by one name in its calls, its AMI address in the settings (`ami_exchanges`) and its key; the
realm of its phones' passwords changes only while it has none.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.errors import InvalidRequest

DEFAULT_CONTEXT: Final = "phones"
MAX_ROLE: Final = 63  # a name of PostgreSQL
SCRAM_ITERATIONS: Final = 4_096  # as PostgreSQL makes them

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ROLE: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_REALM: Final = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_CONTEXT: Final = re.compile(r"[A-Za-z0-9_-]{1,79}")
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_MAX_HOST: Final = 128
_MAX_DIRECTORY: Final = 400


@dataclass(frozen=True, slots=True)
class SipExchange:
    """One exchange. `address`: an IP address; `dns_name`: what phones are told; '' where it is not known.

    `database_role`: who reads its phones in the database; None: nobody. `phones`: how many it has.
    """

    exchange_id: int
    name: str
    address: str
    dns_name: str
    realm: str
    context: str
    config_directory: str
    database_role: str | None
    enabled: bool
    phones: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewExchange:
    """An exchange to be made. `realm` '': its name. Raises InvalidRequest naming the field."""

    name: str
    address: str = ""
    dns_name: str = ""
    realm: str = ""
    context: str = DEFAULT_CONTEXT
    config_directory: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidRequest("name", "must be 1 to 64 letters, digits or any of . _ -")
        _check(self)


@dataclass(frozen=True, slots=True)
class ExchangeChanges:
    """What is to be changed of it; LEAVE: as it is. Raises InvalidRequest naming the field."""

    address: str | Leave = LEAVE
    dns_name: str | Leave = LEAVE
    realm: str | Leave = LEAVE
    context: str | Leave = LEAVE
    config_directory: str | Leave = LEAVE
    enabled: bool | Leave = LEAVE

    def __post_init__(self) -> None:
        if self.realm == "":
            raise InvalidRequest("realm", "cannot be empty")
        _check(self)


@dataclass(frozen=True, slots=True)
class ExchangeRole:
    """Who reads the phones of an exchange in the database, and the statements that make it. They hold no password."""

    role: str
    statements: tuple[str, ...]


def check_role(role: str, password: str) -> None:
    """Raises InvalidRequest (role, password)."""
    if not _ROLE.fullmatch(role) or role.startswith("pg_"):
        raise InvalidRequest("role", "must be 1 to 63 small letters, digits or _, beginning with a letter")
    if not 12 <= len(password) <= 128 or not password.isascii() or not password.isprintable():
        raise InvalidRequest("password", "of a role must have 12 to 128 printable characters")


def scram_verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL checks a password by (RFC 5803), so that the password itself is in no statement and no log."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, SCRAM_ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    salt64, stored64, server64 = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return f"SCRAM-SHA-256${SCRAM_ITERATIONS}:{salt64}${stored64}:{server64}"


def check_address(text: str, field: str) -> None:
    """One IP address. Raises InvalidRequest."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidRequest(field, f"{text[:60]!r} is no IP address") from None


def _check(given: NewExchange | ExchangeChanges) -> None:
    if given.address is not LEAVE and given.address:
        check_address(given.address, "address")
    name = given.dns_name
    if name is not LEAVE and name and not (len(name) <= _MAX_HOST and _HOST.fullmatch(name)):
        raise InvalidRequest("dns_name", f"{name[:60]!r} is no name of a host")
    if given.realm is not LEAVE and given.realm and not _REALM.fullmatch(given.realm):
        raise InvalidRequest("realm", "must be 1 to 64 letters, digits or any of . _ @ -")
    if given.context is not LEAVE and not _CONTEXT.fullmatch(given.context):
        raise InvalidRequest("context", "must be 1 to 79 letters, digits or any of _ -")
    directory = given.config_directory
    if directory is not LEAVE and directory and not _is_directory(directory):
        raise InvalidRequest("config_directory", "must be the whole path of a directory, such as /etc/asterisk")


def _is_directory(path: str) -> bool:
    return len(path) <= _MAX_DIRECTORY and path.isprintable() and path.startswith("/")
