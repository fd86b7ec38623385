"""Whose money an account is, and what may be done with it: asked before money goes from one to another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.errors import AccountClosed, NotFound
from rating_engine.storage.parties.logins import place_of
from rating_engine.storage.postgres.pool import Questions

_COLUMNS: Final = """
    a.bucket, a.account_id, a.party_id, a.currency, a.balance, a.overdraft, a.reserved, a.refill_allowed,
    a.last_entry, a.closed_at, a.time_zone
    FROM accounts a"""
# What a reseller is charged on, or a tenant's company account; else the account that its first line is charged on, if
# that is its own; else its oldest. What was closed is none.
OWN_ACCOUNT_FIRST: Final = """
    (a.bucket, a.account_id) IN (
        SELECT o.account_bucket, o.account_id FROM parties o WHERE o.party_id = a.party_id AND o.account_id IS NOT NULL
        UNION ALL SELECT b.bucket, b.account_id FROM tenant_billing b
        WHERE b.party_id = a.party_id AND b.account_id IS NOT NULL) DESC,
    (a.bucket, a.account_id) IN (
        SELECT s.bucket, s.account_id FROM subscribers s JOIN parties o USING (party_id)
        JOIN accounts u ON u.bucket = s.bucket AND u.account_id = s.account_id AND u.purpose = 'party'
        WHERE s.party_id = a.party_id ORDER BY lower(s.login) <> lower(o.login), s.subscriber_id LIMIT 1) DESC,
    a.account_id"""
_OF_PARTY: Final = f"""
    SELECT {_COLUMNS} WHERE a.party_id = $1 AND a.purpose = 'party' AND a.closed_at IS NULL
    ORDER BY {OWN_ACCOUNT_FIRST} LIMIT 1"""  # constants
_NUMBERED: Final = f"SELECT {_COLUMNS} WHERE a.account_id = $1 AND a.purpose = 'party'"
_AT: Final = f"SELECT {_COLUMNS} WHERE a.bucket = $1 AND a.account_id = $2"


@dataclass(frozen=True, slots=True)
class Purse:
    """An account as a transfer sees it. `last_entry`: the number of its last entry; None: not kept yet."""

    bucket: int
    account_id: int
    party_id: int
    currency: str
    balance: Decimal
    overdraft: Decimal | None
    reserved: Decimal
    refill_allowed: RefillAllowed
    last_entry: int | None
    closed_at: datetime | None
    time_zone: str

    @property
    def sendable(self) -> Decimal:
        """What may be sent of it, as send_transfer_v1 asks under its lock."""
        return max(self.balance + (self.overdraft or Decimal(0)) - self.reserved, Decimal(0))

    def check_open(self) -> None:
        """Errors: AccountClosed."""
        if self.closed_at is not None:
            raise AccountClosed(f"account {self.account_id} was closed at {self.closed_at:%Y-%m-%d %H:%M %Z}")


async def purse_of_party(questions: Questions, party_id: int) -> Purse | None:
    """A party's own account, which pays for what it sends; None: it has none. Errors: Unavailable."""
    return _purse(await questions.fetchrow(_OF_PARTY, party_id))


async def purse_numbered(questions: Questions, number: int) -> Purse | None:
    """The account of that number, a closed one too; a card's is none. Errors: Unavailable."""
    return _purse(await questions.fetchrow(_NUMBERED, number))


async def purse_of_line(questions: Questions, login: str) -> Purse:
    """The account that a login is charged on. Errors: NotFound, Unavailable."""
    place = await place_of(questions, login)
    return await purse_at(questions, place.bucket, place.account_id)


async def purse_at(questions: Questions, bucket: int, account_id: int) -> Purse:
    """The account there, a card's too. Errors: NotFound, Unavailable."""
    found = _purse(await questions.fetchrow(_AT, bucket, account_id))
    if found is None:
        raise NotFound(f"there is no account {account_id}", field="account")
    return found


def _purse(row: Any) -> Purse | None:
    if row is None:
        return None
    values = dict(row)
    return Purse(**{**values, "refill_allowed": RefillAllowed(values["refill_allowed"])})
