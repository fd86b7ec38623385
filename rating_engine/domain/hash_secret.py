"""Secrets that requests are signed with by a hash: of the system for its administrators and accountants, of a reseller
for itself and its users.

Law: who holds a secret can sign for everybody whom it is for; so it has some length, and may be for some addresses and
not for some functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rating_engine.domain.addresses import Network, parse_network
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.checks import check_text
from rating_engine.domain.errors import InvalidRequest

SECRET_MIN: Final = 6  # characters; one of less than SECRET_GOOD is guessed from one request that was seen
SECRET_GOOD: Final = 16
SECRET_MAX: Final = 256
BLOCKED_MAX: Final = 200  # there are fewer functions


@dataclass(frozen=True, slots=True)
class HashSecret:
    """One, without its text. `owner`: by login. `blocked`: functions that it is not good for. `is_short`: guessable.

    `hide_usernames`: users who sign with it are not shown the names by which their phones register.
    """

    owner_id: int
    owner: str
    enabled: bool
    sources: tuple[Network, ...]
    blocked: tuple[str, ...]
    is_short: bool
    changed_at: datetime
    hide_usernames: bool = False


@dataclass(frozen=True, slots=True)
class HashSecretChanges:
    """What is to be set; LEAVE: as it is. Raises InvalidRequest naming the field."""

    enabled: bool | Leave = LEAVE
    sources: tuple[str, ...] | Leave = LEAVE
    blocked: tuple[str, ...] | Leave = LEAVE
    hide_usernames: bool | Leave = LEAVE

    def __post_init__(self) -> None:
        if self.sources is not LEAVE:
            for source in self.sources:
                parse_network(source, "sources")
        if self.blocked is not LEAVE:
            if len(self.blocked) > BLOCKED_MAX:
                raise InvalidRequest("blocked", f"has more than {BLOCKED_MAX} names")
            for name in self.blocked:
                check_text(name, "blocked")


def is_hash_secret(secret: str) -> bool:
    """Whether a text may be one."""
    return SECRET_MIN <= len(secret) <= SECRET_MAX and secret.isprintable()


def check_hash_secret(secret: str) -> str:
    """A secret that somebody has made. Raises InvalidRequest."""
    if not is_hash_secret(secret):
        raise InvalidRequest("secret", f"must have {SECRET_MIN} to {SECRET_MAX} printable characters")
    return secret
