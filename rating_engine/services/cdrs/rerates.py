"""Re-ratings of past calls, by one principal: begun, read, shown, posted, discarded, listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.domain.rerate import Rerate, RerateSums
from rating_engine.services.cdrs import rerating
from rating_engine.services.cdrs.rerating import PostingProgress, ReadingProgress, RerateRequest
from rating_engine.storage.calls import rerates as store
from rating_engine.storage.postgres.pool import Database


@dataclass(frozen=True, slots=True)
class RerateReport:
    """A re-rating, and what it comes to."""

    rerate: Rerate
    sums: RerateSums


class Rerates:
    """What one principal does with re-ratings."""

    def __init__(self, database: Database, principal: Principal, *, international_prefix: str) -> None:
        self._database = database
        self._principal = principal
        self._international_prefix = international_prefix

    async def begin(self, request: RerateRequest) -> Rerate:
        """A new re-rating, of which nothing is read yet. Errors: NotFound, InvalidRequest, Unavailable."""
        return await rerating.begin(self._database, self._principal, request)

    async def find(self, rerate_id: int) -> Rerate:
        """A re-rating. Errors: NotFound, Unavailable."""
        return await store.find_rerate(self._database, rerate_id)

    async def read(
        self, rerate: Rerate, *, on_progress: Callable[[ReadingProgress], None] = lambda progress: None
    ) -> Rerate:
        """Price what was not read yet of its calls. Errors: as `rerating.read`."""
        return await rerating.read(
            self._database, rerate, international_prefix=self._international_prefix, on_progress=on_progress
        )

    async def show(self, rerate_id: int, shown: int) -> RerateReport:
        """What it comes to, with `shown` lines of each kind at most. Errors: NotFound, Unavailable."""
        rerate = await store.find_rerate(self._database, rerate_id)
        return RerateReport(rerate, await store.sums_of(self._database, rerate_id, shown))

    async def page(self, cursor: Cursor) -> Page[Rerate]:
        """Re-ratings, the newest first. Errors: InvalidRequest (after), Unavailable."""
        return await store.list_rerates(self._database, cursor)

    async def post(
        self, rerate_id: int, *, on_progress: Callable[[PostingProgress], None] = lambda progress: None
    ) -> PostingProgress:
        """Post the corrections that were not posted yet. Errors: as `rerating.post`."""
        return await rerating.post(self._database, self._principal, rerate_id, on_progress=on_progress)

    async def discard(self, rerate_id: int) -> None:
        """Nothing of it will be posted; what was read is removed. Errors: NotFound, InvalidRequest, Unavailable."""
        await rerating.discard(self._database, self._principal, rerate_id)
