"""News: read by those whom they are for, written by who manages the installation."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.change import given
from rating_engine.domain.errors import InvalidRequest, NotAllowed
from rating_engine.domain.news import NewNews, NewsChanges, NewsFilter, NewsItem
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.support import news as store

SHOWN: Final = 20  # broadcasts with a user: what a screen holds beside all else


class News:
    """What one principal does with news."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def page(self, wanted: NewsFilter, cursor: Cursor) -> Page[NewsItem]:
        """What may be read, the newest first. Errors: NotAllowed (everybody's), InvalidRequest (after), Unavailable."""
        if wanted.everybodys and not (self._principal.sees_all and self._principal.level >= Level.ADMIN):
            raise NotAllowed("all news, whomever they are for, are for administrators")
        return await store.list_news(self._database, self._principal, wanted, cursor)

    async def broadcasts(self) -> list[NewsItem]:
        """What is broadcast to who asks, the newest first, SHOWN at the most. Errors: Unavailable."""
        return list((await self.page(NewsFilter(broadcast=True), Cursor(SHOWN))).items)

    async def add(self, new: NewNews) -> None:
        """Errors: AlreadyExists (id), NotFound (user), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.add_news(tx, new)
            await record(tx, "news.add", new.news_id, {"access": new.access, "language": new.language,
                                                       "user": new.user, "broadcast": new.is_broadcast})  # fmt: skip

    async def change(self, news_id: str, changes: NewsChanges) -> None:
        """Set what is given. Errors: InvalidRequest (nothing is), NotFound (id, user), Unavailable."""
        values = given(changes)
        if not values:
            raise InvalidRequest("id", "nothing is given that is to be changed")
        async with self._database.transaction(self._principal) as tx:
            await store.change_news(tx, news_id, values)
            await record(tx, "news.change", news_id, {"fields": sorted(values)})

    async def remove(self, news_id: str) -> None:
        """Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.remove_news(tx, news_id)
            await record(tx, "news.remove", news_id)
