"""Routes by their numbers, as their owners see and change them, and how they are reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.gateway import NATIONAL_CODE, Gateway, RouteKind
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff import CalleridPolicy
from rating_engine.storage.postgres.columns import assignments
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.routes.routes import MAX_ROUTES, remove_route

OF_ROUTE: Final = ("name", "dial_prefix", "callerid_policy", "country_code", "enabled")
OF_GATEWAY: Final = (
    "host", "username", "secret", "from_user", "balance_handler", "balance_username", "balance_secret",
)  # fmt: skip

_GATEWAYS: Final = """
    SELECT r.route_id, r.name, r.owner_id, o.login AS owner, r.dial_prefix AS prefix, r.callerid_policy AS policy,
           CASE WHEN r.kind = 'sms' THEN 'sms' WHEN g.route_id IS NULL THEN 'default' ELSE 'sip' END AS kind,
           r.enabled, COALESCE(g.exchange, '') AS exchange, COALESCE(g.host, '') AS host,
           COALESCE(g.username, '') AS username, COALESCE(g.from_user, false) AS from_user, g.balance,
           g.balance_updated_at
    FROM routes r JOIN parties o ON o.party_id = r.owner_id LEFT JOIN gateways g USING (route_id)"""
_ONE: Final = f"{_GATEWAYS} WHERE r.route_id = $1"
_PAGE: Final = f"""
    SELECT * FROM ({_GATEWAYS}) AS all_of_them
    WHERE ($1::bigint[] IS NULL OR owner_id = ANY ($1)) AND ($2::text IS NULL OR kind = $2)
      AND ($3::bigint IS NULL OR route_id > $3) ORDER BY route_id LIMIT $4"""  # noqa: S608  # made of constants
_ADD: Final = """
    INSERT INTO routes (name, dial_prefix, position, callerid_policy, country_code, owner_id, kind, shared)
    SELECT $1, $2, 1 + COALESCE(max(position), 0), $3, $4, $5, $6, false FROM routes RETURNING route_id"""
_TRUNKS: Final = """
    SELECT r.name, g.host, g.username, g.secret, g.from_user FROM gateways g JOIN routes r USING (route_id)
    WHERE g.exchange = $1 AND r.kind = 'sip' AND r.enabled AND g.host <> '' ORDER BY r.route_id LIMIT $2"""


def unknown_gateway(route_id: int) -> NotFound:
    """The error for a number that no route has."""
    return NotFound(f"route {route_id} does not exist", field="id")


async def list_gateways(
    questions: Questions, owners: list[int] | None, kind: RouteKind | None, cursor: Cursor
) -> Page[Gateway]:
    """Routes by number, of some owners (None: all). Errors: InvalidRequest (after), Unavailable."""
    rows = await questions.fetch(_PAGE, owners, kind, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["route_id"],), _gateway)


async def find_gateway(questions: Questions, route_id: int) -> Gateway:
    """One of them. Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_ONE, route_id)
    if row is None:
        raise unknown_gateway(route_id)
    return _gateway(row)


async def owner_of_route(questions: Questions, route_id: int) -> int:
    """Whose it is. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval("SELECT owner_id FROM routes WHERE route_id = $1", route_id)
    if owner is None:
        raise unknown_gateway(route_id)
    return owner


async def add_gateway(
    tx: Transaction, name: str, kind: RouteKind, owner_id: int, exchange: str, values: Mapping[str, Any]
) -> int:
    """A route for those tariffs alone that have a price for it; its number. Errors: AlreadyExists, Unavailable."""
    if await tx.fetchval("SELECT count(*) FROM routes") >= MAX_ROUTES:
        raise AlreadyExists(f"there are {MAX_ROUTES} routes already, which is the limit")
    policy = values.get("callerid_policy", CalleridPolicy.ANY)
    try:
        route_id: int = await tx.fetchval(
            _ADD, name, values.get("dial_prefix", ""), int(policy), country_of(policy), owner_id, kind.value
        )
    except asyncpg.UniqueViolationError:
        raise AlreadyExists("there is a route of this name already", field="route") from None
    await tx.execute("INSERT INTO gateways (route_id, exchange) VALUES ($1, $2)", route_id, exchange)
    await _set(tx, "gateways", OF_GATEWAY, route_id, values)
    return route_id


async def change_gateway(tx: Transaction, gateway: Gateway, values: Mapping[str, Any]) -> None:
    """Set columns of a route and of its gateway. Errors: AlreadyExists (name), Refused (no gateway), Unavailable."""
    if not gateway.exchange and values.keys() & set(OF_GATEWAY):
        raise Refused("the exchange itself says how this route is reached; add another route")
    try:
        await _set(tx, "routes", OF_ROUTE, gateway.route_id, values)
    except asyncpg.UniqueViolationError:
        raise AlreadyExists("there is a route of this name already", field="route") from None
    await _set(tx, "gateways", OF_GATEWAY, gateway.route_id, values)


async def remove_gateway(tx: Transaction, gateway: Gateway) -> None:
    """Delete a route that no tariff has a price for. Errors: Refused, InvalidRequest, Unavailable."""
    await remove_route(tx, gateway.name)


async def load_trunks(questions: Questions, exchange: str) -> list[asyncpg.Record]:
    """The gateways that an exchange dials, with their secrets as they are kept. Errors: Unavailable."""
    return await questions.fetch(_TRUNKS, exchange, MAX_ROUTES)


def country_of(policy: int) -> str:
    """Whose caller ids a policy lets through; '': it does not ask."""
    return NATIONAL_CODE if policy == CalleridPolicy.NATIONAL else ""


async def _set(tx: Transaction, table: str, columns: tuple[str, ...], route_id: int, values: Mapping[str, Any]) -> None:
    own = {name: value for name, value in values.items() if name in columns}
    if own:
        await tx.execute(
            f"UPDATE {table} SET {assignments(columns, own, first=2)} WHERE route_id = $1",  # noqa: S608  # names
            route_id, *own.values(),
        )  # fmt: skip


def _gateway(row: asyncpg.Record) -> Gateway:
    words = {"kind": RouteKind, "policy": CalleridPolicy}
    return Gateway(**{name: words[name](value) if name in words else value for name, value in row.items()})
