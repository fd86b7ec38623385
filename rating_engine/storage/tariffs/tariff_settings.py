"""Tariffs as operators list and change them.

Law: whoever changes what belongs to a tariff holds its row meanwhile, so that changes come one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

import asyncpg

from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound, Unavailable
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff import BandMode, RouteOrder
from rating_engine.domain.tariff_card import ListedTariff, TariffSettings
from rating_engine.rating.rate import DurationRounding, IncrementMode
from rating_engine.storage.postgres.columns import assignments, columns_and_places
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.routes.route_plans import plan_to_point_to

LOCK_SECONDS: Final = 20  # an import of a large deck holds its tariff longer: better said than waited for

# The settings that can be changed: the fields of TariffChanges.
CHANGEABLE: Final = (
    "currency", "description", "is_option", "multiplier", "switch_price", "decimals", "increment_mode",
     "duration_rounding", "minimum_charge", "time_zone", "band_mode", "holiday_calendar", "by_routing_number",
     "route_order", "allow_loss", "route_plan_id",
)  # fmt: skip
_SETTINGS: Final = (
    "t.tariff_id, t.name, t.version, t.currency, t.description, t.is_option, t.multiplier, t.switch_price, t.decimals, "
    "t.increment_mode, t.duration_rounding, t.minimum_charge, t.time_zone, t.band_mode, t.holiday_calendar, "
    "t.by_routing_number, t.route_order, t.allow_loss, "
    "(SELECT x.name FROM route_plans x WHERE x.plan_id = t.route_plan_id) AS route_plan"
)
_BY_NAME: Final = f"SELECT {_SETTINGS} FROM tariffs t WHERE name = $1"  # noqa: S608  # a constant
_LISTED: Final = f"""
    WITH users AS (
        SELECT tariff_id, sum(number)::integer AS number FROM (
            SELECT tariff_id, count(*) AS number FROM subscribers GROUP BY 1
            UNION ALL
            SELECT tariff_id, count(DISTINCT subscriber_id) FROM subscriber_options
            WHERE effective_from <= now() AND effective_to > now() GROUP BY 1
        ) AS parts GROUP BY 1
    )
    SELECT {_SETTINGS}, d.version AS deck_version, COALESCE(d.rate_count, 0) AS rates, COALESCE(u.number, 0) AS users
    FROM tariffs t
    LEFT JOIN rate_decks d ON d.deck_id = deck_at(t.tariff_id, now())
    LEFT JOIN users u ON u.tariff_id = t.tariff_id
    WHERE ($1::text IS NULL OR t.name = $1) AND ($2::text IS NULL OR t.name > $2)
    ORDER BY t.name LIMIT $3"""  # noqa: S608  # made of constants


def unknown_tariff(name: str) -> NotFound:
    """The error for a name that no tariff has."""
    return NotFound(f"tariff {name!r} does not exist", field="tariff", hint=Hint.SEE_TARIFFS)


async def hold_tariff(tx: Transaction, name: str, *, as_key: bool = False) -> TariffSettings:
    """The tariff as it is, its row held until the transaction ends.

    `as_key`: nobody may take the tariff meanwhile, as a subscriber's or as an option. Errors: NotFound, Unavailable.
    """
    lock = "FOR UPDATE" if as_key else "FOR NO KEY UPDATE"
    await tx.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
    try:
        row = await tx.fetchrow(f"{_BY_NAME} {lock}", name)
    except asyncpg.LockNotAvailableError:
        raise Unavailable(
            f"tariff {name!r} is being changed by somebody else, or rates are imported into it; try again then"
        ) from None
    if row is None:
        raise unknown_tariff(name)
    return settings_from_row(row)


async def add_tariff(tx: Transaction, name: str, values: Mapping[str, object]) -> None:
    """Create a tariff. Errors: AlreadyExists, InvalidRequest (time_zone), NotFound (route_plan), Unavailable."""
    values = await _numbered(tx, values)
    columns, places = columns_and_places(CHANGEABLE, values, first=2)
    try:
        await tx.execute(
            f"INSERT INTO tariffs (name, {columns}) VALUES ($1, {places})",  # noqa: S608  # names of columns
            name, *values.values(),
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(
            f"tariff {name!r} exists already", field="name", hint=Hint.CHANGE_TARIFF, about={"tariff": name}
        ) from None
    except asyncpg.InvalidParameterValueError as error:
        raise InvalidRequest("time_zone", str(error)) from None


async def set_tariff(tx: Transaction, name: str, values: Mapping[str, object]) -> None:
    """Change settings of a tariff. Errors: NotFound, InvalidRequest naming the field, Unavailable."""
    values = await _numbered(tx, values)
    old = await hold_tariff(tx, name, as_key=True)
    if values.get("currency", old.currency) != old.currency:
        await _refuse_new_currency(tx, old)
    if values.get("is_option", old.is_option) != old.is_option:
        await _refuse_new_kind(tx, old)
    if not values:
        return
    changes = assignments(CHANGEABLE, values, first=2)
    try:
        await tx.execute(
            f"UPDATE tariffs SET {changes} WHERE tariff_id = $1",  # noqa: S608  # names of columns
            old.tariff_id, *values.values(),
        )  # fmt: skip
    except asyncpg.InvalidParameterValueError as error:
        raise InvalidRequest("time_zone", str(error)) from None


async def _numbered(tx: Transaction, values: Mapping[str, object]) -> Mapping[str, object]:
    """The same with the route plan by its number. Errors: NotFound, Unavailable."""
    if "route_plan" not in values:
        return values
    columns = dict(values)
    plan = columns.pop("route_plan")
    return {**columns, "route_plan_id": None if plan is None else await plan_to_point_to(tx, str(plan))}


async def set_multiplier(tx: Transaction, tariff_id: int, multiplier: Decimal) -> None:
    """The new markup of a tariff that the transaction holds."""
    await tx.execute("UPDATE tariffs SET multiplier = $2 WHERE tariff_id = $1", tariff_id, multiplier)


async def find_tariff(database: Questions, name: str) -> TariffSettings:
    """The settings of a tariff. Errors: NotFound, Unavailable."""
    row = await database.fetchrow(_BY_NAME, name)
    if row is None:
        raise unknown_tariff(name)
    return settings_from_row(row)


async def list_tariffs(database: Questions, cursor: Cursor) -> Page[ListedTariff]:
    """Tariffs by name. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_LISTED, None, *cursor.position(str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["name"],), _listed)


