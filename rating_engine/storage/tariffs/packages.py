"""Packages of tariffs, the groups of directions they are for, and what subscribers have used of them."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import asyncpg
import orjson

from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.tariff import PackageKind, Period
from rating_engine.domain.tariff_card import CarryOver, DirectionGroup, ListedPackage, PackageUsage
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tariffs.tariff_settings import hold_tariff

MAX_PACKAGES: Final = 50  # of a tariff: each may be locked by every call of it
MAX_GROUP: Final = 10_000  # directions of a group; every engine remembers them

_STEPS: Final = """(SELECT json_agg(json_build_array(after_seconds, multiplier::text) ORDER BY after_seconds)
            FROM package_steps s WHERE s.package_id = p.package_id)::text AS steps"""
_PACKAGE: Final = f"""t.name AS tariff, p.name, p.kind, p.direction_group, p.seconds, p.period, p.carry_over,
           p.waives_fees, p.position, {_STEPS}"""
_LISTED: Final = f"""
    SELECT {_PACKAGE}, p.package_id FROM packages p JOIN tariffs t USING (tariff_id)
    WHERE ($1::text IS NULL OR t.name = $1)
      AND ($2::text IS NULL OR (t.name, p.position, p.package_id) > ($2, $3::integer, $4::bigint))
    ORDER BY t.name, p.position, p.package_id LIMIT $5"""  # noqa: S608  # made of constants
_GROUPS: Final = """
    SELECT name, array_agg(direction ORDER BY direction) AS directions FROM direction_groups
    WHERE $1::text IS NULL OR name > $1 GROUP BY name ORDER BY name LIMIT $2"""
# The present period of every package that the subscriber's options in force and its tariff have, first used first.
_USAGE: Final = f"""
    SELECT {_PACKAGE}, begins::date, (begins + ('1 ' || p.period)::interval)::date AS ends,
           CASE WHEN u.package_id IS NULL
                THEN package_allowance(s.bucket, s.subscriber_id, p.package_id, begins::date)
                ELSE u.allowance END AS allowance,
           COALESCE(u.used, 0) AS used, COALESCE(u.held, 0) AS held
    FROM logins l JOIN subscribers s USING (bucket, login)
    CROSS JOIN LATERAL (
        SELECT o.tariff_id, o.position, o.effective_from FROM subscriber_options o
        WHERE o.bucket = s.bucket AND o.subscriber_id = s.subscriber_id
          AND o.effective_from <= now() AND o.effective_to > now()
        UNION ALL SELECT s.tariff_id, NULL, NULL) AS asked
    JOIN packages p ON p.tariff_id = asked.tariff_id
    JOIN tariffs t ON t.tariff_id = p.tariff_id
    CROSS JOIN LATERAL (SELECT date_trunc(p.period, now() AT TIME ZONE t.time_zone) AS begins) AS present
    LEFT JOIN package_usage u ON u.bucket = s.bucket AND u.subscriber_id = s.subscriber_id
        AND u.package_id = p.package_id AND u.period_start = begins::date
    WHERE l.login = $1
    ORDER BY asked.position, asked.effective_from, asked.tariff_id, p.position, p.package_id"""  # noqa: S608  # made of constants


async def add_package(tx: Transaction, package: ListedPackage) -> None:
    """Add a package to its tariff. Errors: NotFound, AlreadyExists, InvalidRequest (group, name), Unavailable."""
    tariff = await hold_tariff(tx, package.tariff)
    if package.group and not await _directions_of(tx, package.group):
        raise InvalidRequest(
            "group",
            f"{package.group!r} has no directions",
            hint=Hint.EMPTY_DIRECTION_GROUP,
            about={"group": package.group},
        )
    number = await tx.fetchval("SELECT count(*) FROM packages WHERE tariff_id = $1", tariff.tariff_id)
    if number >= MAX_PACKAGES:
        raise InvalidRequest("name", f"a tariff may have {MAX_PACKAGES} packages")
    try:
        package_id = await tx.fetchval(
            "INSERT INTO packages (tariff_id, name, kind, direction_group, seconds, period, carry_over, "
            "waives_fees, position) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING package_id",
            tariff.tariff_id, package.name, package.kind, package.group, package.seconds, package.period,
            package.carry_over, package.waives_fees, package.position,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(
            f"tariff {package.tariff!r} has a package {package.name!r}; remove it first, or choose another name",
            field="name",
        ) from None
    await tx.connection.executemany(
        "INSERT INTO package_steps VALUES ($1, $2, $3)",
        [(package_id, after, multiplier) for after, multiplier in package.steps],
    )


async def remove_package(tx: Transaction, tariff: str, name: str) -> None:
    """Take a package from a tariff; what was used of it stays in the CDRs. Errors: NotFound, Unavailable."""
    held = await hold_tariff(tx, tariff)
    removed = await tx.fetchval(
        "DELETE FROM packages WHERE tariff_id = $1 AND name = $2 RETURNING 1", held.tariff_id, name
    )
    if removed is None:
        raise NotFound(f"tariff {tariff!r} has no package {name!r}", hint=Hint.SEE_PACKAGES, about={"tariff": tariff})


async def list_packages(database: Questions, tariff: str | None, cursor: Cursor) -> Page[ListedPackage]:
    """The packages of a tariff or of every one by name, first used first. Errors: InvalidRequest, Unavailable."""
    rows = await database.fetch(_LISTED, tariff, *cursor.position(str, int, int), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["tariff"], row["position"], row["package_id"]), _package)


async def usage_of(database: Questions, login: str) -> list[PackageUsage]:
    """What a subscriber has used in the present periods of its packages, first used first. Errors: Unavailable."""
    return [_usage(row) for row in await database.fetch(_USAGE, login)]


async def set_group(tx: Transaction, name: str, directions: Sequence[str]) -> None:
    """The directions of a group from now on; created if need be. Errors: InvalidRequest, Unavailable."""
    unknown = await tx.fetchval(
        "SELECT code FROM unnest($1::text[]) AS code WHERE code NOT IN (SELECT code FROM directions) LIMIT 1",
        directions,
    )
    if unknown is not None:
        raise InvalidRequest(
            "directions",
            f"{unknown!r} is no direction of any deck",
            hint=Hint.NO_DIRECTION,
            about={"direction": unknown},
        )
    await tx.execute("DELETE FROM direction_groups WHERE name = $1 AND direction <> ALL ($2)", name, directions)
    await tx.execute(
        "INSERT INTO direction_groups SELECT $1, * FROM unnest($2::text[]) ON CONFLICT DO NOTHING", name, directions
    )


async def list_groups(database: Questions, cursor: Cursor) -> Page[DirectionGroup]:
    """Groups by name with their directions. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_GROUPS, *cursor.position(str), cursor.rows)
    return page_of_rows(
        rows, cursor, lambda row: (row["name"],), lambda row: DirectionGroup(row["name"], tuple(row["directions"]))
    )


