"""Faults to plant: what the simulation must find, or it proves nothing when it finds nothing.

Each is a small slip in schema.sql or in services/calls/prepare, of a kind that a tired author and a tired reader let
pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import asyncpg

from rating_engine.domain.outcomes import Claim, PrepareOutcome
from rating_engine.rating.rate import Rate
from rating_engine.services.calls.plan import Plan
from rating_engine.services.calls.prepare import Preparing, allowed
from rating_engine.storage.postgres.release import schema_sql


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """`slips`: texts of schema.sql and what stands there instead. `preparing`: in place of Preparing."""

    name: str
    slips: Sequence[tuple[str, str]] = ()
    preparing: type[Preparing] = Preparing


class RepeatsFromMemory(Preparing):
    """Answers a repeated callPrepare by what this process remembers, not by what is stored."""

    async def _repeat(self, plan: Plan, claim: Claim) -> PrepareOutcome:
        held = self._remembered.get(claim.call_key)
        if held is None:
            return await super()._repeat(plan, claim)
        answer = allowed(held, claim, Rate.from_json(held.details.rate), plan.subscriber.currency)
        return replace(answer, repeated=True)


EARLY = "expires_at <= now() + interval '3 min'"

FAULTS = (
    PlantedFault(
        "a finish that is said twice is charged twice",
        [
            ("amount_due(r.cost, COALESCE(cdr.cost, 0), a.balance)", "amount_due(r.cost, 0, a.balance)"),
            ("WHEN seconds IN (cdr_seconds, cdr_said) THEN 'repeated'", ""),
        ],
    ),
    PlantedFault(
        "the money of an ended call is not freed", [("reserved = a.reserved - n.held", "reserved = a.reserved")]
    ),
    PlantedFault(
        "an extension grants what is not there",
        [("LEAST(p_maximum - p_granted, account.available,", "LEAST(p_maximum - p_granted, NULL,")],
    ),
    PlantedFault(
        "an extension holds nothing",
        [("SET reserved = reserved + holds[n] - p_held[n]", "SET reserved = reserved")],
    ),
    PlantedFault(
        "calls of one batch are granted the same money",
        [("item.month_left) - sums[n];", "item.month_left);")],
    ),
    PlantedFault(
        "a call that cannot be lengthened holds everything",
        [("GREATEST(trunc(p_rest * p_share, 6), p_share_least)", "p_rest")],
    ),
    PlantedFault(
        "a reservation expires before its time",
        [
            ("WHEN source = 'expired' AND open_is_due IS NOT TRUE THEN 'still_open'", ""),
            ("expires_at <= now() AND answered_at IS NULL AND account_id <> ALL", f"{EARLY} AND account_id <> ALL"),
            ("expires_at <= now() AND answered_at IS NULL AND account_id = ANY", f"{EARLY} AND account_id = ANY"),
        ],
    ),
    PlantedFault(
        "a finish that comes after expiry is not charged",
        [("WHEN cdr_source = 'expired' THEN 'settled'", "WHEN cdr_source = 'expired' THEN 'repeated'")],
    ),
    PlantedFault(
        "a top-up that is said twice is posted twice",
        [
            (
                "p_reference;\n    IF FOUND THEN\n        RETURN ROW(CASE WHEN earlier.amount",
                "p_reference AND false;\n    IF FOUND THEN\n        RETURN ROW(CASE WHEN earlier.amount",
            ),
            ("CREATE UNIQUE INDEX ledger_entries_once", "CREATE INDEX ledger_entries_once"),
        ],
    ),
    PlantedFault(
        "what is held does not count against the daily limit",
        [("p_limit - p_reserved - CASE WHEN p_spent_on", "p_limit - CASE WHEN p_spent_on")],
    ),
    PlantedFault(
        "yesterday's spending counts today",
        [("CASE WHEN p_spent_on = local_date(p_time_zone) THEN p_day_spent ELSE 0 END", "p_day_spent")],
    ),
    PlantedFault(
        "one call more than the account may have",
        [("calls[n] >= item.calls_left OR", "calls[n] > item.calls_left OR")],
    ),
    PlantedFault(
        "a lost repetition takes the money of a call that runs",
        [("AND array_remove(open_claims, claim) <> '{}' THEN 'still_open'", "AND false THEN 'still_open'")],
    ),
    PlantedFault(
        "a blocked account is lengthened", [("IF NOT one.is_active AND NOT p_give_back THEN", "IF false THEN")]
    ),
    PlantedFault(
        "an overrun that was assumed is never taken back",
        [
            (
                "GREATEST(c.overrun + CASE WHEN e.is_unlimited THEN 0 ELSE e.due END, 0),\n            uncharged",
                "c.overrun + e.overrun,\n            uncharged",
            )
        ],
    ),
    PlantedFault("a prepare is repeated from memory", preparing=RepeatsFromMemory),
)


async def apply_schema(database_url: str, fault: PlantedFault) -> None:
    """Make the schema with the fault in it, in an empty database."""
    schema = schema_sql()
    for right, wrong in fault.slips:
        assert schema.count(right) == 1, f"schema.sql has changed; plant {fault.name!r} anew: {right}"
        schema = schema.replace(right, wrong)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(schema)
    finally:
        await connection.close()
