"""Routes as the call path reads them, and as operators see and change them.

Law: the call path's answer is of one moment: a statement sees one snapshot of routes, their lists, windows and quality.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import asyncpg
import orjson

from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff import ListedRoute, Route, RouteQuality
from rating_engine.rating.schedule import Schedule, Window, render_clock
from rating_engine.storage.postgres.columns import assignments, columns_and_places
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

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
           r.enabled, r.shared, t.name AS cost_tariff, q.attempts, q.answered, q.seconds,
           (SELECT json_object_agg(prefix, allowed) FROM route_prefixes p WHERE p.route_id = r.route_id)::text
               AS prefixes,
           (SELECT json_agg(json_build_array(days, extract(epoch FROM starts)::integer / 60,
                                             extract(epoch FROM ends)::integer / 60) ORDER BY days, starts)
            FROM route_windows w WHERE w.route_id = r.route_id)::text AS windows
    FROM routes r LEFT JOIN route_quality q USING (route_id) LEFT JOIN tariffs t ON t.tariff_id = r.cost_tariff_id
"""
_EVERY: Final = f"{_ROUTES} WHERE r.kind = 'sip' ORDER BY r.position, r.route_id LIMIT $1"
_ONE: Final = f"{_ROUTES} WHERE r.name = $1"
_PAGE: Final = f"""
    {_ROUTES} WHERE $1::integer IS NULL OR (r.position, r.route_id) > ($1, $2::bigint)
    ORDER BY r.position, r.route_id LIMIT $3
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


_ONLY_ROUTE_OF_PLAN: Final = """
    SELECT p.name FROM route_plans p
    WHERE EXISTS (SELECT FROM route_plan_routes r WHERE r.plan_id = p.plan_id AND r.route_id = $1)
      AND NOT EXISTS (SELECT FROM route_plan_routes r WHERE r.plan_id = p.plan_id AND r.route_id <> $1)
    ORDER BY p.name LIMIT 1
"""


async def enabled_routes(database: Questions, default: Route | None = None) -> tuple[Route, ...] | None:
    """Every enabled route by position; None where there is none at all, not even a disabled one.

    `default`: what calls of any tariff go by while none is for them all. Errors: Unavailable.
    """
    listed = await every_route(database)
    enabled = tuple(each.route for each in listed if each.enabled)
    if default is not None and not any(each.route.shared for each in listed):
        return (default, *enabled)
    return enabled if listed else None


async def every_route(database: Questions) -> list[ListedRoute]:
    """Every route of calls by position, MAX_ROUTES at most. Errors: Unavailable."""
    return [_listed(row) for row in await database.fetch(_EVERY, MAX_ROUTES)]


async def list_routes(database: Questions, cursor: Cursor) -> Page[ListedRoute]:
    """Routes by position. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_PAGE, *cursor.position(int, int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["position"], row["route_id"]), _listed)


async def find_route(database: Questions, name: str) -> ListedRoute:
    """One route. Errors: NotFound, Unavailable."""
    row = await database.fetchrow(_ONE, name)
    if row is None:
        raise _unknown_route(name)
    return _listed(row)


async def add_route(tx: Transaction, route: Route, *, cost_tariff: str | None = None) -> None:
    """Add a route without lists and windows; its id is given here.

    Errors: AlreadyExists (its name, or MAX_ROUTES of them), NotFound (the tariff), InvalidRequest, Unavailable.
    """
    values = {column: getattr(route, column) for column in CHANGEABLE if hasattr(route, column)}
    values |= {"name": route.name, "time_zone": route.windows.zone}
    if await tx.fetchval("SELECT count(*) FROM routes") >= MAX_ROUTES:
        raise AlreadyExists(f"there are {MAX_ROUTES} routes already, which is the limit")
    if cost_tariff is not None:
        values["cost_tariff_id"] = await _tariff_id(tx, cost_tariff)
    columns, places = columns_and_places(("name", *CHANGEABLE), values, first=1)
    try:
        await tx.execute(
            f"INSERT INTO routes ({columns}) VALUES ({places})",  # noqa: S608  # names of columns
            *values.values(),
        )
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"route {route.name!r} exists already", field="name") from None
    except asyncpg.CheckViolationError:
        raise _no_country() from None


async def change_route(tx: Transaction, name: str, changes: Mapping[str, object]) -> None:
    """Set columns of a route (`cost_tariff`: a tariff's name, None: no longer known), used from the next call on.

    Errors: NotFound (the route, the tariff), InvalidRequest, Unavailable.
    """
    values = dict(changes)
    route_id = await _route_id(tx, name)
    if "cost_tariff" in values:
        tariff = values.pop("cost_tariff")
        values["cost_tariff_id"] = None if tariff is None else await _tariff_id(tx, str(tariff))
    if not values:
        return
    try:
        await tx.execute(
            f"UPDATE routes SET {assignments(CHANGEABLE, values, first=2)} WHERE route_id = $1",  # noqa: S608  # names
            route_id,
            *values.values(),
        )
    except asyncpg.CheckViolationError:
        raise _no_country() from None


