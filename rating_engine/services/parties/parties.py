"""Parties: made, shown, changed, put in another state, closed; and their passwords set and checked.

Laws: nobody makes or changes a party of a level above its own, and nobody its own level or state; the system's own
party is not changed; what is closed keeps its money and its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from rating_engine.domain.account import AccountChanges
from rating_engine.domain.change import LEAVE, Leave, given
from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotYours
from rating_engine.domain.page import Cursor, Page
from rating_engine.domain.party import (
    BILLING,
    ON_PAPER,
    ROUTING,
    SYSTEM,
    Level,
    NewParty,
    Party,
    PartyChanges,
    PartyFilter,
    PartyKind,
    PartyState,
    check_level_of,
    check_password,
)
from rating_engine.domain.party_details import PartyDetailChanges
from rating_engine.domain.principal import Principal
from rating_engine.services.parties.details import change_details_of
from rating_engine.services.parties.lately import until_forgotten
from rating_engine.services.parties.passwords import HashedPassword, Passwords, md5_given, md5_of
from rating_engine.storage.audit_log import record
from rating_engine.storage.parties import parties as store
from rating_engine.storage.parties.accounts import change_account
from rating_engine.storage.parties.owners import owner_of_login
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.tenants.billing import hold_tenant

PASSWORDS: Final = "keys:write"  # the scope that covers them
NOTICES: Final = ("notify_email", "notify_ticket", "notify_balance", "notify_balance_limit", "notify_did", "warn_calls",
                  "warn_sound", "notify_hour")  # fmt: skip
OWN_FIELDS: Final = frozenset({"language", "utc_offset", "currency", "tax_number", *NOTICES, *BILLING})


class Parties:
    """What one principal does with parties, each by login or number. What is changed counts from the next call on."""

    def __init__(self, database: Database, principal: Principal, passwords: Passwords) -> None:
        self._database = database
        self._principal = principal
        self._passwords = passwords

    async def create(self, new: NewParty, *, password: str | None = None, md5: str | None = None) -> Party:
        """A party below `new.owner`. Its password as it is, or (what a surface may have alone) its MD5 in hex.

        Errors: InvalidRequest naming the field, NotAllowed (level), NotFound (owner, tariff), AlreadyExists (login),
        Overloaded, Unavailable.
        """
        hashed = await self._hash(password, md5)
        async with self._database.transaction(self._principal) as tx:
            party_id = await add_user(tx, self._principal, new, hashed)
        return await self.show(party_id)

    async def show(self, who: str | int) -> Party:
        """One party, closed ones too. Errors: NotFound, Unavailable."""
        return await store.find_party(self._database, who)

    async def page(self, wanted: PartyFilter, cursor: Cursor) -> Page[Party]:
        """Parties of who asks, the oldest first. Errors: InvalidRequest (after), NotFound, NotYours, Unavailable."""
        below = self._principal.realm
        if wanted.owner is not None:
            owner = await self.show(wanted.owner)
            if not await store.is_below(self._database, owner.party_id, below):
                raise NotYours(f"user {owner.login!r} is not yours", field="owner")
            below = owner.party_id
        return await store.list_parties(self._database, below, wanted, cursor)

    async def change(
        self, who: str | int, changes: PartyChanges, *, status: PartyState | Leave = LEAVE, md5: str | None = None
    ) -> Party:
        """Set what is given, its state and password too: all of it or nothing.

        Errors: InvalidRequest naming the field, NotAllowed (level, state, password), NotFound, Overloaded, Unavailable.
        """
        hashed = await self._hash(None, md5)
        async with self._database.transaction(self._principal) as tx:
            party = await self._change(tx, who, changes, status, hashed)
        if status is not LEAVE or changes.level is not LEAVE:
            await until_forgotten()
        return await self.show(party.party_id)

    async def change_whole(
        self, who: str | int, login: str | None, account: AccountChanges, changes: PartyChanges,
        details: PartyDetailChanges, *, status: PartyState | Leave = LEAVE, md5: str | None = None,
    ) -> None:  # fmt: skip
        """The same with what is known of it and, by a login, what its account is set to: all of it or nothing.

        Errors: as of `change`, `Details.change` and `Accounts.change`.
        """
        hashed = await self._hash(None, md5)
        async with self._database.transaction(self._principal) as tx:
            party = await self._change(tx, who, changes, status, hashed)
            await change_details_of(tx, self._principal, party, details)
            if settings := given(account):
                if login is None or await owner_of_login(tx, login) != party.party_id:
                    raise InvalidRequest("login", "is no line of the user")
                bucket = await change_account(tx, login, settings, {})
                await record(tx, "account.change", login, settings, bucket=bucket)
        if status is not LEAVE or changes.level is not LEAVE:
            await until_forgotten()

    async def _change(
        self,
        tx: Transaction,
        who: str | int,
        changes: PartyChanges,
        status: PartyState | Leave,
        hashed: HashedPassword | None,
    ) -> Party:
        """Set what is given within a unit of work; whom it was of. Errors: as of `change`."""
        values = given(changes)
        party = await self._hold(tx, who, on_paper=values.keys() <= set(ON_PAPER) and bool(values))
        self._check_own_fields(party, values)
        self._check_routing(party, values)
        if changes.level is not LEAVE:
            check_level_of(party.kind, changes.level)
            self._check_level(changes.level)
            self._check_other(party, "level")
        if values:
            # Who asks for notices anew is told anew.
            forgotten = {"balance_low": False} if changes.notify_balance is False else {}
            await store.change_party(tx, party.party_id, {**values, **forgotten})
            await record(tx, "user.change", party.login, {"before": _before(party, values), "after": values})
        if status is not LEAVE:
            self._check_below(party)
            await self._put_in(tx, party, status)
        if hashed is not None:
            if self._principal.scopes is not None and PASSWORDS not in self._principal.scopes:
                raise NotAllowed(f"takes the scope {PASSWORDS}", field="password")
            await store.set_password_hash(tx, party.party_id, hashed.text, is_weak=hashed.is_weak_for(party.login))
            await record(tx, "user.password", party.login)
        return party

    async def set_status(self, who: str | int, status: PartyState) -> Party:
        """Block or let go a party; its lines, and all below it, go by it from the next call on.

        Errors: InvalidRequest (its own, the system's), NotFound, Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            party = await self._hold(tx, who)
            await self._put_in(tx, party, status)
        await until_forgotten()
        return await self.show(party.party_id)

    async def hide_logs(self, who: str | int) -> None:
        """Its event log shows calls of before now no more; CDRs and ledger stay. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            party = await self._hold(tx, who)
            await store.hide_logs(tx, party.party_id)
            await record(tx, "user.hide_logs", party.login)

    async def logs_since(self, who: str | int) -> datetime | None:
        """From when on its event log is shown; None: whole. Errors: NotFound, Unavailable."""
        return await store.logs_since(self._database, (await self.show(who)).party_id)

    async def delete(self, who: str | int) -> Party:
        """Close a party: it asks and calls no more, its keys and sessions end; its accounts keep their money.

        Errors: InvalidRequest (itself, the system, one that owns others), NotFound, Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            party = await self._hold(tx, who)
            self._check_other(party, "user")
            if owned := await store.owned_by(tx, party.party_id):
                raise InvalidRequest("user", f"{party.login!r} owns {owned} users; delete those first")
            await store.close_party(tx, party.party_id)
            await record(tx, "user.delete", party.login, {"level": int(party.level), "owner": party.owner})
        await until_forgotten()
        return await self.show(party.party_id)

    async def set_password(self, who: str | int, *, password: str | None = None, md5: str | None = None) -> None:
        """Another password, as it is or as its MD5 in hex; who is in by the old one is out.

        Errors: InvalidRequest, NotFound, Overloaded, Unavailable.
        """
        hashed = await self._hash(password, md5)
        if hashed is None:
            raise InvalidRequest("password", "is not given")
        async with self._database.transaction(self._principal) as tx:
            party = await self._hold(tx, who)
            await store.set_password_hash(tx, party.party_id, hashed.text, is_weak=hashed.is_weak_for(party.login))
            await record(tx, "user.password", party.login)

    async def _hash(self, password: str | None, md5: str | None) -> HashedPassword | None:
        if password is not None:
            check_password(password)
            md5 = md5_of(password)
        return None if md5 is None else await self._passwords.hash(md5_given(md5))

    async def _put_in(self, tx: Transaction, party: Party, status: PartyState) -> None:
        self._check_other(party, "status")
        await store.set_status(tx, party.party_id, status)
        if status is PartyState.LOCKED:
            await store.end_sessions(tx, party.party_id)
        await record(tx, "user.status", party.login, {"before": party.status, "after": status})

    async def _hold(self, tx: Transaction, who: str | int, *, on_paper: bool = False) -> Party:
        """A party that may be changed, as it is until the transaction ends. `on_paper`: as it issues invoices."""
        party = await store.hold_party(tx, who)
        if party.party_id == SYSTEM and not on_paper:
            raise InvalidRequest("user", "the system's own user stays as it is")
        if party.hidden:
            raise InvalidRequest("user", f"{party.login!r} was deleted")
        if party.level > self._principal.level:
            raise NotAllowed(f"user {party.login!r} has a level above yours", field="user")
        return party

    def _check_own_fields(self, party: Party, values: Mapping[str, object]) -> None:
        """Of itself a party below an administrator changes how it is spoken to, and no more."""
        if party.party_id != self._principal.party_id or self._principal.level >= Level.ADMIN:
            return
        for field in values:
            if field not in OWN_FIELDS:
                raise NotAllowed("of oneself is for somebody else to change", field=field)

    def _check_routing(self, party: Party, values: Mapping[str, object]) -> None:
        """Routes are the installation's: who manages it says by which somebody's calls go."""
        if self._principal.level >= Level.ADMIN and self._principal.sees_all:
            return
        for field in ROUTING:
            if field in values and values[field] != getattr(party, field):
                raise NotAllowed("is for an administrator to change", field=field)

    def _check_below(self, party: Party) -> None:
        """Nobody blocks or lets go itself, nor whom it manages for."""
        who = self._principal
        if party.party_id == who.party_id or (party.party_id == who.realm and not who.sees_all):
            raise NotAllowed("of oneself is for somebody else to change", field="status")

    def _check_level(self, level: Level) -> None:
        if level > self._principal.level:
            raise NotAllowed("nobody gives a level above its own", field="level")

    def _check_other(self, party: Party, field: str) -> None:
        if party.party_id == self._principal.party_id:
            raise InvalidRequest(field, "of oneself is for somebody else to change")


def _what(owner: Party) -> str:
    return "deleted" if owner.hidden else f"of the kind {owner.kind}"


def _before(party: Party, values: dict[str, object]) -> dict[str, object]:
    return {name: getattr(party, name) for name in values}


async def add_user(tx: Transaction, principal: Principal, new: NewParty, hashed: HashedPassword | None) -> int:
    """A party below `new.owner` (None: who asks), with the hash of its password; its number.

    Errors: InvalidRequest naming the field, NotAllowed (level), NotFound (owner, tariff), AlreadyExists, Unavailable.
    """
    if new.access_level > principal.level:
        raise NotAllowed("nobody gives a level above its own", field="level")
    owner = await store.hold_party(tx, principal.realm if new.owner is None else new.owner)
    if owner.hidden or not owner.kind.may_own:
        raise InvalidRequest("owner", f"{owner.login!r} can own no users: it is {_what(owner)}")
    if owner.party_id != SYSTEM and new.access_level > owner.level:
        raise InvalidRequest("level", f"is above that of the owner, {int(owner.level)}")
    party_id = await store.add_party(tx, new, owner.party_id)
    if new.kind is PartyKind.TENANT:
        await hold_tenant(tx, party_id)  # which gives it its tariff
    if hashed is not None:
        await store.set_password_hash(tx, party_id, hashed.text, is_weak=hashed.is_weak_for(new.login))
    await record(
        tx, "user.create", new.login,
        {"kind": new.kind, "level": int(new.access_level), "owner": owner.login, "tariff": new.tariff,
         "password": hashed is not None},
    )  # fmt: skip
    return party_id
