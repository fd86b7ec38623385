"""Ended calls, looked at: listed in pages, written to a file, one shown whole, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from pathlib import Path

from rating_engine.domain.cdr import CallSum, Cdr, CdrDetail, CdrFilter, Dimension
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.page import Cursor, Page
from rating_engine.rating.schedule import InvalidSchedule, zone_named
from rating_engine.services.cdrs.export import export_cdrs
from rating_engine.storage.calls import cdrs as store
from rating_engine.storage.postgres.pool import Database


class Cdrs:
    """The calls that are over."""

    def __init__(self, office: Database, *, buckets: int = 1) -> None:
        self._office = office
        self._buckets = buckets

    async def page(self, wanted: CdrFilter, cursor: Cursor) -> Page[Cdr]:
        """The latest first. Errors: InvalidRequest (after), NotFound (the login), Unavailable."""
        return await store.list_cdrs(self._office, wanted, cursor)

    async def export(
        self,
        wanted: CdrFilter,
        path: Path,
        *,
        time_zone: str = "UTC",
        on_rows: Callable[[int], None] = lambda rows: None,
    ) -> int:
        """All of them as a CSV or XLSX file, by its name; how many. `on_rows` is told how many are written so far.

        Errors: InvalidRequest (file, time_zone), NotFound (the login), DeckFileError (not written), Unavailable.
        """
        return await export_cdrs(self._office, wanted, _zone(time_zone), path, on_rows)

    async def show(self, call_key: CallKey) -> CdrDetail:
        """One call with the rate it was charged by. Errors: NotFound, Unavailable."""
        return await store.find_cdr(self._office, call_key, buckets=self._buckets)

    async def sums(
        self, wanted: CdrFilter, dimensions: Sequence[Dimension], *, time_zone: str = "UTC"
    ) -> list[CallSum]:
        """Calls, seconds, cost and margin by currency and by `dimensions`, each at most once; days of `time_zone`.

        Errors: InvalidRequest (dimensions, time_zone), NotFound (the login), Unavailable.
        """
        if len(set(dimensions)) != len(dimensions):
            raise InvalidRequest("dimensions", "name one of them twice")
        _zone(time_zone)
        return await store.sum_calls(self._office, wanted, dimensions, time_zone)


def _zone(name: str) -> tzinfo:
    try:
        return zone_named(name)
    except InvalidSchedule as error:
        raise InvalidRequest("time_zone", str(error)) from None