async def remove_route(tx: Transaction, name: str) -> None:
    """Delete a route; CDRs keep its name.

    Errors: NotFound, InvalidRequest (a tariff lists no other: without it, every route would be its; or a plan has no
    other), Unavailable.
    """
    route_id = await _route_id(tx, name)
    if tariff := await tx.fetchval(_ONLY_ROUTE_OF, route_id):
        raise InvalidRequest("name", f"is the only route that tariff {tariff!r} lists; change its list first")
    if plan := await tx.fetchval(_ONLY_ROUTE_OF_PLAN, route_id):
        raise InvalidRequest("name", f"is the only route of route plan {plan!r}; change its routes first")
    try:
        await tx.execute("DELETE FROM routes WHERE route_id = $1", route_id)
    except asyncpg.ForeignKeyViolationError:
        raise Refused("tariffs have prices for this route; give these another route first") from None


async def change_prefixes(tx: Transaction, name: str, rules: Mapping[str, bool | None]) -> None:
    """Say of prefixes whether a route serves them; None forgets the rule.

    Errors: NotFound, InvalidRequest (MAX_PREFIX_RULES), Unavailable.
    """
    route_id = await _route_id(tx, name)
    gone = [prefix for prefix, allowed in rules.items() if allowed is None]
    if gone:
        await tx.execute("DELETE FROM route_prefixes WHERE route_id = $1 AND prefix = ANY ($2)", route_id, gone)
    kept = [(route_id, prefix, allowed) for prefix, allowed in rules.items() if allowed is not None]
    await tx.connection.executemany(
        "INSERT INTO route_prefixes VALUES ($1, $2, $3) "
        "ON CONFLICT (route_id, prefix) DO UPDATE SET allowed = EXCLUDED.allowed",
        kept,
    )
    if await _count(tx, "route_prefixes", route_id) > MAX_PREFIX_RULES:
        raise InvalidRequest("prefix", f"a route may have {MAX_PREFIX_RULES} at most; block more in its cost deck")


async def add_window(tx: Transaction, name: str, window: Window) -> None:
    """One more window in which a route is used; one of the same days and start is replaced.

    Errors: NotFound, InvalidRequest (MAX_WINDOWS), Unavailable.
    """
    route_id = await _route_id(tx, name)
    await tx.execute(
        "INSERT INTO route_windows (route_id, days, starts, ends) VALUES ($1, $2, $3::text::time, $4::text::time) "
        "ON CONFLICT (route_id, days, starts) DO UPDATE SET ends = EXCLUDED.ends",
        route_id, sorted(window.days), render_clock(window.starts), render_clock(window.ends),
    )  # fmt: skip
    if await _count(tx, "route_windows", route_id) > MAX_WINDOWS:
        raise InvalidRequest("days", f"a route may have {MAX_WINDOWS} windows at most")


async def clear_windows(tx: Transaction, name: str) -> None:
    """Use a route at all times. Errors: NotFound, Unavailable."""
    await tx.execute("DELETE FROM route_windows WHERE route_id = $1", await _route_id(tx, name))


async def set_tariff_routes(tx: Transaction, tariff: str, names: Sequence[str]) -> None:
    """The routes of a tariff's calls in their manual order; none: every route. Errors: NotFound, Unavailable."""
    tariff_id = await _tariff_id(tx, tariff)
    # Locked first, so that of two lists set at once one is the list, and not a mixture.
    await tx.execute("SELECT FROM tariffs WHERE tariff_id = $1 FOR NO KEY UPDATE", tariff_id)
    await tx.execute("DELETE FROM tariff_routes WHERE tariff_id = $1", tariff_id)
    await tx.execute(_SET_LIST, tariff_id, list(names))
    known = await tx.fetch("SELECT name FROM routes WHERE name = ANY ($1)", list(names))
    if unknown := set(names) - {row["name"] for row in known}:
        raise _unknown_route(min(unknown))


async def tariff_routes(database: Questions, tariff: str) -> list[str]:
    """The names of the routes a tariff lists, in order; empty: it lists none. Errors: NotFound, Unavailable."""
    rows = await database.fetch(
        "SELECT name FROM tariff_routes l JOIN routes USING (route_id) WHERE tariff_id = $1 "
        "ORDER BY l.position, route_id LIMIT $2",
        await _tariff_id(database, tariff), MAX_ROUTES,
    )  # fmt: skip
    return [row["name"] for row in rows]


def _listed(row: asyncpg.Record) -> ListedRoute:
    return ListedRoute(_route_from_row(row), row["enabled"], row["cost_tariff"])


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
        shared=row["shared"],
        quality=None if row["attempts"] is None else RouteQuality(row["attempts"], row["answered"], row["seconds"]),
    )


async def _route_id(tx: Transaction, name: str) -> Any:
    """The id of a route, which stays as it is until the transaction ends."""
    route_id = await tx.fetchval("SELECT route_id FROM routes WHERE name = $1 FOR NO KEY UPDATE", name)
    if route_id is None:
        raise _unknown_route(name)
    return route_id


async def _tariff_id(database: Questions, name: str) -> Any:
    tariff_id = await database.fetchval("SELECT tariff_id FROM tariffs WHERE name = $1", name)
    if tariff_id is None:
        raise NotFound(f"tariff {name!r} does not exist", field="tariff", hint=Hint.SEE_TARIFFS)
    return tariff_id


async def _count(tx: Transaction, table: str, route_id: int) -> int:
    count: int = await tx.fetchval(f"SELECT count(*) FROM {table} WHERE route_id = $1", route_id)  # noqa: S608
    return count


def _unknown_route(name: str) -> NotFound:
    return NotFound(f"route {name!r} does not exist", field="route", hint=Hint.SEE_ROUTES)


def _no_country() -> InvalidRequest:
    """The one rule of the table that its columns keep together."""
    return InvalidRequest("country_code", "must be given where national caller ids alone are allowed")
