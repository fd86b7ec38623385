"""Short numbers as operators list and change them: everybody's, and those of one login, which count before them."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.storage.numbers.numbering import MAX_ALIASES
from rating_engine.storage.postgres.pool import Connection, Database

MAX_OWN_ALIASES: Final = 100  # of a login: they come with the subscriber whenever it is read

_ADD: Final = """
    INSERT INTO aliases (bucket, subscriber_id, alias, destination) VALUES ($1, $2, $3, $4)
    ON CONFLICT (bucket, subscriber_id, alias) DO UPDATE SET destination = EXCLUDED.destination"""
_LISTED: Final = """
    SELECT s.login, x.alias, x.destination FROM aliases x LEFT JOIN subscribers s USING (bucket, subscriber_id)
    WHERE $1::text IS NULL OR s.login = $1
    ORDER BY s.login NULLS FIRST, x.alias LIMIT $2"""


async def set_alias(database: Database, login: str | None, alias: str, destination: str) -> None:
    """What an alias stands for, for a login or (None) for everybody. Errors: NotFound, InvalidRequest, Unavailable."""
    async with database.connection() as connection, connection.transaction():
        bucket, subscriber_id = await _owner(connection, login)
        await connection.execute(_ADD, bucket, subscriber_id, alias, destination)
        number = await connection.fetchval(
            "SELECT count(*) FROM aliases WHERE bucket = $1 AND subscriber_id IS NOT DISTINCT FROM $2",
            bucket, subscriber_id,
        )  # fmt: skip
        limit = MAX_ALIASES if login is None else MAX_OWN_ALIASES
        if number > limit:
            whose = "everybody" if login is None else repr(login)
            raise InvalidRequest("alias", f"{whose} may have {limit} aliases")


async def remove_alias(database: Database, login: str | None, alias: str) -> None:
    """Errors: NotFound, Unavailable."""
    async with database.connection() as connection, connection.transaction():
        bucket, subscriber_id = await _owner(connection, login)
        removed = await connection.fetchval(
            "DELETE FROM aliases WHERE bucket = $1 AND subscriber_id IS NOT DISTINCT FROM $2 AND alias = $3 "
            "RETURNING 1", bucket, subscriber_id, alias,
        )  # fmt: skip
    if removed is None:
        whose = "for everybody" if login is None else f"of {login!r}"
        raise NotFound(f"there is no alias {alias} {whose}; see: rating-engine alias list")


async def list_aliases(database: Database, login: str | None, limit: int) -> list[tuple[str | None, str, str]]:
    """(login, alias, destination), of one login or all, everybody's (None) first. Errors: Unavailable."""
    rows = await database.fetch(_LISTED, login, limit)
    return [(row["login"], row["alias"], row["destination"]) for row in rows]


async def _owner(connection: Connection, login: str | None) -> tuple[int, int | None]:
    """Bucket and subscriber of whose alias it is; everybody's (None) are in bucket 0.

    Locked, so that two commands cannot exceed the limit together.
    """
    if login is None:
        return 0, None
    row = await connection.fetchrow(
        "SELECT bucket, subscriber_id FROM logins JOIN subscribers s USING (bucket, login) WHERE login = $1 "
        "FOR NO KEY UPDATE OF s", login,
    )  # fmt: skip
    if row is None:
        raise NotFound(f"login {login!r} does not exist")
    return row["bucket"], row["subscriber_id"]
