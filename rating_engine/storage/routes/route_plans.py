"""Route plans as calls go by them, and as operators see and change them; and the dynamic blacklist of everybody.

Law: what calls are planned by is of one moment: plans and blacklist are read by one statement each within it.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.route_plan import (
    MAX_PLANS,
    NO_ROUTE,
    Blacklisting,
    GlobalBlacklist,
    KnownPlans,
    ListedRoutePlan,
    RoutePlan,
)
from rating_engine.domain.tariff import RouteOrder
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_PLANS: Final = """
    SELECT plan_id, name, route_order,
           ARRAY(SELECT route_id FROM route_plan_routes r WHERE r.plan_id = p.plan_id
                 ORDER BY position, route_id) AS routes,
           b.enabled, b.score_threshold, b.route_plan_id AS blacklist_plan_id
    FROM dynamic_blacklist b LEFT JOIN route_plans p ON true ORDER BY plan_id LIMIT $1"""
_ONE: Final = """
    SELECT plan_id, name, route_order,
           ARRAY(SELECT route_id FROM route_plan_routes r WHERE r.plan_id = p.plan_id
                 ORDER BY position, route_id) AS routes
    FROM route_plans p WHERE name = $1"""
_LISTED: Final = """
    SELECT plan_id, name, route_order, description,
           ARRAY(SELECT r.name FROM route_plan_routes l JOIN routes r USING (route_id) WHERE l.plan_id = p.plan_id
                 ORDER BY l.position, route_id) AS routes,
           ((SELECT count(*) FROM tariffs t WHERE t.route_plan_id = p.plan_id)
            + (SELECT count(*) FROM parties t WHERE p.plan_id IN (t.route_plan_id, t.blacklist_plan_id))
            + (SELECT count(*) FROM card_groups t WHERE t.route_plan_id = p.plan_id)
            + (SELECT count(*) FROM dynamic_blacklist t WHERE t.route_plan_id = p.plan_id))::integer AS users
    FROM route_plans p"""
_FIND: Final = f"{_LISTED} WHERE name = $1"
_NUMBERED: Final = "SELECT name FROM route_plans WHERE plan_id = $1"
_LIST: Final = f"{_LISTED} WHERE $1::text IS NULL OR name > $1 ORDER BY name LIMIT $2"
_ADD: Final = "INSERT INTO route_plans (name, route_order, description) VALUES ($1, $2, $3) RETURNING plan_id"
_HOLD: Final = "SELECT plan_id FROM route_plans WHERE name = $1 FOR NO KEY UPDATE"
_KEY: Final = "SELECT plan_id FROM route_plans WHERE name = $1 FOR KEY SHARE"
_SET_ROUTES: Final = """
    INSERT INTO route_plan_routes (plan_id, route_id, position)
    SELECT $1, route_id, ord FROM unnest($2::text[]) WITH ORDINALITY AS given(name, ord)
    JOIN routes USING (name) WHERE kind = 'sip'"""
_KNOWN: Final = "SELECT name FROM routes WHERE name = ANY ($1) AND kind = 'sip'"
_GLOBAL: Final = """
    SELECT b.enabled, b.score_threshold AS threshold, p.name AS plan
    FROM dynamic_blacklist b LEFT JOIN route_plans p ON p.plan_id = b.route_plan_id"""
_SET_GLOBAL: Final = "UPDATE dynamic_blacklist SET enabled = $1, score_threshold = $2, route_plan_id = $3"


async def load_plans(database: Questions) -> KnownPlans:
    """All plans, and the blacklist of everybody. Errors: Unavailable."""
    rows = await database.fetch(_PLANS, MAX_PLANS)
    first = rows[0]
    on = Blacklisting(first["score_threshold"], first["blacklist_plan_id"]) if first["enabled"] else None
    plans = {row["plan_id"]: _plan(row) for row in rows if row["plan_id"] is not None}
    return KnownPlans(MappingProxyType(plans), on)


async def load_plan(database: Questions, name: str) -> RoutePlan:
    """One plan as calls go by it. Errors: NotFound, Unavailable."""
    row = await database.fetchrow(_ONE, name)
    if row is None:
        raise unknown_plan(name)
    return _plan(row)


async def find_plan(database: Questions, name: str) -> ListedRoutePlan:
    """One plan. Errors: NotFound, Unavailable."""
    row = await database.fetchrow(_FIND, name)
    if row is None:
        raise unknown_plan(name)
    return _listed(row)


async def numbered_plan(database: Questions, number: int) -> str:
    """The name of the plan of a number. Errors: NotFound, Unavailable."""
    name: str | None = await database.fetchval(_NUMBERED, number)
    if name is None:
        raise unknown_plan(str(number))
    return name


async def list_plans(database: Questions, cursor: Cursor) -> Page[ListedRoutePlan]:
    """Plans by name. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_LIST, *cursor.position(str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["name"],), _listed)


