"""Management as an operator does it at the command line: words in, by the parsers of the command line; nouns out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rating_engine.cli import words
from rating_engine.cli.parties.accounts import account_settings
from rating_engine.domain.account import (
    AccountKind,
    AccountState,
    LedgerEntry,
    NewAccount,
    NewSubscriber,
    Posting,
)
from rating_engine.domain.change import LEAVE
from rating_engine.domain.page import Cursor
from rating_engine.domain.principal import OPERATOR
from rating_engine.services.parties import accounts as typed_accounts
from rating_engine.storage.postgres.pool import Database


class Accounts:
    """`rating-engine account`."""

    def __init__(self, database: Database, *, buckets: int = 1) -> None:
        self._accounts = typed_accounts.Accounts(database, OPERATOR, buckets=buckets)

    async def create(
        self,
        login: str,
        tariff: str,
        *,
        currency: str | None = None,
        balance: str = "0",
        overdraft: str | None = None,
        postpaid: bool = False,
        max_calls: int | None = None,
        callerid: str = "",
    ) -> AccountState:
        """`account create`."""
        return await self._accounts.create(
            NewAccount(
                login,
                tariff,
                currency,
                words.amount(balance, "balance"),
                LEAVE if overdraft is None else words.amount(overdraft, "overdraft"),
                AccountKind.POSTPAID if postpaid else AccountKind.PREPAID,
                max_calls,
                callerid,
            )
        )

    async def show(self, login: str) -> AccountState:
        """`account show`."""
        return await self._accounts.show(login)

    async def change(
        self,
        login: str,
        changes: Mapping[str, str],
        *,
        allow: Sequence[str] = (),
        block: Sequence[str] = (),
        forget: Sequence[str] = (),
    ) -> AccountState:
        """`account set`."""
        rules = {**dict.fromkeys(allow, True), **dict.fromkeys(block, False), **dict.fromkeys(forget)}
        return await self._accounts.change(login, account_settings(**changes), rules)

    async def add_subscriber(self, login: str, account_of: str, **more: object) -> AccountState:
        """`account add-subscriber`."""
        return await self._accounts.add_subscriber(NewSubscriber(login, account_of, **more))

    async def top_up(self, login: str, amount: str, *, reference: str | None = None) -> Posting:
        """`account topup`."""
        return await self._accounts.top_up(login, words.amount(amount, "amount"), reference=reference)

    async def statement(self, login: str, limit: int = 50) -> Sequence[LedgerEntry]:
        """`account statement`."""
        return (await self._accounts.statement(login, Cursor(limit))).items