async def listed_tariff(database: Questions, name: str) -> ListedTariff:
    """One tariff as it stands in the list. Errors: NotFound, Unavailable."""
    row = await database.fetchrow(_LISTED, name, None, 1)
    if row is None:
        raise unknown_tariff(name)
    return _listed(row)


async def calendar_exists(database: Questions, calendar: str) -> bool:
    """Whether a calendar has a holiday. Errors: Unavailable."""
    found: bool = await database.fetchval("SELECT EXISTS (SELECT 1 FROM holidays WHERE calendar = $1)", calendar)
    return found


def _listed(row: asyncpg.Record) -> ListedTariff:
    return ListedTariff(settings_from_row(row), row["deck_version"], row["rates"], row["users"])


def settings_from_row(row: asyncpg.Record) -> TariffSettings:
    """The settings in a row that has the columns of the table."""
    return TariffSettings(
        tariff_id=row["tariff_id"],
        name=row["name"],
        version=row["version"],
        currency=row["currency"],
        description=row["description"],
        is_option=row["is_option"],
        multiplier=row["multiplier"],
        switch_price=row["switch_price"],
        decimals=row["decimals"],
        increment_mode=IncrementMode(row["increment_mode"]),
        duration_rounding=DurationRounding(row["duration_rounding"]),
        minimum_charge=row["minimum_charge"],
        time_zone=row["time_zone"],
        band_mode=BandMode(row["band_mode"]),
        holiday_calendar=row["holiday_calendar"],
        by_routing_number=row["by_routing_number"],
        route_order=RouteOrder(row["route_order"]),
        allow_loss=row["allow_loss"],
        route_plan=row["route_plan"],
    )


async def _refuse_new_currency(tx: Transaction, tariff: TariffSettings) -> None:
    """Prices of a deck and what a subscriber was told are in the currency they were made in."""
    in_use = await tx.fetchval(
        "SELECT EXISTS (SELECT 1 FROM rate_decks WHERE tariff_id = $1) "
        "OR EXISTS (SELECT 1 FROM subscribers WHERE tariff_id = $1) "
        "OR EXISTS (SELECT 1 FROM subscriber_options WHERE tariff_id = $1)",
        tariff.tariff_id,
    )
    if in_use:
        raise InvalidRequest(
            "currency", f"stays {tariff.currency}: {tariff.name!r} has rates or subscribers; add another tariff"
        )


async def _refuse_new_kind(tx: Transaction, tariff: TariffSettings) -> None:
    """A tariff becomes an option, or none, only while nobody has it as what it was."""
    # Who is about to take it is waited for; who comes later looks at its version again (switch_tariff_v2).
    await tx.execute("LOCK TABLE subscribers, subscriber_options IN SHARE MODE")
    users = await tx.fetchval(
        "SELECT count(DISTINCT subscriber_id) FROM subscriber_options WHERE tariff_id = $1 AND effective_to > now()"
        if tariff.is_option
        else "SELECT count(*) FROM subscribers WHERE tariff_id = $1",
        tariff.tariff_id,
    )
    if users:
        kind = "an option" if tariff.is_option else "the tariff"
        raise InvalidRequest(
            "is_option", f"{tariff.name!r} is {kind} of {users} subscribers; take it from them first, or add another"
        )
