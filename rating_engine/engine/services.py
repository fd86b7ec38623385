"""The services of management, wired: settings in, every use case out. What serves calls is wired in `engine`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Final

from rating_engine.domain.errors import Unavailable
from rating_engine.services.catalogue import Services
from rating_engine.settings.model import Settings
from rating_engine.storage.postgres.pool import Database

# It answers a person or a program that manages, not a call: a large statement may take its time.
OFFICE_TIMEOUT_SECONDS: Final = 60.0
COMMAND_CONNECTIONS: Final = 2  # one for the work of a command, one for what is kept meanwhile


def make_services(settings: Settings, office: Database) -> Services:
    """Every use case over a database that is open."""
    return Services(office, ledger_buckets=settings.ledger_buckets)


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Every use case for as long as a command runs. Errors: Unavailable where the database cannot be used."""
    office = Database(
        settings.database_url,
        pool_size=COMMAND_CONNECTIONS,
        timeout_seconds=OFFICE_TIMEOUT_SECONDS,
        connect_timeout_seconds=settings.database_connect_timeout_seconds,
    )
    await office.open()
    try:
        if office.down is not None:
            raise Unavailable(f"PostgreSQL cannot be used: {office.down}")
        yield make_services(settings, office)
    finally:
        await office.close()
