"""Subscribers and routes as the call path reads them."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.account import Subscriber
from rating_engine.domain.tariff import Route
from rating_engine.storage.pool import Database

MAX_ROUTES: Final = 10_000  # held in memory whole, and gone through in order at every call

_BY_LOGIN: Final = """
    SELECT s.subscriber_id, s.version, s.login, s.bucket, s.account_id, s.tariff_id, a.currency, s.callerid,
           s.max_seconds, a.max_call_seconds, a.quota
    FROM subscribers s JOIN accounts a USING (bucket, account_id)
    WHERE s.login = $1
"""
_ROUTES: Final = """
    SELECT name, dial_prefix, number_prefix, position FROM routes WHERE enabled ORDER BY position, route_id LIMIT $1
"""


async def subscriber_by_login(database: Database, login: str) -> Subscriber | None:
    """The subscriber of a login, or None. Errors: Unavailable."""
    row = await database.fetchrow(_BY_LOGIN, login)
    return None if row is None else Subscriber(**dict(row))


async def enabled_routes(database: Database) -> tuple[Route, ...]:
    """Every enabled route in the order of attempts. Errors: Unavailable."""
    return tuple(Route(**dict(row)) for row in await database.fetch(_ROUTES, MAX_ROUTES))
