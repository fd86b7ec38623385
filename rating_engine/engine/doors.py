"""The doors of an engine to PostgreSQL, from the settings: which work goes by which.

Law: what a caller waits for (prepare, finish, extend, find, balance, and what they look up) goes by the calls door;
everything else by the office. So nothing that is slow in the office can make a call wait.
"""

from __future__ import annotations

from rating_engine.settings.model import Settings
from rating_engine.storage.calls.first_statements import FIRST_STATEMENTS
from rating_engine.storage.postgres.connecting import LOCK_TRIES
from rating_engine.storage.postgres.pool import Database
from rating_engine.telemetry.metrics import Metrics


def calls_door(settings: Settings, metrics: Metrics) -> Database:
    """What calls go by."""
    return Database(
        settings.database_url,
        door="calls",
        pool_size=settings.database_pool_size,
        timeout_seconds=settings.database_timeout_seconds,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        lock_timeout_seconds=settings.database_timeout_seconds / LOCK_TRIES,
        first_statements=FIRST_STATEMENTS,
        generic_plans=True,
        observer=metrics,
    )


def office_door(settings: Settings, metrics: Metrics) -> Database:
    """What everything else goes by."""
    return Database(
        settings.database_url,
        door="office",
        pool_size=settings.database_office_pool_size,
        timeout_seconds=settings.database_office_timeout_seconds,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
        late_is_away=False,
        observer=metrics,
    )
