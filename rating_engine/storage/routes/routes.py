"""Routes as the call path reads them, and as operators see and change them.

Law: the call path's answer is of one moment: a statement sees one snapshot of routes, their lists, windows and quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import asyncpg
import orjson

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.domain.tariff import ListedRoute, Route, RouteQuality
from rating_engine.rating.schedule import Schedule, Window, render_clock
from rating_engine.storage.postgres.pool import Connection, Database

MAX_ROUTES: Final = 10_000  # held in memory whole, and gone through in order at every call
MAX_PREFIX_RULES: Final = 1_000  # of a route; a longer list belongs into its cost deck, as blocked rows
MAX_WINDOWS: Final = 100  # of a route: gone through at every call
OPEN: Final = "open"  # the band of a route's windows

CHANGEABLE: Final = (
    "dial_prefix", "number_prefix", "position", "weight", "percentage", "max_calls", "max_calls_per_second",
    "callerid_policy", "country_code", "default_allowed", "time_zone", "cost_tariff_id", "enabled",
)  # fmt: skip

# What one row is: lists come as JSON. A time of day is its minute, since Python's has no 24:00.
_ROUTES: Final = """
    SELECT r.route_id, r.name, r.dial_prefix, r.number_prefix, r.position, r.weight, r.percentage, r.max_calls,
           r.max_calls_per_second, r.cost_tariff_id, r.callerid_policy, r.country_code, r.default_allowed, r.time_zone,
           r.enabled, t.name AS cost_tariff, q.attempts, q.answered, q.seconds,
           (SELECT json_object_agg(prefix, allowed) FROM route_prefixes p WHERE p.route_id = r.route_id)::text
               AS prefixes,
           (SELECT json_agg(json_build_array(days, extract(epoch FROM starts)::integer / 60,
                                             extract(epoch FROM ends)::integer / 60) ORDER BY days, starts)
            FROM route_windows w WHERE w.route_id = r.route_id)::text AS windows
    FROM routes r LEFT JOIN route_quality q USING (route_id) LEFT JOIN tariffs t ON t.tariff_id = r.cost_tariff_id
    ORDER BY r.position, r.route_id LIMIT $1
"""
_SET_LIST: Final = """
    INSERT INTO tariff_routes (tariff_id, route_id, position)
    SELECT $1, route_id, ord FROM unnest($2::text[]) WITH ORDINALITY AS given(name, ord) JOIN routes USING (name)
"""
_ONLY_ROUTE_OF: Final = """
    SELECT t.name FROM tariffs t
    WHERE EXISTS (SELECT FROM tariff_routes r WHERE r.tariff_id = t.tariff_id AND r.route_id = $1)
      AND NOT EXISTS (SELECT FROM tariff_routes r WHERE r.tariff_id = t.tariff_id AND r.route_id <> $1)
    ORDER BY t.name LIMIT 1
