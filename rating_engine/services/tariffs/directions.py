"""Directions: what an operator may say of them."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.tariff import Direction
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.tariffs import directions as store

MAX_NUMBER: Final = 32  # digits of a destination


async def set_direction(
    database: Database, code: str, name: str, *, min_len: int | None = None, max_len: int | None = None
) -> None:
    """Name a direction, and say how many digits its numbers have, country code included; None: any.

    Errors: InvalidRequest, Unavailable.
    """
    for field, length in (("min_len", min_len), ("max_len", max_len)):
        if length is not None and not 1 <= length <= MAX_NUMBER:
            raise InvalidRequest(field, f"must be from 1 to {MAX_NUMBER}")
    if min_len is not None and max_len is not None and min_len > max_len:
        raise InvalidRequest("min_len", "must not be above max_len")
    await store.set_direction(database, Direction(code, name, min_len, max_len))
