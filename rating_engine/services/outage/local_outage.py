"""What this machine does for calls while PostgreSQL is away: it keeps their ends, and may allow some to start.

It implements services/calls/ports.Outage over the spool of finishes and the calls of listed logins.
"""

from __future__ import annotations

import structlog

from rating_engine.domain.errors import Overloaded, Unavailable
from rating_engine.domain.outcomes import (
    CallKey,
    Declined,
    DeclineReason,
    FinishCall,
    FinishOutcome,
    PrepareCall,
    PrepareOutcome,
)
from rating_engine.domain.reservation import OpenCall
from rating_engine.services.outage.finish_spool import FinishSpool
from rating_engine.services.outage.offline_calls import OfflineCalls

_log = structlog.get_logger(__name__)


class LocalOutage:
    """`offline` None: no call starts without the database."""

    def __init__(self, spool: FinishSpool, offline: OfflineCalls | None = None) -> None:
        self._spool = spool
        self._offline = offline

    async def prepare(self, call: PrepareCall, error: Unavailable, known: OpenCall | None) -> PrepareOutcome:
        """Allowed by what was known before the database went, or Declined."""
        if self._offline is None or not self._offline.lists(call.login):
            return Declined(DeclineReason.UNAVAILABLE, str(error))
        return await self._offline.allow(call, known)

    def promised(self, call_key: CallKey) -> OpenCall | None:
        """The call as it was allowed without the database, or None."""
        return None if self._offline is None else self._offline.promised(call_key)

    def forget(self, call_key: CallKey) -> None:
        """Its end is safe elsewhere, or it never started."""
        if self._offline is not None:
            self._offline.forget(call_key)

    async def keep(self, call: FinishCall, known: OpenCall | None, error: Exception, waited: float) -> FinishOutcome:
        """Spool a finish that could not be charged now, whatever the reason: it is the last word on a call's money."""
        if not isinstance(error, Unavailable | Overloaded):
            _log.error("finish_failed", call_key=str(call.call_key), exc_info=error)
        return await self._spool.keep(call, known, waited_seconds=waited)
