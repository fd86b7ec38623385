"""Notices to users by mail: whose balance has fallen, whose number ends. Queued with what they tell of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from rating_engine.storage.finance.purses import OWN_ACCOUNT_FIRST
from rating_engine.storage.postgres.pool import Questions
from rating_engine.storage.postgres.transaction import Transaction

# Whose own account is on the other side of the limit than it was when last looked at. `$1`, `$2`: what one of each
# currency is in the system's; of one that is not known nobody says anything. `$4`: now; who has an hour is told in it.
_CROSSED: Final = f"""
    SELECT p.party_id, p.login, a.account_id, a.balance, a.currency, x.rate, a.balance * x.rate < p.notify_balance_limit
           AS is_low, p.notify_balance_limit AS "limit"
    FROM parties p JOIN LATERAL (
        SELECT a.account_id, a.balance, a.currency FROM accounts a
        WHERE a.party_id = p.party_id AND a.purpose = 'party' AND a.closed_at IS NULL
        ORDER BY {OWN_ACCOUNT_FIRST} LIMIT 1) a ON true
    JOIN unnest($1::text[], $2::numeric[]) AS x(currency, rate) ON x.currency = a.currency
    WHERE p.notify_balance AND p.notify_email <> '' AND NOT p.hidden
      AND (a.balance * x.rate < p.notify_balance_limit) <> p.balance_low
      AND (p.balance_low OR p.notify_hour IS NULL OR p.notify_hour
           = extract(hour FROM $4::timestamptz AT TIME ZONE 'UTC' + make_interval(mins => p.utc_offset)))
    ORDER BY p.party_id LIMIT $3"""  # noqa: S608  # constants
_MARK: Final = """
    UPDATE parties SET balance_low = $2 WHERE party_id = $1 AND balance_low <> $2 AND notify_balance
    RETURNING notify_email"""
_QUEUE: Final = "INSERT INTO mails (party_id, recipient, subject, body) VALUES ($1, $2, $3, $4)"
_QUEUE_OF_NUMBER: Final = """
    INSERT INTO mails (party_id, recipient, subject, body)
    SELECT party_id, notify_email, $2, $3 FROM parties
    WHERE party_id = $1 AND notify_did > 0 AND notify_email <> '' AND NOT hidden"""


class Crossed(NamedTuple):
    """A user whose balance has crossed its limit. `rate`: of its currency in the system's, in which the limit is."""

    party_id: int
    login: str
    account_id: int
    balance: Decimal
    currency: str
    rate: Decimal
    is_low: bool
    limit: Decimal


async def crossed_limits(questions: Questions, rates: Mapping[str, Decimal], most: int, now: datetime) -> list[Crossed]:
    """Whose balance has fallen below its limit, or risen above it. Errors: Unavailable."""
    rows = await questions.fetch(_CROSSED, list(rates), list(rates.values()), most, now)
    return [Crossed(*row) for row in rows]


async def mark_low(tx: Transaction, party_id: int, *, low: bool) -> str | None:
    """Say on which side it is; where mail of it goes, or None: somebody has said so already. Errors: Unavailable."""
    address: str | None = await tx.fetchval(_MARK, party_id, low)
    return address


async def queue(tx: Transaction, party_id: int, recipient: str, subject: str, body: str) -> None:
    """A mail to a user. Errors: Unavailable."""
    await tx.execute(_QUEUE, party_id, recipient, subject, body)


async def queue_of_number(tx: Transaction, party_id: int | None, subject: str, body: str) -> None:
    """A mail to the owner of a number, where it wants any. Errors: Unavailable."""
    await tx.execute(_QUEUE_OF_NUMBER, party_id, subject, body)
