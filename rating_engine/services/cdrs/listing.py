"""Ended calls, looked at: listed in pages, written to a file, one shown whole, and summed up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Final

from rating_engine.domain.cdr import CallReport, CallSum, Cdr, CdrDetail, CdrFilter, Dimension, Disposition
from rating_engine.domain.checks import check_whole
from rating_engine.domain.errors import InvalidRequest
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.page import MAX_LIMIT, Cursor, Page
from rating_engine.rating.schedule import InvalidSchedule, zone_named
from rating_engine.services.cdrs.export import export_cdrs
from rating_engine.storage.calls import cdrs as store
from rating_engine.storage.calls.call_reports import report_calls
from rating_engine.storage.parties.parties import find_party, logs_since
from rating_engine.storage.postgres.pool import Database

MAX_START: Final = 10_000_000  # calls are gone through up to there


class Cdrs:
    """The calls that are over."""

    def __init__(self, office: Database, *, buckets: int = 1) -> None:
        self._office = office
        self._buckets = buckets

    async def page(self, wanted: CdrFilter, cursor: Cursor) -> Page[Cdr]:
        """The latest first. Errors: InvalidRequest (after), NotFound (the login), Unavailable."""
        return await store.list_cdrs(self._office, wanted, cursor)

    async def report(
        self,
        who: str | int,
        since: datetime,
        until: datetime,
        *,
        ended: Disposition | None = None,
        start: int = 0,
        limit: int = 100,
    ) -> CallReport:
        """The calls of a user's own lines that began in [since, until), counted, and `limit` of them from `start` on.

        What was hidden of the user's event log is not there. Errors: InvalidRequest (field), NotFound, Unavailable.
        """
        check_whole(start, "start", most=MAX_START)
        check_whole(limit, "limit", least=1, most=MAX_LIMIT)
        party = await find_party(self._office, who)
        return await report_calls(
            self._office, party.party_id, since, until, hidden_before=await logs_since(self._office, party.party_id),
            ended=ended, start=start, limit=limit,
        )  # fmt: skip

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
