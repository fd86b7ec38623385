"""What is left of packages right now: read before a call is planned, and checked again when it is reserved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from rating_engine.storage.postgres.pool import Database

_STATE: Final = """
    SELECT wanted.package_id, wanted.period_start, COALESCE(usage.used, 0) AS used,
           CASE WHEN usage.package_id IS NULL
                THEN package_allowance($1, $2, wanted.package_id, wanted.period_start)
                WHEN usage.allowance IS NOT NULL AND is_carried($1, $2, wanted.package_id, wanted.period_start) THEN 0
                ELSE usage.allowance - usage.used - usage.held END AS seconds_left
    FROM unnest($3::bigint[], $4::date[]) WITH ORDINALITY AS wanted(package_id, period_start, ord)
    LEFT JOIN package_usage usage ON usage.bucket = $1 AND usage.subscriber_id = $2
      AND usage.package_id = wanted.package_id AND usage.period_start = wanted.period_start
    ORDER BY wanted.ord"""


@dataclass(frozen=True, slots=True)
class PackageState:
    """A package of a subscriber in the period that began on `period_start`.

    `seconds_left`: that no call holds or has used; None: a volume, of which nothing is free. `used`: by ended calls.
    """

    package_id: int
    period_start: date
    used: int
    seconds_left: int | None


async def package_states(
    database: Database, bucket: int, subscriber_id: int, wanted: Sequence[tuple[int, date]]
) -> list[PackageState]:
    """The state of packages (by id and the day their period began), in the order asked for. Errors: Unavailable."""
    rows = await database.fetch(
        _STATE, bucket, subscriber_id, [package_id for package_id, _ in wanted], [start for _, start in wanted]
    )
    return [PackageState(**row) for row in rows]
