"""Directions: named groups of prefixes, how long their numbers are, and which one a number belongs to."""

from __future__ import annotations

from collections.abc import Sequence

from rating_engine.domain.checks import check_prefix
from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.price_list import ListedDirection
from rating_engine.domain.principal import Principal
from rating_engine.domain.tariff import Direction, check_direction
from rating_engine.rating.number import InvalidNumber, normalise_destination
from rating_engine.storage.audit_log import record
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import directions as store


class Directions:
    """What one principal does with directions."""

    def __init__(self, database: Database, principal: Principal, *, international_prefix: str = "00") -> None:
        self._database = database
        self._principal = principal
        self._international_prefix = international_prefix

    async def set(self, direction: Direction, prefixes: Sequence[str] = ()) -> None:
        """Name a direction, created if need be, and say how many digits its numbers have, country code included.

        `prefixes`: numbers that begin so belong to it from now on. Errors: InvalidRequest naming the field,
        Unavailable.
        """
        check_direction(direction)
        for prefix in prefixes:
            check_prefix(prefix)
        async with self._database.transaction(self._principal) as tx:
            await store.set_direction(tx, direction)
            if prefixes:
                await store.set_prefixes(tx, direction.code, prefixes)
            await record(
                tx, "direction.set", direction.code,
                {"name": direction.name, "min_len": direction.min_len, "max_len": direction.max_len,
                 "prefixes": list(prefixes)},
            )  # fmt: skip

    async def resolve(self, number: str) -> ListedDirection:
        """The direction of a number. Errors: InvalidRequest (number), NotFound (of none), Unavailable."""
        try:
            digits = normalise_destination(number, international_prefix=self._international_prefix)
        except InvalidNumber as error:
            raise InvalidRequest("number", str(error)) from None
        found = await store.resolve(self._database, digits)
        if found is None:
            raise NotFound(f"no direction has {digits}", field="number")
        return found

    async def page(self, cursor: Cursor) -> Page[ListedDirection]:
        """Directions by their numbers, each with its first prefix. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_directions(self._database, cursor)

    async def prefixes(self, cursor: Cursor) -> Page[ListedDirection]:
        """Every prefix with its direction. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_prefixes(self._database, cursor)
