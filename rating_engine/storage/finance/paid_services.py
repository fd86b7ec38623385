"""Services that are paid for besides calls: rows, lists, and what changes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, Hint, NotFound, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.subscription import Period, Service, ServiceKind
from rating_engine.storage.postgres.columns import assignments, columns_and_places
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

CHANGEABLE: Final = ("name", "price", "period", "setup_price", "self_cost", "quantity", "grace_days", "is_public")
_COLUMNS: Final = (*CHANGEABLE, "party_id", "kind", "currency", "minutes", "option_id")
SERVICE_COLUMNS: Final = """
    v.service_id, o.login AS service_owner, v.party_id AS service_party, v.name, v.kind, v.period, v.price,
    v.setup_price, v.self_cost, v.quantity, v.currency, v.minutes, v.option_id, t.name AS option, v.grace_days,
    v.is_public"""
SERVICE_OWNER: Final = "JOIN parties o ON o.party_id = v.party_id LEFT JOIN tariffs t ON t.tariff_id = v.option_id"
_FIND: Final = f"SELECT {SERVICE_COLUMNS} FROM services v {SERVICE_OWNER} WHERE service_id = $1 AND NOT v.is_removed"  # noqa: S608
_OWNER: Final = "SELECT party_id FROM services WHERE service_id = $1 AND NOT is_removed"
_LIST: Final = f"""
    SELECT {SERVICE_COLUMNS} FROM services v {SERVICE_OWNER}
    WHERE NOT v.is_removed AND ($1::bigint IS NULL OR v.party_id = ANY (parties_below($1))
                              OR v.is_public AND v.party_id = ANY (parties_above($1)))
      AND ($2::bigint IS NULL OR service_id > $2)
    ORDER BY service_id LIMIT $3"""  # noqa: S608  # constants
_IN_USE: Final = """
    SELECT count(*) FROM service_subscriptions
    WHERE service_id = $1 AND state IN ('active', 'unpaid') AND (ends_at IS NULL OR ends_at > now())"""
_ASK_AGAIN: Final = "UPDATE service_subscriptions SET missing = 0 WHERE service_id = $1 AND missing > 0"
# Of a flat rate's minutes: an option whose package has them, for every direction.
_OPTION: Final = """
    INSERT INTO tariffs (name, currency, is_option, owner_id)
    SELECT CASE WHEN EXISTS (SELECT FROM tariffs WHERE name = $1) THEN format('%s %s', left($1, 80), max(tariff_id) + 1)
                ELSE $1 END, $2, true, $3 FROM tariffs RETURNING tariff_id"""
_MINUTES: Final = """
    INSERT INTO packages (tariff_id, name, kind, seconds, period) VALUES ($1, 'minutes', 'free', $2, 'month')"""
_OPTION_ID: Final = "SELECT tariff_id FROM tariffs WHERE name = $1 AND is_option"


async def find_service(questions: Questions, service_id: int) -> Service:
    """Errors: NotFound, Unavailable."""
    row = await questions.fetchrow(_FIND, service_id)
    if row is None:
        raise unknown_service(service_id)
    return service_from_row(row)


async def owner_of_service(questions: Questions, service_id: int) -> int:
    """Who made it. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval(_OWNER, service_id)
    if owner is None:
        raise unknown_service(service_id)
    return owner


async def list_services(questions: Questions, realm: int | None, cursor: Cursor) -> Page[Service]:
    """What a party may see: its tree's, and what those above offer everybody; None: all.

    Errors: InvalidRequest (after), Unavailable.
    """
    rows = await questions.fetch(_LIST, realm, *cursor.position(int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["service_id"],), service_from_row)


async def add_service(tx: Transaction, values: Mapping[str, Any]) -> int:
    """Its number. Errors: AlreadyExists (its owner has one of that name), Unavailable."""
    columns, places = columns_and_places(_COLUMNS, values, first=1)
    statement = f"INSERT INTO services ({columns}) VALUES ({places}) RETURNING service_id"  # noqa: S608
    try:
        made: int = await tx.fetchval(statement, *values.values())
    except asyncpg.UniqueViolationError:
        raise _taken(values["name"]) from None
    return made


async def change_service(tx: Transaction, service_id: int, values: Mapping[str, Any]) -> None:
    """From the next period on; what was missing is asked for anew. Errors: AlreadyExists, Unavailable."""
    if not values:
        return
    statement = f"UPDATE services SET {assignments(CHANGEABLE, values, first=2)} WHERE service_id = $1"  # noqa: S608
    try:
        await tx.execute(statement, service_id, *values.values())
    except asyncpg.UniqueViolationError:
        raise _taken(values["name"]) from None
    await tx.execute(_ASK_AGAIN, service_id)


async def remove_service(tx: Transaction, service_id: int) -> None:
    """Errors: Refused (somebody has it), Unavailable."""
    await tx.fetchval("SELECT 1 FROM services WHERE service_id = $1 FOR UPDATE", service_id)
    if in_use := await tx.fetchval(_IN_USE, service_id):
        raise Refused(f"service {service_id} has {in_use} subscriptions; end those first")
    await tx.execute("UPDATE services SET is_removed = true WHERE service_id = $1", service_id)


async def add_flat_rate(tx: Transaction, name: str, currency: str, owner: int, minutes: int) -> int:
    """An option with so many free minutes a month. Errors: AlreadyExists, Unavailable."""
    try:
        made: int = await tx.fetchval(_OPTION, name, currency, owner)
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(f"there is a tariff {name!r} already", field="name") from None
    await tx.execute(_MINUTES, made, minutes * 60)
    return made


async def option_numbered(questions: Questions, name: str) -> int:
    """The number of an option by its name. Errors: NotFound, Unavailable."""
    found: int | None = await questions.fetchval(_OPTION_ID, name)
    if found is None:
        raise NotFound(f"there is no option {name!r}", field="option", hint=Hint.SEE_TARIFFS)
    return found


def unknown_service(service_id: int) -> NotFound:
    """The error for a service that is not there."""
    return NotFound(f"there is no service {service_id}", field="service", hint=Hint.SEE_SERVICES)


def service_from_row(row: asyncpg.Record) -> Service:
    """A service from the columns of SERVICE_COLUMNS."""
    return Service(
        row["service_id"], row["service_owner"], row["service_party"], row["name"], ServiceKind(row["kind"]),
        Period(row["period"]), row["price"], row["setup_price"], row["self_cost"], row["quantity"],
        row["currency"], row["minutes"], row["option_id"], row["option"], row["grace_days"], row["is_public"],
    )  # fmt: skip


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"there is a service {name!r} already", field="name")
