"""Whose account and line something is: asked before it is shown or changed, and given to a party."""

from __future__ import annotations

from typing import Final

from rating_engine.domain.errors import NotFound
from rating_engine.storage.parties.parties import find_party, hold_states_above, tree_of
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

_OF_LOGIN: Final = """
    SELECT s.party_id FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login WHERE l.login = $1
"""
_OF_ACCOUNT: Final = "SELECT party_id FROM accounts WHERE account_id = $1 AND purpose = 'party'"
_OF_TREE: Final = "SELECT account_id FROM accounts WHERE party_id = ANY ($1)"
_PLACE: Final = """
    SELECT l.bucket, s.account_id FROM logins l JOIN subscribers s ON s.bucket = l.bucket AND s.login = l.login
    WHERE l.login = $1
"""
_GIVE_ACCOUNT: Final = "UPDATE accounts SET party_id = $3 WHERE bucket = $1 AND account_id = $2"
_GIVE_LINE: Final = "UPDATE subscribers SET party_id = $3, calls = $4 WHERE bucket = $1 AND login = $2"
_GIVE_LINES: Final = "UPDATE subscribers SET party_id = $3, calls = $4 WHERE bucket = $1 AND account_id = $2"


async def owner_of_login(questions: Questions, login: str) -> int | None:
    """Whose line a login is; None: there is none. Errors: Unavailable."""
    owner: int | None = await questions.fetchval(_OF_LOGIN, login)
    return owner


async def owner_of_account(questions: Questions, number: int) -> int:
    """Whose account has that number; a card's has none. Errors: NotFound, Unavailable."""
    owner: int | None = await questions.fetchval(_OF_ACCOUNT, number)
    if owner is None:
        raise NotFound(f"there is no account {number}", field="account")
    return owner


async def accounts_below(questions: Questions, who: str | int) -> list[int]:
    """The accounts of a user and of all below it, by their numbers. Errors: NotFound (owner), Unavailable."""
    tree = await tree_of(questions, (await find_party(questions, who)).party_id)
    return [row["account_id"] for row in await questions.fetch(_OF_TREE, tree)]


async def give_account(tx: Transaction, login: str, party_id: int) -> None:
    """Make a login's account, and every line on it, a party's. Errors: Unavailable."""
    calls = await hold_states_above(tx, party_id)
    bucket, account_id = await tx.fetchrow(_PLACE, login) or (0, 0)
    await tx.execute(_GIVE_ACCOUNT, bucket, account_id, party_id)
    await tx.execute(_GIVE_LINES, bucket, account_id, party_id, calls.value)


async def give_line(tx: Transaction, login: str, party_id: int) -> None:
    """Make one login a party's. Errors: Unavailable."""
    calls = await hold_states_above(tx, party_id)
    bucket, _ = await tx.fetchrow(_PLACE, login) or (0, 0)
    await tx.execute(_GIVE_LINE, bucket, login, party_id, calls.value)
