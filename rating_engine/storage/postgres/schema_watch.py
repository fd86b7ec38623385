"""What a running engine knows of the schema under it.

Law: an engine whose schema is another one says so and is not ready, and refuses no call for that alone: the money
functions do, where the one that it needs is not there. So an engine of the last release goes on while the schema is
migrated, until it is followed; one whose functions are gone, or not there yet, declines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog

from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.schema_state import problem_of

LOOK_SECONDS: Final = 5.0  # how soon a migration is noticed; one statement each that reads the catalogue

_log = structlog.get_logger(__name__)


class SchemaWatch:
    """Looks again and again. `problem`: what was found wrong, in words, or None."""

    def __init__(self, database: Database, is_up: Callable[[], bool]) -> None:
        self._database = database
        self._is_up = is_up
        self.problem: str | None = None

    async def turn(self) -> None:
        """Look now. While the database is away the last answer stands. Errors: Unavailable."""
        if not self._is_up():
            return
        found = await problem_of(self._database)
        problem = None if found is None else str(found)
        if problem != self.problem:
            self.problem = problem
            if problem is None:
                _log.info("schema_current")
            else:
                _log.warning("schema_differs", problem=problem)
