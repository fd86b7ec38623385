"""Mail that waits, was sent or failed: for who looks after it."""

from __future__ import annotations

from rating_engine.domain.mail import ListedMail, MailState
from rating_engine.domain.page import Cursor, Page
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support.mail_list import list_mails


class Mails:
    """What is asked about mail."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, cursor: Cursor, *, state: MailState | None = None) -> Page[ListedMail]:
        """Mails of the last month, the newest first. Errors: InvalidRequest (after), Unavailable."""
        return await list_mails(self._database, state, cursor)
