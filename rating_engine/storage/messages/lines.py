"""Who sends a message: a line as it stands, and the accounts that pay for what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from rating_engine.storage.parties.logins import place_of, unknown_login
from rating_engine.storage.postgres.pool import Questions

_LINE: Final = """
    SELECT s.bucket, s.subscriber_id, s.version, s.login, s.callerid, s.party_id, s.calls::text AS calls,
           s.account_id, s.tariff_id, a.currency, a.allow_loss,
           COALESCE(s.reseller_accounts, '{}') AS reseller_accounts,
           COALESCE(s.reseller_tariffs, '{}') AS reseller_tariffs
    FROM subscribers s JOIN accounts a USING (bucket, account_id) WHERE s.bucket = $1 AND s.subscriber_id = $2"""
_CURRENCIES: Final = "SELECT account_id, currency FROM accounts WHERE bucket = $1 AND account_id = ANY ($2)"


class MessagePayer(NamedTuple):
    """One account that pays, and the tariff whose price it pays."""

    account_id: int
    tariff_id: int
    currency: str


@dataclass(frozen=True, slots=True)
class SendingLine:
    """A line. `calls`: what its party may call ('none', 'internal', 'all'). `payers`: its own account first.
    `allow_loss`: whether it may be sold to at a loss; None: as its tariff has it.
    """

    bucket: int
    subscriber_id: int
    version: int
    login: str
    callerid: str
    party_id: int
    calls: str
    payers: tuple[MessagePayer, ...]
    allow_loss: bool | None = None


async def sending_line(questions: Questions, login: str) -> SendingLine:
    """Errors: NotFound (the login), Unavailable."""
    place = await place_of(questions, login)
    row = await questions.fetchrow(_LINE, place.bucket, place.subscriber_id)
    if row is None:
        raise unknown_login(login)
    above = [
        pair
        for pair in zip(row["reseller_accounts"], row["reseller_tariffs"], strict=True)
        if pair[0] != row["account_id"]  # a reseller's own line is charged once
    ]
    currencies = {}
    if above:
        found = await questions.fetch(_CURRENCIES, place.bucket, [account for account, _ in above])
        currencies = {each["account_id"]: each["currency"] for each in found}
    payers = [MessagePayer(row["account_id"], row["tariff_id"], row["currency"])]
    payers += [MessagePayer(account, tariff, currencies[account]) for account, tariff in above]
    return SendingLine(
        row["bucket"], row["subscriber_id"], row["version"], row["login"], row["callerid"], row["party_id"],
        row["calls"], tuple(payers), row["allow_loss"],
    )  # fmt: skip
