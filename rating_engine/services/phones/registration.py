"""Users registered with an account and a first extension, in one unit of work.

Laws: all of it is there afterwards, or nothing; nobody makes money but administrators, so nobody else gives a new user
any.
"""

from __future__ import annotations

from dataclasses import replace

from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotFound, NotYours
from rating_engine.domain.party import Level, Party
from rating_engine.domain.principal import Principal
from rating_engine.domain.registration import NewRegistration
from rating_engine.domain.sip_account import WrongExtension, is_additional
from rating_engine.services.parties.parties import add_user
from rating_engine.services.parties.passwords import Passwords, md5_given
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.phones.writing import PhoneWriter
from rating_engine.storage.parties.accounts import find_account
from rating_engine.storage.parties.parties import find_party, is_below
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction


class Registrations:
    """What one principal registers."""

    def __init__(
        self, database: Database, principal: Principal, passwords: Passwords, secrets: SecretBox, *, buckets: int = 1
    ) -> None:
        self._database = database
        self._principal = principal
        self._passwords = passwords
        self._writer = PhoneWriter(principal, secrets, buckets=buckets)

    async def register(self, new: NewRegistration) -> Party:
        """A user below who asks, with the tariff of that.

        Errors: InvalidRequest naming the field, NotAllowed (level, balance), NotFound and NotYours (account),
        AlreadyExists (login), ExtensionTaken, WrongExtension, NoSuchExchange, NoSecretKey, Overloaded, Unavailable.
        """
        if new.balance and (self._principal.level < Level.ADMIN or not self._principal.moves_money):
            raise NotAllowed("of a new user is for an administrator to give", field="balance")
        if new.balance and new.account is not None:
            raise InvalidRequest("balance", "is of a new account, and this one is there")
        if is_additional(new.phone.login):
            raise WrongExtension("sip_extension", "the first one of a user is a main one, of 5 digits")
        hashed = await self._passwords.hash(md5_given(new.md5))
        async with self._database.transaction(self._principal) as tx:
            owner = await find_party(tx, self._principal.realm)
            party = new.party(owner.tariff)
            party_id = await add_user(tx, self._principal, party, hashed)
            account_of = None if new.account is None else await self._login_on(tx, new.account)
            await self._writer.create(
                tx, replace(new.phone, owner=party_id), balance=new.balance, account_of=account_of
            )
        return await find_party(self._database, party_id)

    async def _login_on(self, tx: Transaction, number: int) -> str:
        """A login on an account of who asks: the new line is charged there."""
        account = await find_account(tx, number)
        if account is None or not account.login:
            raise NotFound(f"there is no account {number}", field="account")
        owner = await find_party(tx, account.owner)
        if not await is_below(tx, owner.party_id, self._principal.realm):
            raise NotYours(f"account {number} is not yours", field="account")
        return account.login
