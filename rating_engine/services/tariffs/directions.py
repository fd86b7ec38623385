"""Directions: named groups of prefixes, and how long their numbers are."""

from __future__ import annotations

from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff import Direction, check_direction
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import directions as store


class Directions:
    """What one principal does with directions."""

    def __init__(self, database: Database, principal: Principal) -> None:
        self._database = database
        self._principal = principal

    async def set(self, direction: Direction) -> None:
        """Name a direction, created if need be, and say how many digits its numbers have, country code included.

        Errors: InvalidRequest naming the field, Unavailable.
        """
        check_direction(direction)
        async with self._database.transaction(self._principal) as tx:
            await store.set_direction(tx, direction)
            await record(
                tx, "direction.set", direction.code,
                {"name": direction.name, "min_len": direction.min_len, "max_len": direction.max_len},
            )  # fmt: skip
