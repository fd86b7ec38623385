"""Routes and directions as operators see and change them."""

from __future__ import annotations

from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound
from rating_engine.domain.tariff import Direction, ListedRoute, Route
from rating_engine.storage.pool import Database

MAX_ROUTES: Final = 10_000  # held in memory whole, and gone through in order at every call

# Put into the statements below; S608 is waived there since it is a constant.
_COLUMNS: Final = "name, dial_prefix, number_prefix, position"
_ENABLED: Final = f"SELECT {_COLUMNS} FROM routes WHERE enabled ORDER BY position, route_id LIMIT $1"  # noqa: S608
_ALL: Final = f"SELECT {_COLUMNS}, enabled FROM routes ORDER BY position, route_id LIMIT $1"  # noqa: S608
_ADD: Final = f"INSERT INTO routes ({_COLUMNS}) VALUES ($1, $2, $3, $4)"  # noqa: S608


async def enabled_routes(database: Database) -> tuple[Route, ...]:
    """Every enabled route in the order of attempts. Errors: Unavailable."""
    return tuple(Route(**dict(row)) for row in await database.fetch(_ENABLED, MAX_ROUTES))


async def list_routes(database: Database) -> list[ListedRoute]:
    """Every route in the order of attempts. Errors: Unavailable."""
    rows = [dict(row) for row in await database.fetch(_ALL, MAX_ROUTES)]
    return [ListedRoute(enabled=row.pop("enabled"), route=Route(**row)) for row in rows]


async def add_route(database: Database, route: Route) -> None:
    """Add a route. Errors: AlreadyExists (its name, or MAX_ROUTES of them), Unavailable."""
    async with database.connection() as connection, connection.transaction():
        if await connection.fetchval("SELECT count(*) FROM routes") >= MAX_ROUTES:
            raise AlreadyExists(f"there are {MAX_ROUTES} routes already, which is the limit")
        try:
            await connection.execute(_ADD, route.name, route.dial_prefix, route.number_prefix, route.position)
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(f"route {route.name!r} exists already") from None


async def set_route_enabled(database: Database, name: str, enabled: bool) -> None:
    """Use a route from the next call on, or no more. Errors: NotFound, Unavailable."""
    if await database.fetchval("UPDATE routes SET enabled = $2 WHERE name = $1 RETURNING 1", name, enabled) is None:
        raise NotFound(f"route {name!r} does not exist")


async def remove_route(database: Database, name: str) -> None:
    """Delete a route; CDRs keep its name. Errors: NotFound, Unavailable."""
    if await database.fetchval("DELETE FROM routes WHERE name = $1 RETURNING 1", name) is None:
        raise NotFound(f"route {name!r} does not exist")


async def set_direction(database: Database, direction: Direction) -> None:
    """Name a direction and say how long its numbers are; created if need be. Errors: Unavailable."""
    await database.fetchval(
        "INSERT INTO directions VALUES ($1, $2, $3, $4) ON CONFLICT (code) DO UPDATE "
        "SET name = EXCLUDED.name, min_len = EXCLUDED.min_len, max_len = EXCLUDED.max_len",
        direction.code, direction.name, direction.min_len, direction.max_len,
    )  # fmt: skip
