"""`account import`: a file of accounts, made in one transaction: all of them, or, if so said, all but rejected rows.

Laws: a file is imported once, however often it is given (by its content, KEPT in storage/idempotency long; later its
logins are taken); every opening balance is an entry of the ledger; a preview makes everything, and takes it back.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from rating_engine.domain.account import NewAccount
from rating_engine.domain.errors import NotFound, RatingEngineError
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.principal import Principal
from rating_engine.services.parties.account_file import AccountFile, AccountRow, read_accounts, write_rejected
from rating_engine.storage.audit_log import record, record_each
from rating_engine.storage.idempotency import digest_of, keep_answer, once
from rating_engine.storage.parties.account_import import Tariffs, create_accounts, find_tariffs, taken_logins
from rating_engine.storage.parties.owners import give_account, home_bucket
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tenants.billing import apply, hold_tenant_of


@dataclass(frozen=True, slots=True)
class AccountImportReport:
    """What became of a file. `created`: accounts made, or that would be; `balances`: what they open with, by currency.

    `held`: nothing was made, because rows were rejected. `repeated`: it was imported before, and nothing was done.
    """

    created: int
    rejected: tuple[AccountRow, ...]
    balances: dict[str, Decimal]
    unused: tuple[str, ...]
    seconds: float
    held: bool = False
    repeated: bool = False
    rejected_file: Path | None = None


class _TakenBack(Exception):
    """Rolls the transaction back."""


class AccountImports:
    """What one principal does with files of accounts."""

    def __init__(self, database: Database, principal: Principal, *, buckets: int = 1) -> None:
        self._database = database
        self._principal = principal
        self._buckets = buckets

    async def import_file(
        self, path: Path, *, tariff: str | None = None, dry_run: bool = False, skip_rejected: bool = False
    ) -> AccountImportReport:
        """Make the accounts of a file; `tariff`: of rows that name none.

        Rows that are no account, or whose login is taken, are written beside the file; any of them holds all back,
        unless `skip_rejected`. Errors: InvalidRequest (file, tariff), Unavailable; then nothing was made.
        """
        begun = time.monotonic()
        file = await asyncio.to_thread(read_accounts, path, tariff)
        made: dict[str, Any] | None = None
        told: dict[str, Any] | None = None
        held = False
        key = "account import " + hashlib.sha256(file.content).hexdigest()
        try:
            async with self._database.transaction(self._principal) as tx:
                told = await once(tx, key, digest_of("account.import", tariff))
                if not told:  # {}: it was imported without rejected rows, which may be good now
                    made = await self._make(tx, file, skip_rejected=skip_rejected)
                    held = made["created"] == 0
                    if dry_run or held:
                        raise _TakenBack
                    await record(tx, "account.import", path.name, {"key": key, **made})
                    if made["created"] == len(file.rows):
                        await keep_answer(tx, key, made)
        except _TakenBack:
            pass
        answer = told or made or {}
        rejected = () if told else tuple(row for row in file.rows if row.account is None)
        return AccountImportReport(
            created=answer["created"],
            rejected=rejected,
            balances={currency: Decimal(amount) for currency, amount in answer["balances"].items()},
            unused=file.unused,
            seconds=time.monotonic() - begun,
            held=held and bool(rejected),
            repeated=bool(told),
            rejected_file=None if told else await asyncio.to_thread(write_rejected, file, rejected),
        )

    async def _make(self, tx: Transaction, file: AccountFile, *, skip_rejected: bool) -> dict[str, Any]:
        """What is told of what was made; nothing was where rows were rejected and are not to be skipped."""
        tariffs = await find_tariffs(tx, file.accounts)
        _reject_for_tariffs(file, tariffs)
        await _reject_for_owners(tx, file)
        owners = await self._owners(tx, file.accounts)
        taken = await taken_logins(
            tx,
            {new.login: await home_bucket(tx, owners[new.owner], new.login, self._buckets) for new in file.accounts},
        )
        for row in file.rows:
            if row.account is not None and row.account.login in taken:
                row.reason = f"login: {row.account.login!r} is taken"
                row.account = None
        accounts = file.accounts
        if len(accounts) < len(file.rows) and not skip_rejected:
            accounts = []
        await create_accounts(tx, accounts, tariffs)
        await self._give(tx, accounts, owners)
        await record_each(tx, "account.create", {new.login: _detail(new, file.path) for new in accounts})
        return {"created": len(accounts), "balances": _balances(accounts, tariffs)}

    async def _owners(self, tx: Transaction, accounts: list[NewAccount]) -> dict[str | int | None, int]:
        """To whom each belongs; what nobody else has is the system's."""
        owners: dict[str | int | None, int] = {None: self._principal.realm}
        for new in accounts:
            if new.owner not in owners and new.owner is not None:
                owners[new.owner] = (await find_party(tx, new.owner)).party_id
        return owners

    async def _give(self, tx: Transaction, accounts: list[NewAccount], owners: Mapping[str | int | None, int]) -> None:
        used = sorted({owners[new.owner] for new in accounts})
        held = {tenant.party_id: tenant for owner in used if (tenant := await hold_tenant_of(tx, owner)) is not None}
        for new in accounts:
            if owners[new.owner] != SYSTEM:
                await give_account(tx, new.login, owners[new.owner])
        for tenant in held.values():
            await apply(tx, tenant)


async def _reject_for_owners(tx: Transaction, file: AccountFile) -> None:
    wrong: dict[str | int | None, str] = {}
    for owner in {new.owner for new in file.accounts if new.owner is not None}:
        try:
            await find_party(tx, owner)
        except NotFound as error:
            wrong[owner] = str(error)
    for row in file.rows:
        if row.account is not None and row.account.owner in wrong:
            row.reason = f"owner: {wrong[row.account.owner]}"
            row.account = None


def _reject_for_tariffs(file: AccountFile, tariffs: Tariffs) -> None:
    for row in file.rows:
        if row.account is not None:
            found = tariffs[row.account.tariff, row.account.currency]
            if isinstance(found, RatingEngineError):
                row.account, row.reason = None, str(found)


def _balances(accounts: list[NewAccount], tariffs: Tariffs) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for new in accounts:
        found = tariffs[new.tariff, new.currency]
        assert not isinstance(found, RatingEngineError)
        sums[new.currency or found[1]] += new.balance
    return dict(sums)


def _detail(new: NewAccount, path: Path) -> dict[str, Any]:
    return {
        "tariff": new.tariff, "kind": new.kind, "balance": new.balance, "overdraft": new.credit, "file": path.name
    }  # fmt: skip
