"""Accounts and their logins: created, changed, blocked, closed, topped up, adjusted, listed, and their money shown."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from rating_engine.domain.account import (
    AccountChanges,
    AccountState,
    Closed,
    Closing,
    LedgerEntry,
    ListedAccount,
    ListedSubscriber,
    NewAccount,
    NewSubscriber,
    OwnAccount,
    PartyStatus,
    Posting,
    check_prefix_rules,
)
from rating_engine.domain.change import given
from rating_engine.domain.checks import (
    check_above_zero,
    check_amount,
    check_not_zero,
    check_reason,
    check_reference,
)
from rating_engine.domain.errors import InvalidRequest, NotFound, NotYours
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.principal import Principal
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance.purses import Purse, purse_of_party
from rating_engine.storage.parties import accounts as store
from rating_engine.storage.parties.logins import unknown_login
from rating_engine.storage.parties.owners import give_account, give_line, home_bucket, owner_of_login, put_lines_on
from rating_engine.storage.parties.parties import find_party, hold_party, is_below, tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tenants.billing import apply, hold_tenant_of, tenant_of

NO_RULES: Final[Mapping[str, bool | None]] = {}


class Accounts:
    """What one principal does with accounts. What is changed counts from the next call on."""

    def __init__(self, database: Database, principal: Principal, *, buckets: int = 1) -> None:
        self._database = database
        self._principal = principal
        self._buckets = buckets

    async def create(self, new: NewAccount) -> AccountState:
        """An account with one subscriber.

        Errors: InvalidRequest naming the field, NotFound (tariff, owner), AlreadyExists (login), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            owner = self._principal.realm if new.owner is None else (await find_party(tx, new.owner)).party_id
            await add_account(tx, new, owner, buckets=self._buckets)
        return await self.show(new.login)

    async def give(self, login: str, owner: str | int) -> AccountState:
        """Make a login's account, and every login on it, a user's. Errors: NotFound (login, owner), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, owner)
            if party.hidden:
                raise InvalidRequest("owner", f"{party.login!r} was deleted")
            before = await owner_of_login(tx, login)
            if before is None:
                raise unknown_login(login)
            await self._hand_over(tx, login, before, party.party_id)
            await record(tx, "account.give", login, {"before": before, "after": party.party_id, "owner": party.login})
        return await self.show(login)

    async def put_on(self, who: str | int, account: int) -> int:
        """Charge every line of a user on this account, by its number, from the next call on; how many were elsewhere.

        It has to be the user's, its owner's or of a user of the same owner, so that the same resellers pay. What the
        user pays besides calls stays where it was taken.

        Errors: InvalidRequest (account, user), NotFound, NotYours, Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            party = await hold_party(tx, who)
            if await tenant_of(tx, party.party_id) is not None:
                raise InvalidRequest("account", "what a tenant's lines are charged on, its billing says")
            found = await store.find_account(tx, account)
            if found is None or found.closed_at is not None:
                raise NotFound(f"there is no account {account}", field="account")
            owner = await find_party(tx, found.owner)
            if party.party_id != owner.party_id and party.owner_id not in (owner.party_id, owner.owner_id):
                raise NotYours(f"account {account} is of nobody of the user's own house", field="account")
            moved = await put_lines_on(tx, party.party_id, found.bucket, account, found.currency)
            await record(tx, "account.put_on", party.login, {"account": account, "lines": moved}, bucket=found.bucket)
        return moved

    async def show(self, login: str) -> AccountState:
        """The account of a login. Errors: NotFound, Unavailable."""
        state = await store.account_state(self._database, login)
        if state is None:
            raise unknown_login(login)
        return state

    async def page(self, cursor: Cursor, *, owner: str | int | None = None) -> Page[ListedAccount]:
        """Accounts of who asks, or of a user and all below it, the oldest first.

        Errors: InvalidRequest (after), NotFound (owner), Unavailable.
        """
        if owner is None:
            tree = await self._tree()
        else:
            tree = await tree_of(self._database, (await find_party(self._database, owner)).party_id)
        return await store.list_accounts(self._database, tree, cursor)

    async def subscribers(self, cursor: Cursor, account_of: str | None = None) -> Page[ListedSubscriber]:
        """Logins in their order: all of who asks, or those of one account. Errors: InvalidRequest, Unavailable."""
        return await store.list_subscribers(self._database, await self._tree(), account_of, cursor)

    async def lines(self, who: str | int) -> list[ListedSubscriber]:
        """The logins of one user and of nobody below it, the one with the user's own name first, then the oldest.

        Errors: NotFound, Unavailable.
        """
        party = await find_party(self._database, who)
        return await store.lines_of(self._database, party.party_id, party.login)

    async def own(self, who: str | int) -> OwnAccount | None:
        """What a user is charged on, or pays by; None: it has no account. Errors: NotFound, Unavailable."""
        purse = await purse_of_party(self._database, (await find_party(self._database, who)).party_id)
        return None if purse is None else OwnAccount(purse.account_id, purse.balance, purse.currency, purse.time_zone)

    async def line(self, who: str | int, named: str | None = None) -> ListedSubscriber | None:
        """The first of `lines`, or the one that is named; None: there is none. A user may have thousands.

        Errors: NotFound, Unavailable.
        """
        party = await find_party(self._database, who)
        lines = await store.lines_of(self._database, party.party_id, party.login, named=named, at_most=1)
        return lines[0] if lines else None

    async def change(
        self, login: str, settings: AccountChanges, rules: Mapping[str, bool | None] = NO_RULES
    ) -> AccountState:
        """Set limits, mode, time zone, numbering plan or status; and rules for prefixes: allowed, not, None: forgotten.

        Errors: InvalidRequest naming the field, NotFound, Unavailable; after any nothing has changed.
        """
        check_prefix_rules(rules)
        values = given(settings)
        async with self._database.transaction(self._principal) as tx:
            bucket = await store.change_account(tx, login, values, rules)
            changed = {**values, **({"prefixes": dict(rules)} if rules else {})}
            await record(tx, "account.change", login, changed, bucket=bucket)
        return await self.show(login)

    async def block(self, login: str) -> AccountState:
        """Let no login of an account start calls; those that run go on. Errors: NotFound, Unavailable."""
        return await self.change(login, AccountChanges(status=PartyStatus.BLOCKED))

    async def unblock(self, login: str) -> AccountState:
        """Let an account's logins call again, but for those blocked by themselves. Errors: NotFound, Unavailable."""
        return await self.change(login, AccountChanges(status=PartyStatus.ACTIVE))

    async def add_subscriber(self, new: NewSubscriber) -> AccountState:
        """One more login on the account of another. Errors: InvalidRequest, NotFound, AlreadyExists, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await add_line(tx, new, await owner_of_login(tx, new.account_of))
        return await self.show(new.login)

    async def block_subscriber(self, login: str) -> AccountState:
        """Let one login start no calls; those that run go on, and the account's other logins call. Errors: NotFound,
        Unavailable.
        """
        return await self._set_subscriber_status(login, PartyStatus.BLOCKED)

    async def unblock_subscriber(self, login: str) -> AccountState:
        """Let one login call again, if its account may. Errors: NotFound, Unavailable."""
        return await self._set_subscriber_status(login, PartyStatus.ACTIVE)

    async def top_up(self, login: str, amount: Decimal, *, reference: str | None = None) -> Posting:
        """Add money, above zero. A reference is posted once, however often it is given.

        Errors: InvalidRequest, NotFound, AccountClosed, AlreadyExists (the reference had another amount), Unavailable.
        """
        check_amount(amount, "amount")
        check_above_zero(amount, "amount")
        check_reference(reference)
        note = note_of(self._principal, "account.topup", login, {"amount": amount, "reference": reference})
        return await store.post_entry(self._database, login, "topup", amount, reference, note)

    async def adjust(self, login: str, amount: Decimal, *, reason: str, reference: str | None = None) -> Posting:
        """Put a balance right, up or down: a mistaken top-up is taken back so. A reference is posted once.

        Errors: InvalidRequest (also: less is available), NotFound, AlreadyExists (the reference was used otherwise),
        Unavailable.
        """
        check_amount(amount, "amount", allow_negative=True)
        check_not_zero(amount, "amount")
        check_reason(reason)
        check_reference(reference)
        detail = {"amount": amount, "reason": reason, "reference": reference}
        note = note_of(self._principal, "account.adjust", login, detail)
        return await store.adjust(self._database, login, amount, reference, reason, note)

    async def numbered(self, number: int) -> ListedAccount:
        """The account of that number. Errors: NotFound, NotYours, Unavailable."""
        found = await store.find_account(self._database, number)
        if found is None:
            raise NotFound(f"there is no account {number}", field="account")
        owner = (await find_party(self._database, found.owner)).party_id
        if not await is_below(self._database, owner, self._principal.realm):
            raise NotYours(f"account {number} is not yours", field="account")
        return found

    async def close_empty(self, login: str) -> Closed:
        """The same of an account whose balance is 0: no money moves. Errors as of `close`."""
        return await self.close(login)

    async def close(self, login: str, closing: Closing | None = None) -> Closed:
        """Let the logins of an account call no more, for good. Its history stays, and its logins are not given again.

        Errors: InvalidRequest, NotFound, Refused (open calls; a balance that `closing` does not settle), Unavailable.
        """
        note = note_of(self._principal, "account.close", login)
        balance = await store.close_account(self._database, login, closing, note)
        state = await self.show(login)
        return Closed(state, Decimal(0), repeated=True) if balance is None else Closed(state, balance)

    async def statement(self, login: str, cursor: Cursor) -> Page[LedgerEntry]:
        """The ledger entries of an account, newest first. Errors: InvalidRequest (after), NotFound, Unavailable."""
        page = await store.statement(self._database, login, cursor)
        if not page.items:
            await self.show(login)  # tells an empty statement from an unknown login
        return page

    async def _hand_over(self, tx: Transaction, login: str, before: int, to: int) -> None:
        """Give an account to a party. A line of a tenant goes alone, and to parties of the tenant only: what it is
        charged on may be the company's.
        """
        tenant = await hold_tenant_of(tx, to)
        of_before = await tenant_of(tx, before)
        if of_before is None:
            await give_account(tx, login, to)
        elif tenant is not None and of_before == tenant.party_id:
            await give_line(tx, login, to)
        else:
            raise InvalidRequest("owner", "a line of a tenant stays with it; block it, and make another login")
        if tenant is not None:
            await apply(tx, tenant)

    async def _tree(self) -> list[int] | None:
        """The parties whose accounts may be seen; None: of all."""
        return None if self._principal.sees_all else await tree_of(self._database, self._principal.realm)

    async def _set_subscriber_status(self, login: str, status: PartyStatus) -> AccountState:
        async with self._database.transaction(self._principal) as tx:
            bucket = await store.set_subscriber_status(tx, login, status)
            await record(tx, "subscriber.change", login, {"status": status}, bucket=bucket)
        return await self.show(login)


async def add_account(tx: Transaction, new: NewAccount, owner: int, *, buckets: int) -> int:
    """An account with one subscriber, a party's; its bucket. Errors: as `Accounts.create`."""
    tenant = await hold_tenant_of(tx, owner)
    home = await home_bucket(tx, owner, new.login, buckets)
    bucket = await store.create_account(tx, new, buckets=buckets, home=home)
    if owner != SYSTEM:
        await give_account(tx, new.login, owner)
    if tenant is not None:
        await apply(tx, tenant)
    await record(
        tx, "account.create", new.login,
        {"tariff": new.tariff, "kind": new.kind, "balance": new.balance, "overdraft": new.credit},
        bucket=bucket,
    )  # fmt: skip
    return bucket


async def add_line(tx: Transaction, new: NewSubscriber, owner: int | None) -> int:
    """One more login on the account of another, a party's (None: that other is unknown); its bucket.

    Errors: as `Accounts.add_subscriber`.
    """
    tenant = None if owner is None else await hold_tenant_of(tx, owner)
    bucket = await store.add_subscriber(tx, new)
    if owner is not None and owner != SYSTEM:
        await give_line(tx, new.login, owner)
    if tenant is not None:
        await apply(tx, tenant)
    made = {"account_of": new.account_of, "tariff": new.tariff}
    await record(tx, "subscriber.add", new.login, made, bucket=bucket)
    return bucket


async def add_line_alone(tx: Transaction, new: NewSubscriber, purse: Purse, owner: int) -> int:
    """The first login on a party's account that was made without one; its bucket. Errors: as `add_subscriber`."""
    tenant = await hold_tenant_of(tx, owner)
    await store.add_first_line(tx, new, purse.bucket, purse.account_id, purse.currency)
    await give_line(tx, new.login, owner)
    if tenant is not None:
        await apply(tx, tenant)
    detail = {"account": purse.account_id, "tariff": new.tariff}
    await record(tx, "subscriber.add", new.login, detail, bucket=purse.bucket)
    return purse.bucket
