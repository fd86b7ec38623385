"""Mail that waits to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one address, with a PDF or without (`attachment` None). `attempts`: failed ones.

    `token`: who gets it twice sees by it that it is the same.
    """

    mail_id: int
    token: UUID
    recipient: str
    subject: str
    body: str
    attempts: int
    created_at: datetime
    attachment: bytes | None = None
    attachment_name: str = ""


class MailState(StrEnum):
    """QUEUED: it waits to be sent. FAILED: the server refused it, or it waited for too long."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ListedMail:
    """A mail as it is listed. `user` None: it went to nobody of the parties. `error`: the server's words."""

    mail_id: int
    user: str | None
    recipient: str
    subject: str
    state: MailState
    attempts: int
    error: str
    created_at: datetime
    due_at: datetime
    ended_at: datetime | None
