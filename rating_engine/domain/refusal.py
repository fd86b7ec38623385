"""Why somebody who asks is not let in: answers, since a wrong password is no broken request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Refusal(StrEnum):
    """Append only; each surface has its own word or status for it."""

    BANNED = "banned"  # the address
    UNKNOWN_KEY = "unknown_key"  # there is no such key, or it was revoked or switched off
    WRONG_ADDRESS = "wrong_address"  # not one that the key is for
    NOT_SECURE = "not_secure"  # the key is for encrypted connections alone
    WRONG_METHOD = "wrong_method"  # not one that the key is for
    NO_USER = "no_user"  # nobody is named, or there is no such user, or its password is wrong
    NOT_YOURS = "not_yours"  # the user does not belong to the owner of the key
    LOCKED = "locked"  # the user, or one above it, is locked or deleted
    NO_SESSION = "no_session"  # it ended, or never was
    TOO_MANY = "too_many"  # it asks more often than it may


@dataclass(frozen=True, slots=True)
class NotAdmitted:
    """Who asked is not let in. `detail` is for the log, and has no secret. `seconds`: when to come again (TOO_MANY)."""

    reason: Refusal
    detail: str = ""
    seconds: int = 0
