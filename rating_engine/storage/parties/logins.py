"""Where a login is: first its bucket, of the catalogue, then what it is there.

Two statements, so that each of them is one node's of a cluster. A login stays in its bucket for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rating_engine.domain.errors import NotFound
from rating_engine.storage.postgres.pool import Questions

_BUCKET: Final = "SELECT bucket FROM logins WHERE login = $1"
_BUCKETS: Final = "SELECT bucket, array_agg(login) AS logins FROM logins WHERE login = ANY ($1) GROUP BY bucket"
_PLACE: Final = "SELECT bucket, account_id, subscriber_id FROM subscribers WHERE bucket = $1 AND login = $2"


class Place(NamedTuple):
    """Where a login is: its account and itself."""

    bucket: int
    account_id: int
    subscriber_id: int


def unknown_login(login: str) -> NotFound:
    """The error for a login that nobody has."""
    return NotFound(f"login {login!r} does not exist", field="login")


async def place_of(database: Questions, login: str) -> Place:
    """Errors: NotFound (the login), Unavailable."""
    bucket = await database.fetchval(_BUCKET, login)
    row = None if bucket is None else await database.fetchrow(_PLACE, bucket, login)
    if row is None:
        raise unknown_login(login)
    return Place(*row)


async def by_bucket(database: Questions, logins: Sequence[str]) -> dict[int, list[str]]:
    """The logins that there are, by the bucket that each is in. Errors: Unavailable."""
    return {row["bucket"]: row["logins"] for row in await database.fetch(_BUCKETS, logins)}