async def add_plan(tx: Transaction, name: str, order: RouteOrder, description: str) -> int:
    """Its number; it has no routes yet. Errors: AlreadyExists (its name, or MAX_PLANS), Unavailable."""
    if await tx.fetchval("SELECT count(*) FROM route_plans") >= MAX_PLANS:
        raise AlreadyExists(f"there are {MAX_PLANS} route plans already, which is the limit")
    try:
        number: int = await tx.fetchval(_ADD, name, order.value, description)
    except asyncpg.UniqueViolationError:
        raise _taken(name) from None
    return number


async def hold_plan(tx: Transaction, name: str) -> int:
    """The number of a plan, which nobody changes until the transaction ends. Errors: NotFound, Unavailable."""
    number: int | None = await tx.fetchval(_HOLD, name)
    if number is None:
        raise unknown_plan(name)
    return number


async def plan_to_point_to(tx: Transaction, name: str, field: str = "route_plan") -> int:
    """The number of a plan, which is there until the transaction ends. Errors: NotFound (the field), Unavailable."""
    number: int | None = await tx.fetchval(_KEY, name)
    if number is None:
        raise unknown_plan(name, field)
    return number


async def change_plan(tx: Transaction, plan_id: int, column: str, value: str) -> None:
    """Another name, order or description. Errors: AlreadyExists, Unavailable."""
    assert column in ("name", "route_order", "description")
    try:
        await tx.execute(f"UPDATE route_plans SET {column} = $2 WHERE plan_id = $1", plan_id, value)  # noqa: S608
    except asyncpg.UniqueViolationError:
        raise _taken(value) from None


async def set_plan_routes(tx: Transaction, plan_id: int, names: Sequence[str]) -> None:
    """The routes of a plan that the transaction holds. Errors: NotFound (a route of calls), Unavailable."""
    known = {row["name"] for row in await tx.fetch(_KNOWN, list(names))}
    if unknown := [name for name in names if name not in known]:
        raise NotFound(f"route {unknown[0]!r} does not exist, or carries no calls", field="routes")
    await tx.execute("DELETE FROM route_plan_routes WHERE plan_id = $1", plan_id)
    await tx.execute(_SET_ROUTES, plan_id, list(names))


async def remove_plan(tx: Transaction, plan_id: int, name: str) -> None:
    """Delete a plan that the transaction holds. Errors: Refused (something goes by it), Unavailable."""
    try:
        await tx.execute("DELETE FROM route_plans WHERE plan_id = $1", plan_id)
    except asyncpg.ForeignKeyViolationError:
        whose = "tariffs, users, card groups or the blacklist"
        raise Refused(f"{whose} go by route plan {name!r}; give these another one first") from None


async def global_blacklist(database: Questions) -> GlobalBlacklist:
    """What counts for everybody who has no own. Errors: Unavailable."""
    row = await database.fetchrow(_GLOBAL)
    assert row is not None
    return GlobalBlacklist(**row)


async def set_global_blacklist(tx: Transaction, wanted: GlobalBlacklist) -> None:
    """Errors: NotFound (the plan), Unavailable."""
    plan_id = None if wanted.plan is None else await plan_to_point_to(tx, wanted.plan, "plan")
    await tx.execute(_SET_GLOBAL, wanted.enabled, wanted.threshold, plan_id)


def unknown_plan(name: str, field: str = "route_plan") -> NotFound:
    """The error for a name, or number, that no plan has."""
    return NotFound(f"there is no route plan {name!r}", field=field)


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"route plan {name!r} exists already", field="name")


def _plan(row: asyncpg.Record) -> RoutePlan:
    places = {route_id: place for place, route_id in enumerate(row["routes"], start=1)}
    order = RouteOrder(row["route_order"])
    return RoutePlan(row["plan_id"], row["name"], order, MappingProxyType(places) if places else NO_ROUTE)


def _listed(row: asyncpg.Record) -> ListedRoutePlan:
    values: dict[str, Any] = dict(row)
    order = RouteOrder(values.pop("route_order"))
    return ListedRoutePlan(**{**values, "order": order, "routes": tuple(values["routes"])})