"""


async def enabled_routes(database: Database) -> tuple[Route, ...] | None:
    """Every enabled route by position; None where there is none at all, not even a disabled one.

    Errors: Unavailable.
    """
    listed = await list_routes(database)
    return tuple(each.route for each in listed if each.enabled) if listed else None


async def list_routes(database: Database) -> list[ListedRoute]:
    """Every route by position. Errors: Unavailable."""
    rows = await database.fetch(_ROUTES, MAX_ROUTES)
    return [ListedRoute(_route_from_row(row), row["enabled"], row["cost_tariff"]) for row in rows]


async def add_route(database: Database, route: Route, *, cost_tariff: str | None = None) -> None:
    """Add a route without lists and windows; its id is given here.

    Errors: AlreadyExists (its name, or MAX_ROUTES of them), NotFound (the tariff), InvalidRequest, Unavailable.
    """
    columns = {column: getattr(route, column) for column in CHANGEABLE if hasattr(route, column)}
    columns |= {"name": route.name, "time_zone": route.windows.zone}
    async with database.connection() as connection, connection.transaction():
        if await connection.fetchval("SELECT count(*) FROM routes") >= MAX_ROUTES:
            raise AlreadyExists(f"there are {MAX_ROUTES} routes already, which is the limit")
        if cost_tariff is not None:
            columns["cost_tariff_id"] = await _tariff_id(connection, cost_tariff)
        places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
        try:
            await connection.execute(
                f"INSERT INTO routes ({', '.join(columns)}) VALUES ({places})",  # noqa: S608  # names of columns
                *columns.values(),
            )
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(f"route {route.name!r} exists already") from None
        except asyncpg.CheckViolationError:
            raise _no_country() from None


async def change_route(database: Database, name: str, columns: Mapping[str, object]) -> None:
    """Set columns of a route (`cost_tariff`: a tariff's name, None: no longer known), used from the next call on.

    Errors: NotFound (the route, the tariff), InvalidRequest, Unavailable; after any nothing has changed.
    """
    values = dict(columns)
    async with database.connection() as connection, connection.transaction():
        route_id = await _route_id(connection, name)
        if "cost_tariff" in values:
            tariff = values.pop("cost_tariff")
            values["cost_tariff_id"] = None if tariff is None else await _tariff_id(connection, str(tariff))
        assert values.keys() <= set(CHANGEABLE)
        if not values:
            return
        assignments = ", ".join(f"{column} = ${place}" for place, column in enumerate(values, start=2))
        try:
            await connection.execute(
                f"UPDATE routes SET {assignments} WHERE route_id = $1",  # noqa: S608  # names of columns
                route_id,
                *values.values(),
            )
        except asyncpg.CheckViolationError:
            raise _no_country() from None


async def remove_route(database: Database, name: str) -> None:
    """Delete a route; CDRs keep its name.

    Errors: NotFound, InvalidRequest (a tariff lists no other: without it, every route would be its), Unavailable.
    """
    async with database.connection() as connection, connection.transaction():
        route_id = await _route_id(connection, name)
        if tariff := await connection.fetchval(_ONLY_ROUTE_OF, route_id):
            raise InvalidRequest("name", f"is the only route that tariff {tariff!r} lists; change its list first")
        await connection.execute("DELETE FROM routes WHERE route_id = $1", route_id)


async def change_prefixes(database: Database, name: str, rules: Mapping[str, bool | None]) -> None:
    """Say of prefixes whether a route serves them; None forgets the rule.

    Errors: NotFound, InvalidRequest (MAX_PREFIX_RULES), Unavailable.
    """
    async with database.connection() as connection, connection.transaction():
        route_id = await _route_id(connection, name)
        gone = [prefix for prefix, allowed in rules.items() if allowed is None]
        if gone:
            await connection.execute(
                "DELETE FROM route_prefixes WHERE route_id = $1 AND prefix = ANY ($2)", route_id, gone
            )
        kept = [(route_id, prefix, allowed) for prefix, allowed in rules.items() if allowed is not None]
        await connection.executemany(
            "INSERT INTO route_prefixes VALUES ($1, $2, $3) "
            "ON CONFLICT (route_id, prefix) DO UPDATE SET allowed = EXCLUDED.allowed",
            kept,
        )
        if await _count(connection, "route_prefixes", route_id) > MAX_PREFIX_RULES:
            raise InvalidRequest(
                "prefixes", f"a route may have {MAX_PREFIX_RULES} at most; block more in its cost deck"
            )


async def add_window(database: Database, name: str, window: Window) -> None:
    """One more window in which a route is used; one of the same days and start is replaced.

    Errors: NotFound, InvalidRequest (MAX_WINDOWS), Unavailable.
    """
    async with database.connection() as connection, connection.transaction():
        route_id = await _route_id(connection, name)
        await connection.execute(
            "INSERT INTO route_windows (route_id, days, starts, ends) VALUES ($1, $2, $3::text::time, $4::text::time) "
            "ON CONFLICT (route_id, days, starts) DO UPDATE SET ends = EXCLUDED.ends",
            route_id, sorted(window.days), render_clock(window.starts), render_clock(window.ends),
        )  # fmt: skip
        if await _count(connection, "route_windows", route_id) > MAX_WINDOWS:
            raise InvalidRequest("days", f"a route may have {MAX_WINDOWS} windows at most")


async def clear_windows(database: Database, name: str) -> None:
    """Use a route at all times. Errors: NotFound, Unavailable."""
    async with database.connection() as connection, connection.transaction():
        route_id = await _route_id(connection, name)
        await connection.execute("DELETE FROM route_windows WHERE route_id = $1", route_id)


async def set_tariff_routes(database: Database, tariff: str, names: Sequence[str]) -> None:
    """The routes of a tariff's calls in their manual order; none: every route. Errors: NotFound, Unavailable."""
    async with database.connection() as connection, connection.transaction():
        tariff_id = await _tariff_id(connection, tariff)
        # Locked first, so that of two lists set at once one is the list, and not a mixture.
        await connection.execute("SELECT FROM tariffs WHERE tariff_id = $1 FOR NO KEY UPDATE", tariff_id)
        await connection.execute("DELETE FROM tariff_routes WHERE tariff_id = $1", tariff_id)
        await connection.execute(_SET_LIST, tariff_id, list(names))
        known = await connection.fetch("SELECT name FROM routes WHERE name = ANY ($1)", list(names))
        if unknown := set(names) - {row["name"] for row in known}:
            raise NotFound(f"route {min(unknown)!r} does not exist")


async def tariff_routes(database: Database, tariff: str) -> list[str]:
    """The names of the routes a tariff lists, in order; empty: it lists none. Errors: NotFound, Unavailable."""
    async with database.connection() as connection:
        tariff_id = await _tariff_id(connection, tariff)
        rows = await connection.fetch(
            "SELECT name FROM tariff_routes l JOIN routes USING (route_id) WHERE tariff_id = $1 "
            "ORDER BY l.position, route_id LIMIT $2",
            tariff_id, MAX_ROUTES,
        )  # fmt: skip
    return [row["name"] for row in rows]


def _route_from_row(row: asyncpg.Record) -> Route:
    windows: list[tuple[list[int], int, int]] = orjson.loads(row["windows"] or "[]")
    prefixes: dict[str, bool] = orjson.loads(row["prefixes"] or "{}")
    return Route(
        name=row["name"],
        dial_prefix=row["dial_prefix"],
        number_prefix=row["number_prefix"],
        position=row["position"],
        route_id=row["route_id"],
        weight=row["weight"],
        percentage=row["percentage"],
        max_calls=row["max_calls"],
        max_calls_per_second=row["max_calls_per_second"],
        cost_tariff_id=row["cost_tariff_id"],
        callerid_policy=row["callerid_policy"],
        country_code=row["country_code"],
        prefixes=MappingProxyType(prefixes),
        default_allowed=row["default_allowed"],
        windows=Schedule(
            tuple(Window(OPEN, frozenset(days), starts, ends) for days, starts, ends in windows), zone=row["time_zone"]
        ),
        quality=None if row["attempts"] is None else RouteQuality(row["attempts"], row["answered"], row["seconds"]),
    )


async def _route_id(connection: Connection, name: str) -> Any:
    """The id of a route, which stays as it is until the transaction ends."""
    route_id = await connection.fetchval("SELECT route_id FROM routes WHERE name = $1 FOR NO KEY UPDATE", name)
    if route_id is None:
        raise NotFound(f"route {name!r} does not exist")
    return route_id


async def _tariff_id(connection: Connection, name: str) -> Any:
    tariff_id = await connection.fetchval("SELECT tariff_id FROM tariffs WHERE name = $1", name)
    if tariff_id is None:
        raise NotFound(f"tariff {name!r} does not exist")
    return tariff_id


async def _count(connection: Connection, table: str, route_id: int) -> int:
    count: int = await connection.fetchval(f"SELECT count(*) FROM {table} WHERE route_id = $1", route_id)  # noqa: S608
    return count


def _no_country() -> InvalidRequest:
    """The one rule of the table that its columns keep together."""
    return InvalidRequest("country_code", "must be given where national caller ids alone are allowed")