async def remove_group(tx: Transaction, name: str) -> None:
    """Forget a group that no package is for. Errors: NotFound, InvalidRequest, Unavailable."""
    user = await tx.fetchrow(
        "SELECT t.name AS tariff, p.name FROM packages p JOIN tariffs t USING (tariff_id) "
        "WHERE p.direction_group = $1 ORDER BY p.package_id LIMIT 1", name,
    )  # fmt: skip
    if user is not None:
        raise InvalidRequest("name", f"the package {user['name']!r} of {user['tariff']!r} is for this group")
    removed = await tx.fetch("DELETE FROM direction_groups WHERE name = $1 RETURNING 1", name)
    if not removed:
        raise NotFound(f"direction group {name!r} does not exist", hint=Hint.SEE_DIRECTION_GROUPS)


async def _directions_of(tx: Transaction, group: str) -> int:
    number: int = await tx.fetchval("SELECT count(*) FROM direction_groups WHERE name = $1", group)
    return number


def _package(row: asyncpg.Record) -> ListedPackage:
    return ListedPackage(
        tariff=row["tariff"],
        name=row["name"],
        kind=PackageKind(row["kind"]),
        group=row["direction_group"],
        seconds=row["seconds"],
        period=Period(row["period"]),
        carry_over=CarryOver(row["carry_over"]),
        waives_fees=row["waives_fees"],
        position=row["position"],
        steps=tuple((after, Decimal(multiplier)) for after, multiplier in orjson.loads(row["steps"] or "[]")),
    )


def _usage(row: asyncpg.Record) -> PackageUsage:
    package = _package(row)
    return PackageUsage(
        package=package,
        begins=row["begins"],
        ends=row["ends"],
        allowance=row["allowance"],
        carried=0 if package.seconds is None else max(row["allowance"] - package.seconds, 0),
        used=row["used"],
        held=row["held"],
        multiplier=next((factor for after, factor in reversed(package.steps) if row["used"] >= after), Decimal(1)),
    )
