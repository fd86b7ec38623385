"""Whose account and line something is: asked before it is shown or changed, and given to a party."""

from __future__ import annotations

import zlib
from typing import Final

from rating_engine.domain.errors import InvalidRequest, NotFound
from rating_engine.storage.parties.parties import (
    LINE_IS_GIVEN,
    Standing,
    find_party,
    hold_standing,
    other_bucket,
    tree_of,
)
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tenants.accounts import count_logins

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
_GIVE_LINE: Final = f"UPDATE subscribers SET {LINE_IS_GIVEN} WHERE bucket = $1 AND login = $2"  # noqa: S608  a constant
_GIVE_LINES: Final = f"UPDATE subscribers SET {LINE_IS_GIVEN} WHERE bucket = $1 AND account_id = $2"  # noqa: S608
_LINES_OF_OTHERS: Final = """
    SELECT subscriber_id FROM subscribers
    WHERE bucket = $1 AND (account_id = $2 OR login = $3) AND party_id <> $4"""
_LINES: Final = """
    SELECT s.bucket, s.subscriber_id, s.login, s.account_id, a.currency
    FROM subscribers s JOIN accounts a USING (bucket, account_id) WHERE s.party_id = $1 ORDER BY s.subscriber_id"""
_PUT_ON: Final = "UPDATE subscribers SET account_id = $2 WHERE bucket = $1 AND subscriber_id = ANY ($3)"
_FORGET_RULES: Final = "DELETE FROM call_rules WHERE subscriber_id = ANY ($1)"  # which name what was the owner's before
_CHARGED: Final = "SELECT login FROM parties WHERE account_bucket = $1 AND account_id = $2 AND party_id <> $3"
# Of the house that a party belongs to: the account that it, or who is above it, is charged on; else whatever it has.
_HOUSE: Final = """
    SELECT top.login, COALESCE(
        (SELECT min(account_bucket) FROM parties WHERE party_id = ANY (parties_above($1))),
        (SELECT min(a.bucket) FROM accounts a WHERE a.party_id = ANY (parties_below(top.party_id)))) AS bucket
    FROM parties top WHERE top.party_id = ANY (parties_above($1)) AND top.owner_id = 1
      AND top.kind IN ('reseller', 'tenant')
"""


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


async def home_bucket(tx: Transaction, party_id: int, login: str, buckets: int) -> int:
    """The bucket of a new account: that of the house of its owner, else by its login. Errors: Unavailable.

    A house is a reseller or a tenant with all below it: a call is charged to several of its accounts at once.
    """
    house = await tx.fetchrow(_HOUSE, party_id) if buckets > 1 else None
    if house is not None and house["bucket"] is not None:
        return int(house["bucket"])
    return zlib.crc32((login if house is None else house["login"]).encode()) % buckets


async def give_account(tx: Transaction, login: str, party_id: int) -> None:
    """Make a login's account, and every line on it, a party's.

    Errors: InvalidRequest (a reseller is charged on it, or it is in another bucket than those above), Unavailable.
    """
    standing = await hold_standing(tx, party_id)
    bucket, account_id = await tx.fetchrow(_PLACE, login) or (0, 0)
    charged = await tx.fetchval(_CHARGED, bucket, account_id, party_id)
    if charged is not None:
        raise InvalidRequest("owner", f"the account is what user {charged!r} is charged on: give it another one first")
    _check_bucket(standing, bucket)
    await _forget_rules(tx, bucket, account_id, None, party_id)
    await tx.execute(_GIVE_ACCOUNT, bucket, account_id, party_id)
    await tx.execute(_GIVE_LINES, bucket, account_id, party_id, *standing.carried)


async def give_line(tx: Transaction, login: str, party_id: int) -> None:
    """Make one login a party's. Errors: InvalidRequest (it is in another bucket than those above), Unavailable."""
    standing = await hold_standing(tx, party_id)
    bucket, _ = await tx.fetchrow(_PLACE, login) or (0, 0)
    _check_bucket(standing, bucket)
    await _forget_rules(tx, bucket, None, login, party_id)
    await tx.execute(_GIVE_LINE, bucket, login, party_id, *standing.carried)


async def _forget_rules(tx: Transaction, bucket: int, account_id: int | None, login: str | None, party_id: int) -> None:
    lines = await tx.fetch(_LINES_OF_OTHERS, bucket, account_id, login, party_id)
    if lines:
        await tx.execute(_FORGET_RULES, [row["subscriber_id"] for row in lines])


def _check_bucket(standing: Standing, bucket: int) -> None:
    if standing.buckets not in (None, [bucket]):
        raise other_bucket("", "owner")


async def put_lines_on(tx: Transaction, party_id: int, bucket: int, account_id: int, currency: str) -> int:
    """Charge every line of a party on this account from its next call on; how many were charged on another one.

    A call in progress ends on the account that it began on. Errors: InvalidRequest (account), Unavailable.
    """
    lines = await tx.fetch(_LINES, party_id)
    if not lines:
        raise InvalidRequest("account", "the user has no line to be charged on it")
    for line in lines:
        if line["bucket"] != bucket:
            raise InvalidRequest("account", f"is in another bucket than line {line['login']!r}")
        if line["currency"] != currency:
            raise InvalidRequest(
                "account", f"is in {currency}, and line {line['login']!r} is charged in {line['currency']}"
            )
    moved = [line["subscriber_id"] for line in lines if line["account_id"] != account_id]
    await tx.execute(_PUT_ON, bucket, account_id, moved)
    await count_logins(tx, bucket, [account_id])
    return len(moved)
