"""Calls that last: listed, and hung up, from whichever process is asked.

Law: a call is hung up by the engine that follows its exchange, which alone has a connection to it. Its end is reported
and charged as any other's: nothing here touches money.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

from rating_engine.domain.errors import NotFound, Unavailable
from rating_engine.domain.live_call import (
    HungUp,
    LiveCall,
    LiveCallFilter,
    OrderOutcome,
    SuspiciousCall,
    UnfinishedCall,
)
from rating_engine.domain.outcomes import CallKey
from rating_engine.domain.page import MAX_LIMIT, Cursor, Page
from rating_engine.domain.principal import Principal
from rating_engine.services.watch.orders import answer_in_time
from rating_engine.storage.audit_log import record
from rating_engine.storage.calls import exchange_orders, live_calls
from rating_engine.storage.calls.exchange_watch import read_watched
from rating_engine.storage.parties.parties import is_below
from rating_engine.storage.postgres.pool import Database

ORDER_SECONDS: Final = 10.0  # who hangs up waits for it: two turns of the watch, and the exchange's own deadline


class LiveCalls:
    """What one principal sees of calls that last, and asks of their exchanges."""

    def __init__(self, office: Database, principal: Principal, *, buckets: int = 1) -> None:
        self._office = office
        self._principal = principal
        self._buckets = buckets

    async def page(self, wanted: LiveCallFilter, cursor: Cursor) -> Page[LiveCall]:
        """The longest open first. Errors: NotFound (the login), InvalidRequest (after), Unavailable."""
        return await live_calls.list_live(self._office, wanted, cursor)

    async def unfinished(self, cursor: Cursor) -> Page[UnfinishedCall]:
        """Calls that ended without a finish, the latest first. Errors: InvalidRequest (after), Unavailable."""
        return await live_calls.list_unfinished(self._office, cursor)

    async def suspicious(self, cursor: Cursor) -> Page[SuspiciousCall]:
        """Calls whose end a person should look at, the latest first. Errors: InvalidRequest (after), Unavailable."""
        return await live_calls.list_suspicious(self._office, cursor)

    async def hang_up(self, call_key: CallKey) -> OrderOutcome:
        """End a call on its exchange; returns when the exchange was told, or has no such call any more.

        Errors: NotFound (the call is not open), Unavailable (nobody follows its exchange, or nobody answered in time:
        then nothing is done any more).
        """
        if not await live_calls.is_open(self._office, call_key, buckets=self._buckets):
            raise NotFound(f"no call {call_key} is open")
        if call_key.exchange not in await read_watched(self._office):
            raise Unavailable(
                f"exchange {call_key.exchange} is not followed over AMI: its calls cannot be ended from here"
            )
        async with self._office.transaction(self._principal) as tx:
            order_id = await exchange_orders.ask_to_hang_up(tx, call_key, seconds=ORDER_SECONDS)
            await record(tx, "call.hang_up", str(call_key))
        outcome = await answer_in_time(partial(exchange_orders.outcome_of, self._office, order_id), ORDER_SECONDS)
        if outcome is None or outcome is OrderOutcome.NO_ANSWER:
            raise Unavailable(f"exchange {call_key.exchange} did not answer in time: look whether the call goes on")
        return outcome

    async def hang_up_own(self, call_key: CallKey) -> OrderOutcome:
        """The same of a call of who asks, or of somebody below it; another's is as one that is not open.

        Errors: as `hang_up`.
        """
        owner = await live_calls.owner_of_open(self._office, call_key, buckets=self._buckets)
        if owner is None or not await is_below(self._office, owner, self._principal.realm):
            raise NotFound("no such call is open", field="id")
        return await self.hang_up(call_key)

    async def hang_up_line(self, login: str) -> HungUp:
        """End the calls of one login that are open now, MAX_LIMIT at the most; returns when their exchanges were told.

        Errors: NotFound (the login), Unavailable.
        """
        calls = (await self.page(LiveCallFilter(login=login), Cursor(MAX_LIMIT))).items
        answers = await asyncio.gather(*(self._told(call.call_key) for call in calls))
        return HungUp(told=sum(answers), untold=len(answers) - sum(answers))

    async def _told(self, call_key: CallKey) -> bool:
        try:
            await self.hang_up(call_key)
        except NotFound:  # it has ended meanwhile
            return True
        except Unavailable:
            return False
        return True
