"""Calls that a black or white list has kept out, noted for whoever looks for them.

Law: noting one costs a call no look-up and no wait; what could not be written down is with the next turn, as far as
there is room, and beyond that forgotten: a log line is there of each.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from rating_engine.domain.number_lists import LIST_CAUSES
from rating_engine.domain.outcomes import Declined, PrepareCall
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.refused_call import RefusedCall, RefusedCallFilter
from rating_engine.storage.calls.refused_calls import list_refused
from rating_engine.storage.postgres.pool import Database

REFUSED_SECONDS: Final = 2.0  # how soon they are listed
MOST_WAITING: Final = 2_000  # between two turns; of more the latest
LONGEST: Final = 80  # characters of what somebody has dialled or shown


class RefusedNotes:
    """`keep` writes them down, many at once."""

    def __init__(self, keep: Callable[[Sequence[RefusedCall]], Awaitable[None]], now: Callable[[], datetime]) -> None:
        self._keep = keep
        self._now = now
        self._waiting: deque[RefusedCall] = deque(maxlen=MOST_WAITING)

    def note(self, call: PrepareCall, declined: Declined) -> None:
        """This call was declined; it is kept if a list did it."""
        cause = LIST_CAUSES.get(declined.reason)
        if cause is not None:
            said = (call.login, call.callerid or "", call.destination)
            login, callerid, number = (text.removeprefix("+")[:LONGEST].replace("\0", "") for text in said)
            key = str(call.call_key)
            self._waiting.append(RefusedCall(self._now(), key, login, callerid, number, declined.reason, cause))

    async def turn(self) -> None:
        """Write down what was noted since. Errors: those of `keep`; nothing is forgotten then."""
        if not self._waiting:
            return
        calls = list(self._waiting)
        self._waiting.clear()
        try:
            await self._keep(calls)
        except BaseException:
            self._waiting.extendleft(reversed(calls[len(self._waiting) :]))
            raise


class RefusedCalls:
    """What is known of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, wanted: RefusedCallFilter, cursor: Cursor) -> Page[RefusedCall]:
        """The latest first. Errors: InvalidRequest (after), Unavailable."""
        return await list_refused(self._database, wanted, cursor)
