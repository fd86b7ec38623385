"""How calls go by each route, measured again and again from the CDRs: what `quality` orders routes by.

Law: measuring never gets into a call's way: it goes by the office. One process alone does it: the leader.
"""

from __future__ import annotations

import structlog

from rating_engine.domain.errors import RatingEngineError
from rating_engine.services.background import Periodic
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.routes.route_figures import measure

_log = structlog.get_logger(__name__)


class QualityMeter:
    """Measures every `interval_seconds` over the last `window_seconds`. `office`: the door that calls don't go by."""

    def __init__(self, office: Database, *, window_seconds: int, interval_seconds: float) -> None:
        self._office = office
        self._window = window_seconds
        self._interval = interval_seconds

    async def run(self) -> None:
        """Measure until cancelled. A turn that fails is logged, and the next one comes all the same."""
        await Periodic("route-quality", self._interval, self._measure).run()

    async def _measure(self) -> None:
        try:
            await measure(self._office, self._window)
        except RatingEngineError as error:  # away, which others report; or too slow, which nobody else would say
            _log.warning("route_quality_not_measured", error=str(error))
