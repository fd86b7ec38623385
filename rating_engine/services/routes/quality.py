"""How calls go by each route, measured again and again from the CDRs: what `quality` orders routes by.

Law: measuring never gets into a call's way. It has a connection of its own, so that its slow answer is not taken for a
database that is away. One process alone does it: the leader.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from rating_engine.domain.errors import RatingEngineError
from rating_engine.services.background import Periodic
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.route_figures import measure

_log = structlog.get_logger(__name__)


class QualityMeter:
    """Measures every `interval_seconds` over the last `window_seconds`. `make_database`: a connection for it alone."""

    def __init__(self, make_database: Callable[[], Database], *, window_seconds: int, interval_seconds: float) -> None:
        self._make_database = make_database
        self._window = window_seconds
        self._interval = interval_seconds

    async def run(self) -> None:
        """Measure until cancelled. A turn that fails is logged, and the next one comes all the same."""
        database = self._make_database()
        await database.open()
        try:
            await Periodic("route-quality", self._interval, lambda: self._measure(database)).run()
        finally:
            await database.close()

    async def _measure(self, database: Database) -> None:
        try:
            await measure(database, self._window)
        except RatingEngineError as error:  # away, which others report; or too slow, which nobody else would say
            _log.warning("route_quality_not_measured", error=str(error))
