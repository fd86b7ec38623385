"""Numbering plans and the aliases that everybody has, as the call path reads them; and how operators change plans."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

import asyncpg
import orjson

from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotFound
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.storage.postgres.pool import Connection, Database

MAX_PLANS: Final = 10_000  # one a tenant, about 1 kB each
MAX_REWRITES: Final = 1_000  # of a plan: each a probe at most, but about 100 bytes in every worker
MAX_ALIASES: Final = 10_000  # that everybody has; a subscriber's own come with the subscriber

_PLANS: Final = """
    SELECT name, international_prefix, national_prefix, country_code, technical_prefixes,
           (SELECT json_object_agg(prefix, replacement) FROM numbering_rewrites WHERE plan = name)::text AS rewrites
    FROM numbering_plans ORDER BY name LIMIT $1"""
_ALIASES: Final = (
    "SELECT alias, destination FROM aliases WHERE bucket = 0 AND subscriber_id IS NULL ORDER BY alias LIMIT $1"
)


async def load_numbering(database: Database) -> tuple[dict[str, NumberingPlan], dict[str, str]]:
    """Every plan by its name, and everybody's aliases. Errors: Unavailable."""
    plans = {
        row["name"]: NumberingPlan(
            name=row["name"],
            international_prefix=row["international_prefix"],
            national_prefix=row["national_prefix"],
            country_code=row["country_code"],
            technical_prefixes=tuple(row["technical_prefixes"]),
            rewrites=orjson.loads(row["rewrites"] or "{}"),
        )
        for row in await database.fetch(_PLANS, MAX_PLANS)
    }
    aliases = {row["alias"]: row["destination"] for row in await database.fetch(_ALIASES, MAX_ALIASES)}
    return plans, aliases


async def add_plan(database: Database, plan: NumberingPlan) -> None:
    """Create a plan without rewrites. Errors: AlreadyExists (its name, or MAX_PLANS of them), Unavailable."""
    async with database.connection() as connection, connection.transaction():
        if await connection.fetchval("SELECT count(*) FROM numbering_plans") >= MAX_PLANS:
            raise AlreadyExists(f"there are {MAX_PLANS} numbering plans already, which is the limit")
        try:
            await connection.execute(
                "INSERT INTO numbering_plans VALUES ($1, $2, $3, $4, $5)", plan.name, plan.international_prefix,
                plan.national_prefix, plan.country_code, plan.technical_prefixes,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise AlreadyExists(
                f"numbering plan {plan.name!r} exists already; change it by: rating-engine numbering set"
            ) from None


@contextlib.asynccontextmanager
async def changing_plan(database: Database, name: str) -> AsyncIterator[tuple[Connection, NumberingPlan]]:
    """A transaction that holds a plan, and the plan without its rewrites; leaving without an error commits.

    Errors: NotFound, Unavailable.
    """
    async with database.connection() as connection, connection.transaction():
        row = await connection.fetchrow("SELECT * FROM numbering_plans WHERE name = $1 FOR UPDATE", name)
        if row is None:
            raise unknown_plan(name)
        yield connection, NumberingPlan(**{**row, "technical_prefixes": tuple(row["technical_prefixes"])})


async def update_plan(connection: Connection, plan: NumberingPlan) -> None:
    """Put the settings of a plan that the caller holds in the place of those it has."""
    await connection.execute(
        "UPDATE numbering_plans SET international_prefix = $2, national_prefix = $3, country_code = $4, "
        "technical_prefixes = $5 WHERE name = $1", plan.name, plan.international_prefix, plan.national_prefix,
        plan.country_code, plan.technical_prefixes,
    )  # fmt: skip


async def set_rewrite(database: Database, plan: str, prefix: str, replacement: str | None) -> None:
    """What the leading `prefix` becomes (None: it stays). Errors: NotFound, InvalidRequest, Unavailable."""
    async with changing_plan(database, plan) as (connection, _):
        if replacement is None:
            removed = await connection.fetchval(
                "DELETE FROM numbering_rewrites WHERE plan = $1 AND prefix = $2 RETURNING 1", plan, prefix
            )
            if removed is None:
                raise NotFound(f"plan {plan!r} rewrites no {prefix}; see: rating-engine numbering list")
            return
        await connection.execute(
            "INSERT INTO numbering_rewrites VALUES ($1, $2, $3) "
            "ON CONFLICT (plan, prefix) DO UPDATE SET replacement = EXCLUDED.replacement", plan, prefix, replacement,
        )  # fmt: skip
        number = await connection.fetchval("SELECT count(*) FROM numbering_rewrites WHERE plan = $1", plan)
        if number > MAX_REWRITES:
            raise InvalidRequest("prefix", f"a plan may have {MAX_REWRITES} rewrites")


async def remove_plan(database: Database, name: str) -> None:
    """Delete a plan that no account has. Errors: NotFound, InvalidRequest (it is in use), Unavailable."""
    async with database.connection() as connection, connection.transaction():
        if not await connection.fetchval("SELECT 1 FROM numbering_plans WHERE name = $1 FOR UPDATE", name):
            raise unknown_plan(name)
        number = await connection.fetchval("SELECT count(*) FROM accounts WHERE numbering_plan = $1", name)
        if number:
            raise InvalidRequest(
                "plan", f"{name!r} is the plan of {number} of the accounts; say first for each: "
                "rating-engine account set LOGIN --numbering-plan none"
            )  # fmt: skip
        await connection.execute("DELETE FROM numbering_plans WHERE name = $1", name)


def unknown_plan(name: str) -> NotFound:
    """The error for a name that no plan has."""
    return NotFound(f"numbering plan {name!r} does not exist; see: rating-engine numbering list")
