"""Callbacks, asked for by whichever process, and begun by the engine that leads over its exchange's AMI.

Laws: the money of both legs is held before the exchange is asked to call, under the keys that its dialplan will ask by
(the channels' names are ours): so its questions are repetitions, and what is held pays. Whatever fails, what is held is
given back; giving back is harmless where the exchange has asked meanwhile (services/calls/undo). An order is begun
once, in time, or never.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import structlog

from rating_engine.domain.callback import Callback, CallbackOrder, CallbackOutcome, NewCallback
from rating_engine.domain.errors import NotFound, NotYours, RatingEngineError, Unavailable
from rating_engine.domain.outcomes import BalanceOutcome, CallKey, Claim, Declined, Origin, PrepareCall, PrepareOutcome
from rating_engine.domain.party import SYSTEM, Level
from rating_engine.domain.principal import Principal
from rating_engine.services.watch.exchange_link import ExchangeLink
from rating_engine.services.watch.orders import answer_in_time
from rating_engine.storage.audit_log import record
from rating_engine.storage.calls import callbacks as store
from rating_engine.storage.calls.exchange_watch import read_watched
from rating_engine.storage.idempotency import digest_of, keep_answer, once
from rating_engine.storage.phones.sip_accounts import exchange_of_line
from rating_engine.storage.postgres.pool import Database

ORDER_SECONDS: Final = 10.0  # within which it is begun: two turns of the watch, and a new leader
BEGIN_SECONDS: Final = 10.0  # what beginning takes at the most: two questions to the ledger, one to the exchange
LEFT_EACH: Final = 5.0  # seconds between two looks for what a dead engine has left

ORIGIN: Final = Origin(from_originate="true", originated_by="callback")

_log = structlog.get_logger(__name__)


class CallQuestions(Protocol):
    """Whether a call may be made, without holding anything for it."""

    async def balance(self, login: str, call: PrepareCall | None = None) -> BalanceOutcome:
        """The account's money, and how long `call` would last on it, or why it may not be made."""
        ...


class CallCharging(Protocol):
    """What holds a leg's money, and gives it back; a broken database is an answer."""

    async def prepare_call(self, call: PrepareCall) -> PrepareOutcome:
        """May this call start, and for how long?"""
        ...

    async def abandon_call(self, call_key: CallKey, login: str, claim: Claim | None = None) -> object:
        """Give back what is held for an answer that nobody heard."""
        ...


class Callbacks:
    """What one principal asks of exchanges."""

    def __init__(self, office: Database, principal: Principal) -> None:
        self._office = office
        self._principal = principal

    async def begin(self, new: NewCallback, asking: CallQuestions) -> Callback:
        """Have two numbers called and connected; returns when the exchange has begun, or it is known why it does not.

        `asking`: whether each leg may be made now, before anybody is troubled; nothing is held for that.

        Errors: as `order`.
        """
        ordered = await self.order(new, asking)
        if isinstance(ordered, Callback):
            return ordered
        answered = await answer_in_time(
            partial(store.callback_of, self._office, ordered), ORDER_SECONDS + BEGIN_SECONDS
        )
        return answered or Callback(CallbackOutcome.NO_ANSWER, detail="the exchange has not answered in time")

    async def order(self, new: NewCallback, asking: CallQuestions) -> int | Callback:
        """The same without waiting: the number of what is begun within seconds, or why it is not.

        Errors: NotFound (the login), NotYours (a caller id of somebody else, below level 22), AlreadyExists (the key
        came with another request), Unavailable (the database: then nothing is begun any more).
        """
        if (
            new.callerid
            and self._principal.level < Level.RESELLER
            and not await store.is_own_number(self._office, new.login, new.callerid, nobody=SYSTEM)
        ):
            raise NotYours("is no number of yours", field="callerid")
        if new.callerid is None:
            new = replace(new, callerid=await store.callerid_of_card(self._office, new.login))
        watched = await read_watched(self._office)
        exchange = await self._exchange(new, watched)
        for number in new.numbers:
            call = PrepareCall(CallKey(exchange, "callback"), new.login, number, new.callerid or None)
            outcome = await asking.balance(new.login, call)
            if isinstance(outcome, Declined):
                return _declined(number, outcome)
        if exchange not in watched:
            return Callback(CallbackOutcome.REFUSED, detail="no exchange is followed over AMI")
        return await self._ask(new, exchange)

    async def _exchange(self, new: NewCallback, watched: Mapping[str, float]) -> str:
        """The wanted one, else that of the line's telephone, else any that is followed; '' where none is."""
        if new.exchange in watched:
            return str(new.exchange)
        home = await exchange_of_line(self._office, new.login)
        return home if home is not None and home in watched else min(watched, default="")

    async def _ask(self, new: NewCallback, exchange: str) -> int:
        # As Asterisk's own names of channels: the second in which it was made, a point, a number.
        uniqueid = f"{int(time.time())}.{secrets.randbelow(9 * 10**11) + 10**11}"
        async with self._office.transaction(self._principal) as tx:
            if new.key is not None:
                asked = digest_of("callback", new.login, new.first, new.second, new.callerid, new.pitch)
                told = await once(tx, new.key, asked)
                if told is not None:
                    return int(told["callback"])
            callback_id = await store.ask_for(tx, new, exchange, uniqueid, seconds=ORDER_SECONDS)
            await record(tx, "callback.begin", new.login, {"first": new.first, "second": new.second})
            if new.key is not None:
                await keep_answer(tx, new.key, {"callback": callback_id})
        return callback_id


