"""What numbers are to be had, for who wants one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rating_engine.domain.checks import check_whole
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.number_stock import FreeNumber, Named, Stock
from rating_engine.domain.page import MAX_LIMIT
from rating_engine.storage.numbers import number_stock as store
from rating_engine.storage.postgres.pool import Database

MAX_START: Final = 10_000_000  # numbers are gone through up to there


class NumberStock:
    """The same for everybody: what is offered."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def regions(self) -> Sequence[Named]:
        """Errors: Unavailable."""
        return await store.regions(self._database)

    async def kinds(self) -> Sequence[Named]:
        """Errors: Unavailable."""
        return await store.kinds(self._database)

    async def free(
        self, *, region: int = 0, kind: int = 0, series: str = "", start: int = 0, limit: int = 100
    ) -> Stock:
        """Numbers of a region and a kind, 0: of any. Errors: InvalidRequest naming the field, Unavailable."""
        check_whole(start, "start", most=MAX_START)
        check_whole(limit, "limit", least=1, most=MAX_LIMIT)
        if not (series.isascii() and series.isdigit() and len(series) <= 15) and series != "":
            raise InvalidRequest("series", f"{series[:40]!r} is not what a number begins with, in digits")
        return await store.free_numbers(self._database, region, kind, series, start, limit)

    async def find(self, did_id: int) -> FreeNumber | None:
        """One that can be had; None: it cannot. Errors: Unavailable."""
        return await store.free_number(self._database, did_id)

    async def number_of(self, did_id: int) -> str | None:
        """The number with that id, also of somebody; None: there is none. Errors: Unavailable."""
        return await store.number_of(self._database, did_id)
