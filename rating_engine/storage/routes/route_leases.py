"""The limits of routes, shared out among buckets: each may have of a limit what it was leased.

Only where there is more than one bucket: one has the whole limit, without any lease. The leader shares out again and
again, so that a bucket with more calls comes to have more of the limit.

Law: the leases of a route never sum to more than its limit, at no instant: what one bucket is to have more, another has
given up before, in a transaction that has ended. What a bucket's open calls use of a lease is not taken from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import asyncpg

from rating_engine.storage.postgres.pool import Database

_BUCKETS: Final = "SELECT max(bucket) FROM logins WHERE bucket <> 0"
_LIMITS: Final = """
    SELECT route_id, max_calls, max_calls_per_second FROM route_limits
    WHERE max_calls IS NOT NULL OR max_calls_per_second IS NOT NULL ORDER BY route_id
"""
_OPEN: Final = """
    INSERT INTO route_load (bucket, route_id) SELECT $1, route_id FROM unnest($2::bigint[]) AS route_id
    ON CONFLICT DO NOTHING
"""
_LOADS: Final = """
    SELECT route_id, open_calls, COALESCE(lease_calls, 0) AS lease_calls,
           COALESCE(lease_per_second, 0) AS lease_per_second
    FROM route_load WHERE bucket = $1 AND route_id = ANY ($2)
"""
_LEASE: Final = """
    UPDATE route_load l SET lease_calls = GREATEST(n.calls, l.open_calls), lease_per_second = n.per_second
    FROM unnest($2::bigint[], $3::integer[], $4::integer[]) AS n(route_id, calls, per_second)
    WHERE l.bucket = $1 AND l.route_id = n.route_id
      AND (l.lease_calls, l.lease_per_second) IS DISTINCT FROM (n.calls, n.per_second)
    RETURNING l.route_id, l.lease_calls
"""


# How soon a bucket comes to have what another does not need: a route that is full for it meanwhile is passed over.
SHARE_SECONDS: Final = 2.0
TURNS: Final = 5  # so often in a row the same buckets have what is left over


@dataclass(frozen=True, slots=True)
class Lease:
    """What a bucket has of a route: calls that are open, and how many it may have at a time and a second."""

    open_calls: int
    calls: int
    per_second: int


def shares(limit: int, wanted: Mapping[int, int], turn: int) -> dict[int, int]:
    """A limit among those who use so much of it: what each uses, and of the rest as much as the others.

    What is left over goes round with `turn`. More than the limit only where more is in use.
    """
    order = sorted(wanted)
    free = max(0, limit - sum(wanted.values()))
    each, over = divmod(free, len(order))
    return {who: wanted[who] + each + ((place - turn) % len(order) < over) for place, who in enumerate(order)}


async def share_routes(database: Database, turn: int) -> int:
    """Share out the limits of all routes; how many there are to share (0: there is one bucket). Errors: Unavailable."""
    last = await database.fetchval(_BUCKETS)
    limits = {row["route_id"]: row for row in await database.fetch(_LIMITS)} if last else {}
    if not limits:
        return 0
    loads: dict[int, dict[int, Lease]] = {route_id: {} for route_id in limits}
    for bucket in range(last + 1):
        await database.fetch(_OPEN, bucket, list(limits))
        for row in await database.fetch(_LOADS, bucket, list(limits)):
            loads[row["route_id"]][bucket] = Lease(row["open_calls"], row["lease_calls"], row["lease_per_second"])
    given = {route_id: dict(leases) for route_id, leases in loads.items()}
    for raises in (False, True):
        for bucket in range(last + 1):
            rows = [
                (route_id, *_next(limits[route_id], given[route_id], loads[route_id], bucket, turn, raises=raises))
                for route_id in limits
            ]
            for route_id, calls in await database.fetch(_LEASE, bucket, *map(list, zip(*rows, strict=True))):
                per_second = next(row[2] for row in rows if row[0] == route_id)
                given[route_id][bucket] = Lease(loads[route_id][bucket].open_calls, calls, per_second)
    return len(limits)


def _next(
    limit: asyncpg.Record,
    given: Mapping[int, Lease],
    loads: Mapping[int, Lease],
    bucket: int,
    turn: int,
    *,
    raises: bool,
) -> tuple[int, int]:
    """The next leases of a bucket, of calls and a second: first lowered ones, then higher ones by what is free."""
    has = given[bucket]
    nobody = dict.fromkeys(loads, 0)
    calls = shares(limit["max_calls"] or 0, {who: load.open_calls for who, load in loads.items()}, turn)[bucket]
    per_second = shares(limit["max_calls_per_second"] or 0, nobody, turn)[bucket]
    if not raises:
        return min(has.calls, calls), min(has.per_second, per_second)
    free = (limit["max_calls"] or 0) - sum(lease.calls for lease in given.values())
    free_per_second = (limit["max_calls_per_second"] or 0) - sum(lease.per_second for lease in given.values())
    return (
        has.calls + max(0, min(calls - has.calls, free)),
        has.per_second + max(0, min(per_second - has.per_second, free_per_second)),
    )
