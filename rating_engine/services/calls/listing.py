"""Calls that hold money now, and those that ended without a finish."""

from __future__ import annotations

from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.watching import ListedCall, UnfinishedCall
from rating_engine.storage.calls import open_calls as store
from rating_engine.storage.postgres.pool import Database


class CallLists:
    """Lists of calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, cursor: Cursor) -> Page[ListedCall]:
        """Calls that hold money, the longest open first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_open(self._database, cursor)

    async def unfinished(self, cursor: Cursor) -> Page[UnfinishedCall]:
        """Calls that ended without a finish, the latest first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_unfinished(self._database, cursor)
