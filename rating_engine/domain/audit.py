"""What was changed, by whom, when and from where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rating_engine.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries, of [since, until); None: any. `action`: `user.status`, or `user` for all of users.

    `subject`: what it was done to, by name. Raises InvalidRequest naming the field.
    """

    party: str | None = None
    action: str | None = None
    subject: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since >= self.until:
            raise InvalidRequest("until", "must be after since")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `party`, `level`: who, and what it might do at most; `key`, `address`: None where there was none."""

    audit_id: int
    at: datetime
    party: str
    level: str
    surface: str
    key: str | None
    address: str | None
    action: str
    subject: str
    detail: Mapping[str, Any]
