"""Keys by which programs ask: whose they are, from where, by what and how far."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rating_engine.domain.addresses import Network, parse_network
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_name
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.party import Level

RATE_LIMIT_MAX: Final = 1_000_000  # requests a minute; nobody has so many
MAX_ENTRIES: Final = 100  # of each list of a key: gone through at each request

_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_SCOPE: Final = re.compile(r"[a-z_]{1,40}:(?:read|write)")


class KeyKind(StrEnum):
    """A client key is public: its user has to show a password, and its level counts. A server key is a secret between
    two machines: it names whom it asks for, and has a level of its own for what it may ask.
    """

    CLIENT = "client"
    SERVER = "server"


class AuthBy(StrEnum):
    """By what a request with the key names its user."""

    USERNAME = "username"
    SIP_EXTENSION = "sip_extension"
    ID = "id"
    MSISDN = "msisdn"
    ICCID = "iccid"
    CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret: `shown` are the first characters of it. `owner`, `default_user`: logins.
    `default_value`: by what the default user is named, as auth_by has it (an extension); '': by its login.

    Empty lists of sources, methods and scopes: any. `rate_limit`: requests a minute, 0: any number, None: as the
    settings have it for its kind. `revoked_at`: for good. `maintained_at`: when maintenance was last asked for with it.
    `dns_name`: of the exchange that it is named after.
    """

    key_id: int
    name: str
    shown: str
    kind: KeyKind
    level: Level
    auth_by: AuthBy
    owner_id: int
    owner: str
    default_user: str | None
    default_value: str
    sources: tuple[Network, ...]
    methods: tuple[str, ...]
    scopes: tuple[str, ...]
    secure_only: bool
    rate_limit: int | None
    enabled: bool
    created_at: datetime
    revoked_at: datetime | None
    maintained_at: datetime | None
    dns_name: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key to be made. `level`: of a server key alone. `owner` None: who asks. `default_value`: as of ApiKey.

    Raises InvalidRequest naming the field.
    """

    name: str
    kind: KeyKind = KeyKind.CLIENT
    level: Level = Level.ANYBODY
    auth_by: AuthBy = AuthBy.USERNAME
    owner: str | int | None = None
    default_user: str | int | None = None
    sources: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    secure_only: bool = False
    rate_limit: int | None = None
    default_value: str = ""

    def __post_init__(self) -> None:
        check_name(self.name)
        if (self.kind is KeyKind.SERVER) != (self.level > Level.ANYBODY):
            raise InvalidRequest("level", "is of server keys, and a server key needs one")
        if self.level > Level.SYSTEM_SERVER:
            raise InvalidRequest("level", f"of a key is {int(Level.SYSTEM_SERVER)} at the most")
        _check_lists(self)
        _check_rate_limit(self.rate_limit)


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """What is to be changed of a key; LEAVE: as it is. Raises InvalidRequest naming the field."""

    level: Level | Leave = LEAVE
    auth_by: AuthBy | Leave = LEAVE
    default_user: str | int | Leave | None = LEAVE
    sources: tuple[str, ...] | Leave = LEAVE
    methods: tuple[str, ...] | Leave = LEAVE
    scopes: tuple[str, ...] | Leave = LEAVE
    secure_only: bool | Leave = LEAVE
    rate_limit: int | Leave | None = LEAVE
    enabled: bool | Leave = LEAVE
    default_value: str | Leave = LEAVE

    def __post_init__(self) -> None:
        _check_lists(self)
        if self.rate_limit is not LEAVE:
            _check_rate_limit(self.rate_limit)


def _check_rate_limit(limit: int | None) -> None:
    if limit is not None and not 0 <= limit <= RATE_LIMIT_MAX:
        raise InvalidRequest("rate_limit", f"must be 0 (any number) to {RATE_LIMIT_MAX:,} requests a minute")


def _check_lists(key: NewKey | KeyChanges) -> None:
    for field, pattern in (("sources", None), ("methods", _WORD), ("scopes", _SCOPE)):
        entries = getattr(key, field)
        if entries is LEAVE:
            continue
        if len(entries) > MAX_ENTRIES:
            raise InvalidRequest(field, f"may be {MAX_ENTRIES} at the most")
        for entry in entries:
            if pattern is None:
                parse_network(entry, field)
            elif not pattern.fullmatch(entry):
                like = "accounts:read" if pattern is _SCOPE else "a name of a method"
                raise InvalidRequest(field, f"{entry[:64]!r} is not like {like}")
