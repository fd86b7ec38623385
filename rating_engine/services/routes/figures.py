"""What goes over the routes now, and how it went lately."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rating_engine.domain.checks import check_whole
from rating_engine.domain.route_figures import RouteFigures, RouteLoad
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes import route_figures as store

MAX_WINDOW_SECONDS: Final = 31 * 86_400  # a month of calls is read in seconds, more in minutes


class RouteReports:
    """Figures of routes. `window_seconds`: over how long quality is measured where nobody says."""

    def __init__(self, database: Database, *, window_seconds: int) -> None:
        self._database = database
        self.window_seconds = window_seconds

    async def loads(self) -> Sequence[RouteLoad]:
        """Open calls, and calls of this second, of the routes that have a limit, by position. Errors: Unavailable."""
        return await store.loads(self._database)

    async def quality(self, window_seconds: int) -> Sequence[RouteFigures]:
        """How calls went in the last seconds by each route they were sent to. Errors: InvalidRequest, Unavailable."""
        check_whole(window_seconds, "window", least=1, most=MAX_WINDOW_SECONDS)
        return await store.figures(self._database, window_seconds)
