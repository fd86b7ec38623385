"""Numbering plans and the aliases that everybody has, as the call path reads them."""

from __future__ import annotations

from typing import Final

import orjson

from rating_engine.rating.numbering import NumberingPlan
from rating_engine.storage.pool import Database

MAX_PLANS: Final = 10_000  # one a tenant, about 1 kB each
MAX_ALIASES: Final = 10_000  # that everybody has; a subscriber's own come with the subscriber

_PLANS: Final = """
    SELECT name, international_prefix, national_prefix, country_code, technical_prefixes,
           (SELECT json_object_agg(prefix, replacement) FROM numbering_rewrites WHERE plan = name)::text AS rewrites
    FROM numbering_plans ORDER BY name LIMIT $1"""
_ALIASES: Final = "SELECT alias, destination FROM aliases WHERE subscriber_id IS NULL ORDER BY alias LIMIT $1"


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
