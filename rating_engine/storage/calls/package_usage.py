"""What is left of packages right now: read before a call is planned, and checked again when it is reserved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from rating_engine.storage.postgres.pool import Database

_STATES: Final = "SELECT package_states_v2($1, $2, $3, $4)"


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
    states = await database.fetchval(
        _STATES, bucket, subscriber_id, [package_id for package_id, _ in wanted], [start for _, start in wanted]
    )
    return [PackageState(**state) for state in states]
