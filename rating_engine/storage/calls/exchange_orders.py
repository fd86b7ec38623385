"""Orders to the engine that follows an exchange, and its answers: a row each, so that any process can ask.

Law: an order is done while who asked still waits for it, or never: what is late was perhaps meant for another moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rating_engine.domain.live_call import ExchangeOrder, OrderOutcome
from rating_engine.domain.outcomes import CallKey
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

ORDERS_AT_ONCE: Final = 100  # taken in one turn; an operator who hangs up more waits for the next one
KEPT: Final = "1 hour"  # an answered order stays to be looked at; the audit log keeps who asked

_ASK: Final = """
    INSERT INTO exchange_orders (exchange, uniqueid, attempt, party, expires_at)
    VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5)) RETURNING order_id"""
_SWEEP: Final = f"DELETE FROM exchange_orders WHERE expires_at < now() - interval '{KEPT}'"  # noqa: S608  # a constant
_WAITING: Final = """
    SELECT order_id, exchange, uniqueid, attempt FROM exchange_orders
    WHERE exchange = ANY ($1) AND outcome IS NULL AND expires_at > now() ORDER BY order_id LIMIT $2"""
_ANSWER: Final = "UPDATE exchange_orders SET outcome = $2, answered_at = now() WHERE order_id = $1 AND outcome IS NULL"
_OUTCOME: Final = "SELECT outcome FROM exchange_orders WHERE order_id = $1"


async def ask_to_hang_up(tx: Transaction, call_key: CallKey, *, seconds: float) -> int:
    """Order a call's end, to be done within so many seconds; the order's id. Errors: Unavailable."""
    await tx.execute(_SWEEP)
    order_id: int = await tx.fetchval(
        _ASK, call_key.exchange, call_key.uniqueid, call_key.attempt, tx.principal.party, seconds
    )
    return order_id


async def waiting_orders(database: Questions, exchanges: Sequence[str]) -> list[ExchangeOrder]:
    """Orders for these exchanges that nobody has answered yet, the oldest first. Errors: Unavailable."""
    return [
        ExchangeOrder(row["order_id"], CallKey(row["exchange"], row["uniqueid"], row["attempt"]))
        for row in await database.fetch(_WAITING, list(exchanges), ORDERS_AT_ONCE)
    ]


async def answer_order(database: Questions, order: ExchangeOrder, outcome: OrderOutcome) -> None:
    """Say what became of an order. Errors: Unavailable."""
    await database.fetch(_ANSWER, order.order_id, outcome.value)


async def outcome_of(database: Questions, order_id: int) -> OrderOutcome | None:
    """What became of an order; None: nobody has answered it yet. Errors: Unavailable."""
    outcome = await database.fetchval(_OUTCOME, order_id)
    return None if outcome is None else OrderOutcome(outcome)
