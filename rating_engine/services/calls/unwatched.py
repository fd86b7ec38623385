"""Calls that cannot be lengthened, since nobody watches their exchange, though somebody should: said, not too often."""

from __future__ import annotations

import time
from typing import Final

import structlog

REPORT_EVERY_SECONDS: Final = 60.0  # of one exchange: each call of it would say the same
EXCHANGES_KEPT: Final = 1_000  # an operator has some dozens

_log = structlog.get_logger(__name__)


class UnwatchedCalls:
    """Says in the log, not too often, that calls hold all they may cost, and end there, though slices were wanted."""

    def __init__(self) -> None:
        self._reported: dict[str, float] = {}
        self._unreported: dict[str, int] = {}

    def count(self, exchange: str, login: str) -> None:
        """A call of this login from an exchange that nobody watches."""
        now = time.monotonic()
        calls = self._unreported[exchange] = self._unreported.get(exchange, 0) + 1
        if now - self._reported.get(exchange, -REPORT_EVERY_SECONDS) < REPORT_EVERY_SECONDS:
            return
        if len(self._reported) >= EXCHANGES_KEPT:
            self._reported.clear()
            self._unreported.clear()
        self._reported[exchange] = now
        self._unreported[exchange] = 0
        _log.warning("quota_without_watch", exchange=exchange, login=login, calls=calls)
