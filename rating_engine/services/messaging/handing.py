"""Messages handed to carriers: at once by whoever sends them, and from the queue by every engine.

Laws: a message is with one engine at a time, by its lease; what a carrier has not heard of waits and is tried again;
what it refuses, or what nobody knows of, costs nothing. An engine that dies between the hold and the answer leaves a
lease that ends, and the money is given back then: a carrier is never told twice.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.message import Message, MessageState
from rating_engine.services.messaging.carriers import (
    HAND_OVER_SECONDS,
    Accepted,
    CarrierAway,
    CarrierRefused,
    Carriers,
    CarrierSilent,
)
from rating_engine.services.watch.orders import answer_in_time
from rating_engine.storage.messages import messages as store
from rating_engine.storage.postgres.pool import Database

QUEUE_SECONDS: Final = 0.5  # how soon a message is taken that waits for this engine's carrier
CARRIERS_TRIED: Final = 3  # of one message; so whoever waits for it does so for 45 seconds at the most
LEASE: Final = timedelta(seconds=2 * CARRIERS_TRIED * HAND_OVER_SECONDS)  # twice what handing over may take
AGAIN: Final = timedelta(seconds=30)  # until a carrier that was away is tried again
WAITS_AT_MOST: Final = timedelta(minutes=10)  # later nobody expects the message any more
WAIT_SECONDS: Final = 20.0  # for the engine that reaches the carrier; behind it the message is said to wait
BATCH: Final = 20  # handed over side by side in one turn
LEFT_EACH: Final = 10  # turns between two looks for what the dead have left
DIED: Final = "nobody knows whether it was sent: the engine that had it is gone"
WAITED: Final = "no carrier could be reached in time"

_log = structlog.get_logger(__name__)


async def end_in_time(database: Database, bucket: int, number: int) -> Message:
    """A message as it stands when whoever has its carrier has answered, or has not in time. Errors: Unavailable."""

    async def ended() -> bool | None:
        message = await store.reread(database, bucket, number)
        waits = message.state is MessageState.SENDING or (message.state is MessageState.QUEUED and not message.attempts)
        return None if waits else True

    await answer_in_time(ended, WAIT_SECONDS)
    return await store.reread(database, bucket, number)


class Handing:
    """Hands messages over that this process has taken."""

    def __init__(self, database: Database, carriers: Carriers) -> None:
        self._database = database
        self._carriers = carriers

    async def hand_over(self, message: Message) -> None:
        """Give a message to the first of its carriers that takes it, and say what became of it. Errors: Unavailable."""
        problem, is_away = "no carrier serves the number", False
        for carrier in self._carriers.for_message(message)[:CARRIERS_TRIED]:
            if not carrier.is_here:
                is_away = True
                continue
            try:
                async with asyncio.timeout(HAND_OVER_SECONDS):
                    accepted = await carrier.hand_over(message)
            except CarrierRefused as error:
                problem = f"{carrier.name} refuses it: {error}"
            except CarrierAway as error:
                problem, is_away = f"{carrier.name} is away: {error}", True
            except (CarrierSilent, TimeoutError) as error:
                problem, is_away = f"{carrier.name} has not answered: {error or 'too late'}", False
                break
            else:
                await self._accepted(message, carrier.name, accepted)
                return
        _log.info("message_not_sent", message=message.number, kind=message.kind, problem=problem, waits=is_away)
        if is_away:
            await store.put_off(self._database, message.bucket, message.number, problem, AGAIN)
        else:
            await store.end_failed(self._database, message.bucket, message.number, problem)

    async def _accepted(self, message: Message, carrier: str, accepted: Accepted) -> None:
        await store.end_sent(
            self._database, message.bucket, message.number, carrier, accepted.carrier_id, answer=accepted.answer
        )
        _log.info("message_sent", message=message.number, kind=message.kind, carrier=carrier)


class MessageQueue:
    """One engine's part of the queue."""

    def __init__(self, database: Database, carriers: Carriers) -> None:
        self._database = database
        self._carriers = carriers
        self._handing = Handing(database, carriers)
        self._turns = 0

    async def turn(self) -> int:
        """Hand over what waits for carriers that are here; how many. Errors: Unavailable."""
        if self._turns % LEFT_EACH == 0:
            await self.give_back()
        self._turns += 1
        here = self._carriers.here
        waiting = await store.due(self._database, here, BATCH) if here else []
        await asyncio.gather(*(self._take(bucket, number) for bucket, number in waiting))
        return len(waiting)

    async def give_back(self) -> int:
        """End what the dead have left, and what waited for too long; how many. Errors: Unavailable."""
        left = await store.left_behind(self._database, WAITS_AT_MOST, BATCH)
        for bucket, number in left:
            # What waits is taken first, so that nobody is handing it over meanwhile.
            waits = await store.take(self._database, bucket, number, LEASE) is not None
            problem = WAITED if waits else DIED
            await store.end_failed(self._database, bucket, number, problem)
            _log.warning("message_given_back", message=number, problem=problem)
        return len(left)

    async def _take(self, bucket: int, number: int) -> None:
        try:
            message = await store.take(self._database, bucket, number, LEASE)
            if message is not None:
                await self._handing.hand_over(message)
        except RatingEngineError as error:  # the database is away: the lease ends it
            _log.warning("message_put_off", message=number, problem=str(error))
