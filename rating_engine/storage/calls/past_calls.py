"""CDRs read to be priced again, in portions of their primary key.

Law: a portion says up to where all was read, so that who goes on from there reads every CDR that is there once. Memory
is bounded by PORTION, and no transaction lasts longer than a portion. The whole table is gone through: it has no index
by the time of calls, which every call that ends would pay for. A call that came in and cost nothing was priced by no
deck, and is none of the tariff's that it stands with: it is not read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import asyncpg

from rating_engine.domain.outcomes import INBOUND
from rating_engine.domain.past_call import CallPosition, CallRange, PastCall
from rating_engine.storage.calls.call_details import PROVISIONAL, frozen_rate
from rating_engine.storage.postgres.pool import Database

PORTION: Final = 5_000  # CDRs gone through at a time: some 10 MB where all of them are wanted

# The limit is a constant: of a parameter the planner would think it a tenth of the table, and sort all of that.
PORTION_QUERY: Final = f"""
    WITH portion AS MATERIALIZED (
        SELECT * FROM call_records WHERE (bucket, call_key) > ($1::smallint, $2::text)
        ORDER BY bucket, call_key LIMIT {PORTION}
    ), last AS (
        SELECT bucket AS last_bucket, call_key AS last_call_key, (SELECT count(*) FROM portion) AS gone_through
        FROM portion ORDER BY bucket DESC, call_key DESC LIMIT 1
    )
    SELECT * FROM last LEFT JOIN (
        SELECT c.bucket, c.call_key, c.account_id, c.subscriber_id, COALESCE(s.login, '') AS login, c.currency,
               COALESCE(s.numbering_plan, a.numbering_plan) AS numbering_plan, c.callerid,
               c.destination, c.routing_number, c.direction, c.prepared_at AS started_at,
               c.seconds, c.cost, {frozen_rate("c", "rate_key", "c.bucket")} AS rate, c.source, c.margin, c.attempt,
               CASE WHEN cardinality(c.packages) = 0 THEN 0 ELSE (
                   SELECT COALESCE(sum(u.seconds), 0) FROM unnest(c.packages) u JOIN package_usage p
                     ON p.bucket = c.bucket AND p.subscriber_id = c.subscriber_id AND p.package_id = u.package_id
                    AND p.period_start = u.period_start
                   WHERE p.allowance IS NOT NULL
               ) END AS covered_seconds
        FROM portion c
        LEFT JOIN accounts a USING (bucket, account_id)
        LEFT JOIN subscribers s ON s.bucket = c.bucket AND s.subscriber_id = c.subscriber_id
        WHERE c.tariff_id = $3 AND c.prepared_at >= $4 AND c.prepared_at < $5
          AND ($6::bigint IS NULL OR c.subscriber_id = $6) AND starts_with(c.destination, $7)
          AND NOT (c.route_name = '{INBOUND}' AND c.deck_id = 0)
    ) AS wanted ON true"""  # noqa: S608  # made of constants


@dataclass(frozen=True, slots=True)
class Portion:
    """The wanted calls among the `gone_through` CDRs up to `last`."""

    calls: tuple[PastCall, ...]
    gone_through: int
    last: CallPosition


async def read_portion(database: Database, wanted: CallRange, after: CallPosition) -> Portion | None:
    """The next portion after a position; None where no CDR comes after it. Errors: Unavailable."""
    rows = await database.fetch(
        PORTION_QUERY,
        after.bucket,
        after.call_key,
        wanted.tariff_id,
        wanted.calls_from,
        wanted.calls_to,
        wanted.subscriber_id,
        wanted.prefix,
    )
    if not rows:
        return None
    return Portion(
        tuple(_call_from_row(row) for row in rows if row["call_key"] is not None),
        rows[0]["gone_through"],
        CallPosition(rows[0]["last_bucket"], rows[0]["last_call_key"]),
    )


async def about_how_many(database: Database) -> int | None:
    """How many CDRs there are, as PostgreSQL last counted; None where it never did. Errors: Unavailable."""
    rows = int(await database.fetchval("SELECT reltuples::bigint FROM pg_class WHERE oid = 'call_records'::regclass"))
    return rows if rows > 0 else None


def _call_from_row(row: asyncpg.Record) -> PastCall:
    return PastCall(
        bucket=row["bucket"],
        call_key=row["call_key"],
        account_id=row["account_id"],
        subscriber_id=row["subscriber_id"],
        login=row["login"],
        currency=row["currency"],
        numbering_plan=row["numbering_plan"],
        callerid=row["callerid"],
        destination=row["destination"],
        routing_number=row["routing_number"],
        direction=row["direction"],
        started_at=row["started_at"],
        seconds=row["seconds"],
        cost=row["cost"],
        rate=row["rate"],
        provisional=row["source"] in PROVISIONAL,
        covered_seconds=row["covered_seconds"],
        margin=row["margin"],
        attempt=row["attempt"],
    )
