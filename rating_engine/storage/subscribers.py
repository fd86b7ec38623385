"""Subscribers as the call path reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.storage.batching import Batcher
from rating_engine.storage.pool import Database

_BY_LOGINS: Final = """
    SELECT s.subscriber_id, s.version, s.login, s.bucket, s.account_id, s.tariff_id, a.currency, s.callerid,
           s.max_seconds, a.max_call_seconds, a.quota
    FROM subscribers s JOIN accounts a USING (bucket, account_id)
    WHERE s.login = ANY ($1)
"""


class SubscriberReader:
    """Reads subscribers, those asked for at the same time by one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logins = Batcher[str, Subscriber | None]("subscribers", self._read, lambda login: login)

    async def by_login(self, login: str) -> Subscriber | None:
        """The subscriber of a login, or None. Errors: Unavailable, Overloaded."""
        return await self._logins.submit(login)

    async def _read(self, logins: Sequence[str]) -> list[Subscriber | None]:
        rows = await self._database.fetch(_BY_LOGINS, logins)
        found = {row["login"]: Subscriber(**dict(row)) for row in rows}
        return [found.get(login) for login in logins]
