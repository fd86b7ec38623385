"""Numbering plans and the aliases that everybody has, as the call path reads them; and how operators change plans."""

from __future__ import annotations

from typing import Final

import asyncpg
import orjson

from rating_engine.domain.errors import AlreadyExists, Hint, InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.rating.numbering import NumberingPlan
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

MAX_PLANS: Final = 10_000  # one a tenant, about 1 kB each
MAX_REWRITES: Final = 1_000  # of a plan: each a probe at most, but about 100 bytes in every worker
MAX_ALIASES: Final = 10_000  # that everybody has; a subscriber's own come with the subscriber

_PLANS: Final = """
    SELECT name, international_prefix, national_prefix, country_code, technical_prefixes, national_length,
           (SELECT json_object_agg(prefix, replacement) FROM numbering_rewrites WHERE plan = name)::text AS rewrites
    FROM numbering_plans WHERE $1::text IS NULL OR name > $1 ORDER BY name LIMIT $2"""
_HOLD: Final = """
    SELECT name, international_prefix, national_prefix, country_code, technical_prefixes, national_length
    FROM numbering_plans WHERE name = $1 FOR UPDATE"""
_IN_USE: Final = """
    SELECT (SELECT count(*) FROM accounts WHERE numbering_plan = $1)
         + (SELECT count(*) FROM subscribers WHERE numbering_plan = $1)"""
_ALIASES: Final = """
    SELECT alias, destination FROM aliases WHERE bucket = 0 AND subscriber_id IS NULL ORDER BY alias LIMIT $1"""


async def load_numbering(database: Questions) -> tuple[dict[str, NumberingPlan], dict[str, str]]:
    """Every plan by its name, and everybody's aliases. Errors: Unavailable."""
    plans = {row["name"]: _plan(row) for row in await database.fetch(_PLANS, None, MAX_PLANS)}
    aliases = {row["alias"]: row["destination"] for row in await database.fetch(_ALIASES, MAX_ALIASES)}
    return plans, aliases


async def list_plans(database: Questions, cursor: Cursor) -> Page[NumberingPlan]:
    """Plans by name with their rewrites. Errors: InvalidRequest (after), Unavailable."""
    rows = await database.fetch(_PLANS, *cursor.position(str), cursor.rows)
    return page_of_rows(rows, cursor, lambda row: (row["name"],), _plan)


async def add_plan(tx: Transaction, plan: NumberingPlan) -> None:
    """Create a plan without rewrites. Errors: AlreadyExists (its name, or MAX_PLANS of them), Unavailable."""
    if await tx.fetchval("SELECT count(*) FROM numbering_plans") >= MAX_PLANS:
        raise AlreadyExists(f"there are {MAX_PLANS} numbering plans already, which is the limit")
    try:
        await tx.execute(
            "INSERT INTO numbering_plans VALUES ($1, $2, $3, $4, $5, $6)", plan.name, plan.international_prefix,
            plan.national_prefix, plan.country_code, plan.technical_prefixes, plan.national_length,
        )  # fmt: skip
    except asyncpg.UniqueViolationError:
        raise AlreadyExists(
            f"numbering plan {plan.name!r} exists already",
            field="name",
            hint=Hint.CHANGE_NUMBERING_PLAN,
            about={"plan": plan.name},
        ) from None


async def hold_plan(tx: Transaction, name: str) -> NumberingPlan:
    """The plan without its rewrites, held until the transaction ends. Errors: NotFound, Unavailable."""
    row = await tx.fetchrow(_HOLD, name)
    if row is None:
        raise unknown_plan(name)
    return NumberingPlan(**{**row, "technical_prefixes": tuple(row["technical_prefixes"])})


async def update_plan(tx: Transaction, plan: NumberingPlan) -> None:
    """Put the settings of a plan that the caller holds in the place of those it has."""
    await tx.execute(
        "UPDATE numbering_plans SET international_prefix = $2, national_prefix = $3, country_code = $4, "
        "technical_prefixes = $5, national_length = $6 WHERE name = $1", plan.name, plan.international_prefix,
        plan.national_prefix, plan.country_code, plan.technical_prefixes, plan.national_length,
    )  # fmt: skip


async def set_rewrite(tx: Transaction, plan: str, prefix: str, replacement: str | None) -> None:
    """What the leading `prefix` becomes (None: it stays). Errors: NotFound, InvalidRequest, Unavailable."""
    await hold_plan(tx, plan)
    if replacement is None:
        removed = await tx.fetchval(
            "DELETE FROM numbering_rewrites WHERE plan = $1 AND prefix = $2 RETURNING 1", plan, prefix
        )
        if removed is None:
            raise NotFound(f"plan {plan!r} rewrites no {prefix}", hint=Hint.SEE_NUMBERING_PLANS)
        return
    await tx.execute(
        "INSERT INTO numbering_rewrites VALUES ($1, $2, $3) "
        "ON CONFLICT (plan, prefix) DO UPDATE SET replacement = EXCLUDED.replacement", plan, prefix, replacement,
    )  # fmt: skip
    number = await tx.fetchval("SELECT count(*) FROM numbering_rewrites WHERE plan = $1", plan)
    if number > MAX_REWRITES:
        raise InvalidRequest("prefix", f"a plan may have {MAX_REWRITES} rewrites")


async def remove_plan(tx: Transaction, name: str) -> None:
    """Delete a plan that no account has. Errors: NotFound, InvalidRequest (it is in use), Unavailable."""
    await hold_plan(tx, name)
    number = await tx.fetchval(_IN_USE, name)
    if number:
        raise InvalidRequest(
            "plan", f"{name!r} is the plan of {number} of the accounts and lines", hint=Hint.TAKE_NUMBERING_PLAN_AWAY
        )
    await tx.execute("DELETE FROM numbering_plans WHERE name = $1", name)


async def plan_numbered(questions: Questions, location_id: int) -> str:
    """The name of a plan by its number. Errors: NotFound, Unavailable."""
    name: str | None = await questions.fetchval("SELECT name FROM numbering_plans WHERE location_id = $1", location_id)
    if name is None:
        raise unknown_plan(str(location_id))
    return name


async def number_of_plan(questions: Questions, name: str) -> int | None:
    """The number of a plan; None: there is no such plan. Errors: Unavailable."""
    number: int | None = await questions.fetchval("SELECT location_id FROM numbering_plans WHERE name = $1", name)
    return number


def unknown_plan(name: str) -> NotFound:
    """The error for a name that no plan has."""
    return NotFound(f"numbering plan {name!r} does not exist", field="plan", hint=Hint.SEE_NUMBERING_PLANS)


def _plan(row: asyncpg.Record) -> NumberingPlan:
    return NumberingPlan(
        name=row["name"],
        international_prefix=row["international_prefix"],
        national_prefix=row["national_prefix"],
        country_code=row["country_code"],
        technical_prefixes=tuple(row["technical_prefixes"]),
        national_length=row["national_length"],
        rewrites=orjson.loads(row["rewrites"] or "{}"),
    )
