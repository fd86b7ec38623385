"""Subscribers as the call path reads them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from types import MappingProxyType
from typing import Final

import asyncpg

from rating_engine.domain.account import Subscriber, SubscriberOption
from rating_engine.storage.batching import Batcher
from rating_engine.storage.pool import Database

# An option that ended is known a while longer: an engine's clock may be behind the database's.
OPTIONS_KEPT: Final = "1 hour"

# Of a row of `subscribers s` with its account `a`; one probe of an index each for options and aliases.
SUBSCRIBER_COLUMNS: Final = """s.subscriber_id, s.version, s.login, s.bucket, s.account_id, s.tariff_id, a.currency,
           s.callerid, s.max_seconds, a.max_call_seconds, a.quota, a.numbering_plan, o.options, al.aliases"""
SUBSCRIBER_PARTS: Final = f"""
    LEFT JOIN LATERAL (
        SELECT array_agg((tariff_id, effective_from, effective_to) ORDER BY position, effective_from, tariff_id)
               AS options
        FROM subscriber_options
        WHERE subscriber_id = s.subscriber_id AND effective_to > now() - interval '{OPTIONS_KEPT}' OFFSET 0
    ) o ON true
    LEFT JOIN LATERAL (
        SELECT array_agg(ARRAY[alias, destination]) AS aliases FROM aliases
        WHERE subscriber_id = s.subscriber_id OFFSET 0
    ) al ON true"""  # noqa: S608  # a constant
BY_LOGINS: Final = f"""
    SELECT {SUBSCRIBER_COLUMNS}
    FROM subscribers s JOIN accounts a USING (bucket, account_id) {SUBSCRIBER_PARTS}
    WHERE s.login = ANY ($1)
"""  # noqa: S608  # made of constants


class SubscriberReader:
    """Reads subscribers, those asked for at the same time by one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._logins = Batcher[str, Subscriber | None]("subscribers", self._read, lambda login: login)

    async def by_login(self, login: str) -> Subscriber | None:
        """The subscriber of a login, or None. Errors: Unavailable, Overloaded."""
        return await self._logins.submit(login)

    async def _read(self, logins: Sequence[str]) -> list[Subscriber | None]:
        rows = await self._database.fetch(BY_LOGINS, logins)
        found = {row["login"]: subscriber_from_row(row) for row in rows}
        return [found.get(login) for login in logins]


def subscriber_from_row(row: asyncpg.Record) -> Subscriber:
    """The subscriber in a row of SUBSCRIBER_COLUMNS."""
    return Subscriber(
        subscriber_id=row["subscriber_id"],
        version=row["version"],
        login=row["login"],
        bucket=row["bucket"],
        account_id=row["account_id"],
        tariff_id=row["tariff_id"],
        currency=row["currency"],
        callerid=row["callerid"],
        max_seconds=row["max_seconds"],
        max_call_seconds=row["max_call_seconds"],
        quota=row["quota"],
        options=tuple(
            # The driver has infinity as the last moment of all, without a zone.
            SubscriberOption(tariff_id, begins.replace(tzinfo=UTC), ends.replace(tzinfo=UTC))
            for tariff_id, begins, ends in row["options"] or ()
        ),
        numbering_plan=row["numbering_plan"],
        aliases=MappingProxyType(dict(row["aliases"] or ())),
    )
