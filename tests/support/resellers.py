"""Resellers and their users, made as an operator makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rating_engine.domain.account import AccountKind, NewAccount
from rating_engine.domain.change import LEAVE
from rating_engine.domain.party import NewParty, Party, PartyChanges, PartyKind
from rating_engine.domain.principal import OPERATOR
from rating_engine.rating.rate import Rate
from rating_engine.services.parties.accounts import Accounts
from rating_engine.services.parties.parties import Parties
from rating_engine.services.parties.passwords import Passwords
from rating_engine.storage.postgres.pool import Database


def a_minute(price: str, interval: int = 1) -> Rate:
    """So much a minute, by increments of so many seconds."""
    return Rate(price_1=price, price_unit="minute", interval_1=interval, interval_n=interval)


@dataclass(frozen=True, slots=True)
class Line:
    """What was charged on one account for a call: as its CDR line has it, and its ledger."""

    login: str
    cost: Decimal
    margin: Decimal | None
    charged: Decimal


class House:
    """People of one database, by login."""

    def __init__(self, database: Database, *, buckets: int = 1) -> None:
        self.database = database
        self.parties = Parties(database, OPERATOR, Passwords())
        self.accounts = Accounts(database, OPERATOR, buckets=buckets)

    async def account(
        self, login: str, tariff: str, owner: str, *, balance: str = "0", overdraft: str | None = "0",
        postpaid: bool = False, currency: str | None = None,
    ) -> None:  # fmt: skip
        """An account of one line."""
        await self.accounts.create(
            NewAccount(
                login,
                tariff,
                currency,
                Decimal(balance),
                LEAVE if postpaid and overdraft is None else Decimal(overdraft or 0),
                AccountKind.POSTPAID if postpaid else AccountKind.PREPAID,
                owner=owner,
            )
        )

    async def reseller(
        self, login: str, tariff: str, *, owner: str = "system", balance: str = "0", overdraft: str | None = "0",
        postpaid: bool = False, currency: str | None = None,
    ) -> Party:  # fmt: skip
        """A reseller that is charged by a tariff on an account whose line is LOGIN-money."""
        await self.parties.create(NewParty(login, PartyKind.RESELLER, owner=owner, tariff=tariff))
        money = f"{login}-money"
        await self.account(
            money, tariff, login, balance=balance, overdraft=overdraft, postpaid=postpaid, currency=currency
        )
        return await self.parties.change(login, PartyChanges(account=money))

    async def user(
        self, login: str, tariff: str, owner: str, *, balance: str = "0", currency: str | None = None
    ) -> None:
        """A user with a line of its own name."""
        await self.parties.create(NewParty(f"{login}-user", owner=owner))
        await self.account(login, tariff, f"{login}-user", balance=balance, currency=currency)

    async def balances(self, *logins: str) -> list[Decimal]:
        """What the accounts of these lines have."""
        return [(await self.accounts.show(login)).balance for login in logins]

    async def lines(self, call_key: str) -> list[Line]:
        """What a call was charged, its caller's account first."""
        rows = await self.database.fetch(LINES, call_key)
        return [Line(**row) for row in rows]

    async def held(self) -> Sequence[tuple[str, Decimal, int]]:
        """What all accounts hold that hold something, by their first login, with their open calls."""
        return [tuple(row) for row in await self.database.fetch(HELD)]


LINES = """
    SELECT s.login, c.cost, c.margin, -COALESCE(l.amount, 0) AS charged
    FROM (
        SELECT bucket, call_key, account_id, 0 AS level, cost, margin FROM call_records
        UNION ALL SELECT bucket, call_key, account_id, level, cost, margin FROM reseller_records
    ) c
    LEFT JOIN LATERAL (SELECT sum(amount) AS amount FROM ledger_entries l
        WHERE l.bucket = c.bucket AND l.account_id = c.account_id AND l.call_key = c.call_key) l ON true
    LEFT JOIN LATERAL (SELECT login FROM subscribers s WHERE s.bucket = c.bucket AND s.account_id = c.account_id
        ORDER BY subscriber_id LIMIT 1) s ON true
    WHERE c.call_key = $1 ORDER BY c.level
"""
HELD = """
    SELECT (SELECT min(login) FROM subscribers s WHERE s.bucket = a.bucket AND s.account_id = a.account_id) AS login,
           a.reserved, a.open_calls
    FROM accounts a WHERE a.reserved <> 0 OR a.open_calls <> 0 ORDER BY 1
"""
