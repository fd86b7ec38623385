"""Mail that waits to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
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
