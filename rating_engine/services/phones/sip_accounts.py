"""SIP accounts: lines with their phones made, shown, changed and deleted.

Laws: what is changed counts at the next registration and call, since exchanges read it anew; a password is kept
encrypted, and told to exchanges as a hash of their realm alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from rating_engine.domain.change import LEAVE, given
from rating_engine.domain.errors import InvalidRequest, NotFound, NotYours, Refused
from rating_engine.domain.party import Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.sip_account import (
    MAIN_DIGITS,
    ExtensionInCall,
    NewSipAccount,
    SipAccount,
    SipChanges,
    WrongExtension,
    is_additional,
)
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.phones.writing import PhoneWriter, exchange_of
from rating_engine.storage.audit_log import record
from rating_engine.storage.numbers.dids import numbers_of
from rating_engine.storage.parties.accounts import find_account
from rating_engine.storage.parties.logins import unknown_login
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.phones import sip_accounts as store
from rating_engine.storage.phones.sealed import reseal_gateways
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

SECRET: Final = frozenset({"password", "disa_pin"})
MAINS_MOST: Final = 10_000  # as many as a list of users has
RESEAL_AT_ONCE: Final = 500  # rows of one transaction


class SipAccounts:
    """What one principal does with SIP accounts, each by its number."""

    def __init__(self, database: Database, principal: Principal, secrets: SecretBox, *, buckets: int = 1) -> None:
        self._database = database
        self._principal = principal
        self._secrets = secrets
        self._writer = PhoneWriter(principal, secrets, buckets=buckets)

    async def create(self, new: NewSipAccount, *, account: int | None = None) -> SipAccount:
        """A line with a phone, which registers from now on. A number that its owner has deleted may be had again.

        `account`: the number of the one of its owner's that it is charged on; None: of the owner's first line.

        Errors: InvalidRequest naming the field, WrongExtension, ExtensionTaken, NoSuchExchange, NoSecretKey,
        NotAllowed, NotFound (owner, tariff), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            account_of = None if account is None else await self._login_on(tx, account, new)
            await self._writer.create(tx, new, account_of=account_of)
        return await self.show(new.login)

    async def show(self, login: str) -> SipAccount:
        """A line with its phone, its password too if there is a key for it. Errors: NotFound, Unavailable."""
        return self._opened(*await store.find_line(self._database, login))

    async def numbered(self, line_id: int) -> SipAccount:
        """The same by its number. Errors: NotFound, NotYours, Unavailable."""
        found = await store.line_numbered(self._database, line_id)
        if found is None:
            raise NotFound(f"there is no line {line_id}", field="line")
        if not await is_below(self._database, found[0].owner_id, self._principal.realm):
            raise NotYours(f"line {line_id} is not yours", field="line")
        return self._opened(*found)

    async def pin_is_taken(self, pin: str) -> bool:
        """Whether some phone has this PIN. Errors: Unavailable."""
        return await store.pin_is_taken(self._database, pin)

    async def pitch_of(self, login: str) -> int:
        """By how much the voice of a line of who asks is changed; -1: it is not. Errors: Unavailable."""
        return await store.pitch_of(self._database, login, self._principal.realm)

    async def of(self, who: str | int) -> list[SipAccount]:
        """The lines of one user and of nobody below it, its main one first. Errors: NotFound, Unavailable."""
        party = await find_party(self._database, who)
        return [self._opened(*line) for line in await store.lines_of(self._database, [party.party_id])]

    async def below(self) -> list[SipAccount]:
        """Those of who asks and of all below it, or everybody's for who sees all; 1000 at most. Errors: Unavailable."""
        who = self._principal
        tree = None if who.sees_all else await tree_of(self._database, who.realm)
        return [self._opened(*line) for line in await store.lines_of(self._database, tree)]

    async def mains(self) -> dict[int, SipAccount]:
        """The main line of each user below who asks, or of everybody for who sees all, by the user's number.

        10,000 at most. Errors: Unavailable.
        """
        who = self._principal
        tree = None if who.sees_all else await tree_of(self._database, who.realm)
        found = await store.mains_of(self._database, tree, MAINS_MOST)
        return {line.owner_id: self._opened(line, sealed) for line, sealed in found}

    async def change(self, login: str, changes: SipChanges) -> SipAccount:
        """Set what is given, all of it or nothing; a line without a phone gets one with its first password.

        Errors: InvalidRequest naming the field, NotAllowed (field), NotFound, NoSuchExchange, NoSecretKey,
        ExtensionTaken, WrongExtension, ExtensionInCall (another number during a call), Unavailable.
        """
        values = given(changes)
        async with self._database.transaction(self._principal) as tx:
            held = await store.hold_line(tx, login)
            if held is None or held.was_deleted:
                raise unknown_login(login)
            before, sealed = await store.find_line(tx, login)
            lines = [line for line, _ in await store.lines_of(tx, [held.owner_id])]
            own = held.owner_id == self._principal.party_id
            _check_callback(values, before)
            numbers = await numbers_of(tx, held.owner_id)
            self._writer.check_rights(values, lines, own=own, longest=before.max_seconds, numbers=numbers)
            if not held.has_phone:
                exchange = await exchange_of(tx, values.get("exchange"), lines)
                await store.put_phone(tx, held.place, exchange.exchange_id)
                changes = replace(changes, exchange=exchange.name)
            await self._writer.set(tx, held, login, changes, lines, sealed)
            shown = {name: True if name in SECRET else value for name, value in values.items()}
            await record(tx, "phone.change", login, shown, bucket=held.place.bucket)
        return await self.show(login if changes.login is LEAVE else changes.login)

    async def delete(self, login: str) -> None:
        """Nobody registers or calls by it any more. Its calls stay, and its number is given to nobody else.

        Errors: NotFound, ExtensionInCall, Refused (it is blocked, and that is for somebody else to end), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            held = await store.hold_line(tx, login)
            if held is None or held.was_deleted:
                raise unknown_login(login)
            if not held.is_active and self._principal.level < Level.RESELLER:
                raise Refused(f"number {login} is blocked", field="sip_extension")
            if await store.is_in_call(tx, held.place):
                raise ExtensionInCall(f"number {login} has a call in progress", field="sip_extension")
            if not held.has_phone:
                exchange = await exchange_of(tx, None, [])
                await store.put_phone(tx, held.place, exchange.exchange_id)
            await store.delete_phone(tx, held.place)
            await record(tx, "phone.delete", login, bucket=held.place.bucket)

    async def available(self, *, main: str | None = None) -> str:
        """A free number: one beside `main`, else of a main line. Errors: WrongExtension, Refused, Unavailable."""
        if main is not None and is_additional(main):
            raise WrongExtension("sip_extension", f"{main} is an additional number itself")
        free = await (store.free_main(self._database) if main is None else store.free_additional(self._database, main))
        if free is None:
            raise Refused("no number is free", field="sip_extension")
        return free

    async def next_of(self, who: str | int) -> str:
        """The number of a user's next line: one beside its main one; of who has none the main one that it has deleted,
        else a free one. Errors: NotFound, Refused, Unavailable.
        """
        party = await find_party(self._database, who)
        lines = [line.login for line, _ in await store.lines_of(self._database, [party.party_id])]
        main = next((login for login in lines if len(login) == MAIN_DIGITS and login.isdigit()), None)
        given_up = await store.given_up_main(self._database, party.party_id) if main is None else None
        return given_up or await self.available(main=main)

    async def reseal(self) -> int:
        """Keep every password, of phones and of gateways, under the first key of the settings; how many there are.

        Errors: NoSecretKey (a password is under a key that is not there), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            count = await reseal_gateways(tx, self._secrets.resealed)
            await record(tx, "gateways.reseal", "secret_keys", {"passwords": count})
        after = None
        while rows := await store.some_secrets(self._database, after, RESEAL_AT_ONCE):
            changed = [(bucket, number, sealed, self._secrets.resealed(sealed)) for bucket, number, sealed in rows]
            async with self._database.transaction(self._principal) as tx:
                await store.set_secrets(tx, changed)
                await record(tx, "phone.reseal", "secret_keys", {"passwords": len(changed)})
            after, count = rows[-1][:2], count + len(rows)
        return count

    async def _login_on(self, tx: Transaction, number: int, new: NewSipAccount) -> str:
        """A login of an account of the new line's owner. Errors: InvalidRequest (it is none), NotFound."""
        owner = await find_party(tx, self._principal.realm if new.owner is None else new.owner)
        found = await find_account(tx, number)
        if found is None or found.owner != owner.login or not found.login:
            raise InvalidRequest("account", f"{number} is no account of {owner.login!r}")
        return found.login

    def _opened(self, line: SipAccount, sealed: bytes | None) -> SipAccount:
        return replace(line, password=self._secrets.shown(sealed))


def _check_callback(values: Mapping[str, Any], before: SipAccount) -> None:
    """Who is called back is called at a number that is trusted. Raises InvalidRequest."""
    forced = values.get("force_callback", before.force_callback)
    if forced and not values.get("trusted_cli", before.trusted_cli):
        raise InvalidRequest("sip_force_callback", "needs disa_trusted_cli, the number that is called")
