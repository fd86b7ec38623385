"""Short numbers as operators list and change them: everybody's, and those of one login, which count before them."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.storage.numbers.numbering import MAX_ALIASES
from rating_engine.storage.postgres.pool import Connection, Database

MAX_OWN_ALIASES: Final = 100  # of a login: they come with the subscriber whenever it is read

_ADD: Final = """
    INSERT INTO aliases (subscriber_id, alias, destination) VALUES ($1, $2, $3)
    ON CONFLICT (subscriber_id, alias) DO UPDATE SET destination = EXCLUDED.destination"""
_LISTED: Final = """
    SELECT s.login, x.alias, x.destination FROM aliases x LEFT JOIN subscribers s USING (subscriber_id)
    WHERE $1::text IS NULL OR s.login = $1
    ORDER BY s.login NULLS FIRST, x.alias LIMIT $2"""


async def set_alias(database: Database, login: str | None, alias: str, destination: str) -> None:
    """What an alias stands for, for a login or (None) for everybody. Errors: NotFound, InvalidRequest, Unavailable."""
    async with database.connection() as connection, connection.transaction():
        subscriber_id = await _subscriber(connection, login)
        await connection.execute(_ADD, subscriber_id, alias, destination)
        number = await connection.fetchval(
            "SELECT count(*) FROM aliases WHERE subscriber_id IS NOT DISTINCT FROM $1", subscriber_id
        )
        limit = MAX_ALIASES if login is None else MAX_OWN_ALIASES
        if number > limit:
            whose = "everybody" if login is None else repr(login)
            raise InvalidRequest("alias", f"{whose} may have {limit} aliases")


async def remove_alias(database: Database, login: str | None, alias: str) -> None:
    """Errors: NotFound, Unavailable."""
    async with database.connection() as connection, connection.transaction():
        subscriber_id = await _subscriber(connection, login)
        removed = await connection.fetchval(
            "DELETE FROM aliases WHERE subscriber_id IS NOT DISTINCT FROM $1 AND alias = $2 RETURNING 1",
            subscriber_id, alias,
        )  # fmt: skip
    if removed is None:
        whose = "for everybody" if login is None else f"of {login!r}"
        raise NotFound(f"there is no alias {alias} {whose}; see: rating-engine alias list")


async def list_aliases(database: Database, login: str | None, limit: int) -> list[tuple[str | None, str, str]]:
    """(login, alias, destination), of one login or all, everybody's (None) first. Errors: Unavailable."""
    rows = await database.fetch(_LISTED, login, limit)
    return [(row["login"], row["alias"], row["destination"]) for row in rows]


async def _subscriber(connection: Connection, login: str | None) -> int | None:
    """Locked, so that two commands cannot exceed the limit together."""
    if login is None:
        return None
    subscriber_id: int | None = await connection.fetchval(
        "SELECT subscriber_id FROM subscribers WHERE login = $1 FOR NO KEY UPDATE", login
    )
    if subscriber_id is None:
        raise NotFound(f"login {login!r} does not exist")
    return subscriber_id
