"""A registration of a moment ago taken back: nothing of it was used, and no money came to it."""

from __future__ import annotations

from typing import Final

from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.postgres.transaction import Transaction

# In this order: what a statement removes nothing names any more. An account that has an entry or another line stays.
_OF_LINE: Final = (
    "DELETE FROM sip_accounts WHERE bucket = $1 AND subscriber_id = $2",
    "DELETE FROM subscribers WHERE bucket = $1 AND subscriber_id = $2",
)
_ACCOUNT: Final = """
    DELETE FROM accounts a WHERE a.bucket = $1 AND a.account_id = $2 AND a.party_id = $3
      AND NOT EXISTS (SELECT FROM subscribers s WHERE s.bucket = $1 AND s.account_id = $2)
      AND NOT EXISTS (SELECT FROM ledger_entries e WHERE e.bucket = $1 AND e.account_id = $2)
"""
_LOGIN: Final = "DELETE FROM logins WHERE login = $1"
_OF_PARTY: Final = (
    "DELETE FROM party_credentials WHERE party_id = $1",
    "DELETE FROM parties WHERE party_id = $1",
)


async def take_back(tx: Transaction, party_id: int, login: str) -> None:
    """Remove a user with its line, and its account if that is its own. Errors: Unavailable."""
    place = await place_of(tx, login)
    for statement in _OF_LINE:
        await tx.execute(statement, place.bucket, place.subscriber_id)
    await tx.execute(_ACCOUNT, place.bucket, place.account_id, party_id)
    await tx.execute(_LOGIN, login)
    for statement in _OF_PARTY:
        await tx.execute(statement, party_id)
