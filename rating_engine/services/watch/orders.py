"""Orders to exchanges, carried out by the engine that leads, and waited for by whoever asked.

Law: an order is answered whatever becomes of it, so that who asked hears it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import structlog

from rating_engine.domain.errors import RatingEngineError
from rating_engine.domain.live_call import ExchangeOrder, OrderOutcome
from rating_engine.services.watch.exchange_link import ExchangeLink
from rating_engine.storage.calls.exchange_orders import answer_order, waiting_orders
from rating_engine.storage.postgres.pool import Database

ASK_SECONDS: Final = 0.25  # between two looks at the answer: a person does not notice it

Answer = TypeVar("Answer")

_log = structlog.get_logger(__name__)


async def answer_in_time(look: Callable[[], Awaitable[Answer | None]], seconds: float) -> Answer | None:
    """What `look` finds in the row of an order, which another process answers; None: nothing within `seconds`."""
    for _ in range(int(seconds / ASK_SECONDS)):
        if (answer := await look()) is not None:
            return answer
        await asyncio.sleep(ASK_SECONDS)
    return None


async def carry_out(office: Database, links: Sequence[ExchangeLink]) -> None:
    """Do what waits for the exchanges that are connected. Errors: Unavailable (the database)."""
    connected = {link.exchange: link for link in links if link.session}
    if not connected:
        return
    for order in await waiting_orders(office, sorted(connected)):
        outcome = await _hang_up(connected[order.call_key.exchange], order)
        _log.info("call_hung_up_by_order", call=str(order.call_key), outcome=outcome)
        await answer_order(office, order, outcome)


async def _hang_up(link: ExchangeLink, order: ExchangeOrder) -> OrderOutcome:
    try:
        channel = await _channel_of(link, order.call_key.uniqueid)
        done = channel is not None and await link.hang_up(channel)
    except RatingEngineError:
        return OrderOutcome.NO_ANSWER
    return OrderOutcome.DONE if done else OrderOutcome.ALREADY_ENDED


async def _channel_of(link: ExchangeLink, uniqueid: str) -> str | None:
    """The caller's channel as it was seen; of a call from before the connection, as the exchange lists it."""
    seen = link.seen(uniqueid)
    if seen is not None:
        return seen.channel if seen.alive else None
    return next((one.channel for one in await link.list_channels() if one.uniqueid == uniqueid), None)
