"""How calls go by each route: measured from the CDRs for the order of routes, and shown to people.

Law: a measurement reads the CDRs of its window and no others (a BRIN index on their end), and writes no row that
stays as it was: each that changes makes every engine read its routes anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Final

import asyncpg

from rating_engine.domain.route_figures import RouteFigures, RouteLoad, RouteMoney
from rating_engine.domain.tariff import RouteQuality
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.routes import MAX_ROUTES

# An attempt is a call whose end was said: of the others (expired, reconciled ...) nobody knows how they went.
ATTEMPTS: Final = "source IN ('finish', 'late') AND ended_at > now() - make_interval(secs => $1)"

_MAX_FIGURES: Final = 10 * MAX_ROUTES  # rows read; one for each route that was ever used lately, and currency

# Without a tariff or route plan that orders by quality nobody asks, and nothing is read ("One-Time Filter" in EXPLAIN).
MEASURED: Final = f"""
    SELECT r.route_id, count(*)::integer AS attempts, (count(*) FILTER (WHERE c.seconds > 0))::integer AS answered,
           sum(c.seconds)::bigint AS seconds
    FROM call_records c JOIN routes r ON r.name = c.route_name
    WHERE {ATTEMPTS} AND (SELECT EXISTS (SELECT 1 FROM tariffs WHERE route_order = 'quality')
                        OR EXISTS (SELECT 1 FROM route_plans WHERE route_order = 'quality'))
    GROUP BY r.route_id
"""  # noqa: S608  # made of constants
_MEASURE: Final = f"""
    WITH measured AS MATERIALIZED ({MEASURED}), gone AS (
        DELETE FROM route_quality WHERE route_id NOT IN (SELECT route_id FROM measured) RETURNING route_id
    ), changed AS (
        INSERT INTO route_quality AS q (route_id, attempts, answered, seconds)
        SELECT route_id, attempts, answered, seconds FROM measured ORDER BY route_id
        ON CONFLICT (route_id) DO UPDATE
        SET attempts = EXCLUDED.attempts, answered = EXCLUDED.answered, seconds = EXCLUDED.seconds, measured_at = now()
        WHERE (q.attempts, q.answered, q.seconds) <> (EXCLUDED.attempts, EXCLUDED.answered, EXCLUDED.seconds)
        RETURNING route_id
    )
    SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM changed)
"""  # noqa: S608  # made of constants
REPORT: Final = f"""
    SELECT route_name, currency, count(*) AS attempts, count(*) FILTER (WHERE seconds > 0) AS answered,
           sum(seconds)::bigint AS seconds, sum(cost) AS sold,
           sum(cost) FILTER (WHERE margin IS NOT NULL) AS sold_known, sum(margin) AS margin,
           count(*) FILTER (WHERE seconds > 0 AND margin IS NULL) AS unknown
    FROM call_records WHERE {ATTEMPTS}
    GROUP BY route_name, currency ORDER BY route_name, currency LIMIT $2
"""  # noqa: S608  # made of constants
_LOAD: Final = """
    SELECT r.name, r.max_calls, r.max_calls_per_second, COALESCE(l.open_calls, 0) AS open_calls,
           COALESCE(l.started, 0) AS started
    FROM routes r LEFT JOIN (
        SELECT route_id, sum(open_calls)::integer AS open_calls, (sum(started) FILTER (
                   WHERE date_trunc('second', started_in) = date_trunc('second', now())))::integer AS started
        FROM route_load GROUP BY route_id) l USING (route_id)
    WHERE r.max_calls IS NOT NULL OR r.max_calls_per_second IS NOT NULL
    ORDER BY r.position, r.route_id LIMIT $1
"""


async def measure(database: Database, window_seconds: int) -> int:
    """Measure every route over the last `window_seconds`; how many rows changed. Errors: Unavailable."""
    changed: int = await database.fetchval(_MEASURE, window_seconds)
    return changed


async def figures(database: Database, window_seconds: int) -> list[RouteFigures]:
    """Every route that calls were sent to in the last `window_seconds`, by name. Errors: Unavailable."""
    rows = await database.fetch(REPORT, window_seconds, _MAX_FIGURES)
    return [_figures(name, list(group)) for name, group in groupby(rows, itemgetter("route_name"))]


async def loads(database: Database) -> list[RouteLoad]:
    """The routes with a limit, by position. Errors: Unavailable."""
    return [RouteLoad(**dict(row)) for row in await database.fetch(_LOAD, MAX_ROUTES)]


def _figures(name: str, rows: Iterable[asyncpg.Record]) -> RouteFigures:
    rows = list(rows)
    quality = RouteQuality(*(sum(row[column] for row in rows) for column in ("attempts", "answered", "seconds")))
    money = tuple(
        RouteMoney(
            row["currency"], row["sold"], row["sold_known"] or Decimal(0), row["margin"] or Decimal(0), row["unknown"]
        )
        for row in rows
    )
    return RouteFigures(name, quality, money)
