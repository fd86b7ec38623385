"""Routes and directions: what an operator may say of them."""

from __future__ import annotations

import re
from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import Direction, ListedRoute, Route
from rating_engine.storage import routes as store
from rating_engine.storage.pool import Database

MAX_NUMBER: Final = 32  # digits of a destination

_NAME: Final = re.compile(r"[A-Za-z0-9_.@:/+-]{1,64}")  # what reaches a dialplan variable as it is
_DIAL_PREFIX: Final = re.compile(r"[A-Za-z0-9_.@:/*#+-]{0,64}")
_DIGITS: Final = re.compile(r"[0-9]{0,32}")


class Routes:
    """The use cases of `rating-engine routes` and `directions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, name: str, *, position: int, dial_prefix: str = "", number_prefix: str = "") -> None:
        """A route that serves destinations beginning with `number_prefix`; the lowest position is tried first.

        Errors: InvalidRequest, AlreadyExists, Unavailable.
        """
        if not _NAME.fullmatch(name):
            raise InvalidRequest("name", "must be 1 to 64 of letters, digits and _ . @ : / + -")
        if not _DIAL_PREFIX.fullmatch(dial_prefix):
            raise InvalidRequest("dial_prefix", "may have letters, digits and _ . @ : / * # + - only")
        if not _DIGITS.fullmatch(number_prefix):
            raise InvalidRequest("number_prefix", "may have digits only, 32 at most")
        await store.add_route(self._database, Route(name, dial_prefix, number_prefix, position))

    async def list(self) -> list[ListedRoute]:
        """Every route in the order of attempts. Errors: Unavailable."""
        return await store.list_routes(self._database)

    async def set_enabled(self, name: str, enabled: bool) -> None:
        """Errors: NotFound, Unavailable."""
        await store.set_route_enabled(self._database, name, enabled)

    async def remove(self, name: str) -> None:
        """Errors: NotFound, Unavailable."""
        await store.remove_route(self._database, name)

    async def set_direction(self, code: str, name: str, *, min_len: int | None, max_len: int | None) -> None:
        """Errors: InvalidRequest, Unavailable."""
        for field, length in (("min_len", min_len), ("max_len", max_len)):
            if length is not None and not 1 <= length <= MAX_NUMBER:
                raise InvalidRequest(field, f"must be from 1 to {MAX_NUMBER}")
        if min_len is not None and max_len is not None and min_len > max_len:
            raise InvalidRequest("min_len", "must not be above max_len")
        await store.set_direction(self._database, Direction(code, name, min_len, max_len))