class CallbackOrders:
    """The leader's part: begins what waits, side by side, and clears up what a dead engine has left."""

    def __init__(self, office: Database, charging: Callable[[], CallCharging]) -> None:
        """`charging`: is asked for when it is needed."""
        self._office = office
        self._charging = charging
        self._running: set[asyncio.Task[None]] = set()
        self._look_at = 0.0

    async def turn(self, links: Sequence[ExchangeLink]) -> None:
        """Take what waits for the exchanges that are connected. Errors: Unavailable (the database)."""
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LEFT_EACH
            for order in await store.left_behind(self._office):
                await self._give_back(order)
                await store.answer_callback(self._office, order, Callback(CallbackOutcome.EXPIRED))
        connected = {link.exchange: link for link in links if link.session}
        if not connected or len(self._running) >= store.TAKEN_AT_ONCE:
            return
        for order in await store.take(self._office, sorted(connected)):
            task = asyncio.create_task(self._carry_out(connected[order.exchange], order), name="callback")
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Another process leads: what is half done is given back by it."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _carry_out(self, link: ExchangeLink, order: CallbackOrder) -> None:
        try:
            callback = await self._begin(link, order)
            if callback.outcome is not CallbackOutcome.STARTED:
                await self._give_back(order)
            _log.info("callback_begun", callback=order.callback_id, login=order.login, outcome=callback.outcome)
            await store.answer_callback(self._office, order, callback)
        except RatingEngineError as error:  # the database: the next look for what was left behind clears up
            _log.warning("callback_put_off", callback=order.callback_id, problem=str(error))
        except Exception:  # a fault of this one: the next look for what was left behind gives back what it held
            _log.exception("callback_failed", callback=order.callback_id)

    async def _begin(self, link: ExchangeLink, order: CallbackOrder) -> Callback:
        callerid: str | None = None
        for key, number in order.legs:
            if number == order.login and link.rings_lines:
                continue
            call = PrepareCall(key, order.login, number, order.callerid or None, origin=ORIGIN)
            outcome = await self._charging().prepare_call(call)
            if isinstance(outcome, Declined):
                return _declined(number, outcome)
            callerid = outcome.callerid
        try:
            begun = await link.call_back(order, callerid or "")
        except Unavailable as error:
            return Callback(CallbackOutcome.NO_ANSWER, detail=str(error))
        if not begun:
            return Callback(CallbackOutcome.REFUSED, detail=f"{order.exchange} did not begin the call")
        return Callback(CallbackOutcome.STARTED)

    async def _give_back(self, order: CallbackOrder) -> None:
        """What is held for legs that the exchange has not asked for. Errors: Unavailable."""
        try:
            legs = await store.unheard_legs(self._office, order)
        except NotFound:
            return
        for claim in legs:
            await self._charging().abandon_call(claim.call_key, order.login, claim)


def _declined(number: str, why: Declined) -> Callback:
    return Callback(CallbackOutcome.DECLINED, why.reason, f"{number}: {why.detail or why.reason}")
