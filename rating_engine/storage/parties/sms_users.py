"""Who may send messages by surfaces that ask for it first."""

from __future__ import annotations

from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction


async def may_send(questions: Questions, party_id: int) -> bool:
    """Errors: Unavailable."""
    return await questions.fetchval("SELECT 1 FROM sms_users WHERE party_id = $1", party_id) is not None


async def let_send(tx: Transaction, party_id: int) -> None:
    """From now on. Errors: Unavailable."""
    await tx.execute("INSERT INTO sms_users (party_id) VALUES ($1) ON CONFLICT DO NOTHING", party_id)
