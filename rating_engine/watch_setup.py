"""The watch of exchanges over AMI, wired from the settings. Without `ami_exchanges` nothing of it runs."""

from __future__ import annotations

from typing import Final

from agi.ami.address import parse_address
from agi.ami.link import links_to
from rating_engine.services.lasting import LastingCalls
from rating_engine.services.periodic import Periodic
from rating_engine.services.watched_exchanges import REFRESH_SECONDS, WatchedExchanges
from rating_engine.services.watching import Watch
from rating_engine.settings import Settings
from rating_engine.storage.exchange_watch import read_watched
from rating_engine.storage.leadership import Leadership
from rating_engine.storage.pool import Database
from rating_engine.telemetry.metrics import Metrics

UNSEEN_INTERVALS: Final = 3  # comparisons that a living call may be missed in before its expiry counts


class WatchSetup:
    """This process's part in the watch: it may come to lead, and knows which exchanges are watched by whoever does."""

    def __init__(self, settings: Settings, database: Database, lasting: LastingCalls, metrics: Metrics) -> None:
        addresses = [parse_address(text) for text in settings.ami_exchanges]
        watch = Watch(
            links_to(addresses, warning_sound=settings.ami_warning_sound),
            database,
            lasting,
            observer=metrics,
            buckets=settings.ledger_buckets,
            interval_seconds=settings.reconcile_interval_seconds,
            grace_seconds=settings.reconcile_grace_seconds,
            warning_seconds=settings.ami_warning_seconds,
        )
        self._enabled = bool(addresses)
        self._watched = WatchedExchanges(lambda: read_watched(database))
        self._refresh = Periodic("watched-exchanges", REFRESH_SECONDS, self._watched.refresh)
        self._leadership = Leadership(settings.database_url, watch.run, on_change=metrics.leading)

    def is_watched(self, exchange: str) -> bool:
        """Whether calls of this exchange can be lengthened now."""
        return self._watched.is_watched(exchange)

    def start(self) -> None:
        """Stand for leader, and read who is watched."""
        if self._enabled:
            self._refresh.start()
            self._leadership.start()

    async def stop(self) -> None:
        """Let another process lead."""
        if self._enabled:
            await self._leadership.stop()
            await self._refresh.stop()
