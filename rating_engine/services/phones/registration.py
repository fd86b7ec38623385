"""Users registered with an account and a first extension, in one unit of work.

Laws: all of it is there afterwards, or nothing; nobody makes money but administrators of the system: what others give a
new user comes from their own account, where it is looked for before anything is made. Who is cut off between the user
and its money asks again, with the same words, and it goes on there; the money moves once.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.change import given
from rating_engine.domain.checks import check_email
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours, Refused
from rating_engine.domain.party import Level, Party
from rating_engine.domain.principal import Principal
from rating_engine.domain.registration import NewRegistration
from rating_engine.domain.sip_account import WrongExtension, is_additional, phone_columns
from rating_engine.domain.transfer import InsufficientMoney, Order
from rating_engine.services.finance.moving import Moving, converted
from rating_engine.services.parties.parties import add_user
from rating_engine.services.parties.passwords import HashedPassword, Passwords, md5_given
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.services.phones.writing import PhoneWriter
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance.purses import Purse, purse_of_line
from rating_engine.storage.idempotency import digest_of, forget, keep_answer, once
from rating_engine.storage.parties.accounts import change_account, find_account, tariff_for
from rating_engine.storage.parties.parties import change_party, find_party, is_below
from rating_engine.storage.parties.party_details import change_details
from rating_engine.storage.phones.sip_accounts import change_phone, hold_line, tariff_of_first_line
from rating_engine.storage.phones.take_back import take_back
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.server_time import server_time
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.support.outbox import queue

WELCOME: Final = "Your registration"
WELCOME_BODY: Final = "You are registered as {}. You can log in with the password that was chosen.\n"


CUT_OFF: Final = timedelta(seconds=30)  # after it whoever has not moved the money is gone: its deadlines are shorter


class Registrations:
    """What one principal registers."""

    def __init__(
        self, database: Database, principal: Principal, passwords: Passwords, secrets: SecretBox, *, buckets: int = 1
    ) -> None:
        self._database = database
        self._principal = principal
        self._passwords = passwords
        self._moving = Moving(database, principal)
        self._writer = PhoneWriter(principal, secrets, buckets=buckets)

    async def register(self, new: NewRegistration) -> Party:
        """A user below who asks, with the tariff of that.

        Errors: InvalidRequest naming the field, NotAllowed (level,
        balance), NotFound and NotYours (account), AlreadyExists (login), InsufficientMoney, TransfersLocked,
        NoExchangeRate, ExtensionTaken, WrongExtension, NoSuchExchange, NoSecretKey, Overloaded, Unavailable.
        """
        who = self._principal
        if new.balance and not who.moves_money:
            raise NotAllowed("of a new user is not for an accountant to give", field="balance")
        makes_money = who.level >= Level.ADMIN and who.sees_all
        payer = None if makes_money or not new.balance else await self._payer()
        if new.balance and new.account is not None:
            raise InvalidRequest("balance", "is of a new account, and this one is there")
        if is_additional(new.phone.login):
            raise WrongExtension("sip_extension", "the first one of a user is a main one, of 5 digits")
        hashed = await self._passwords.hash(md5_given(new.md5))
        if payer is None:
            async with self._database.transaction(self._principal) as tx:
                party_id = await self._make(tx, new, hashed, makes_money=makes_money)
        else:
            party_id, amount = await self._make_once(payer, new, hashed)
            order = Order(amount, "first balance", f"register:{party_id}", RefillAllowed.ANONYMOUS)
            await self._give(payer, order, party_id, new)
        return await find_party(self._database, party_id)

    async def _make(self, tx: Transaction, new: NewRegistration, hashed: HashedPassword, *, makes_money: bool) -> int:
        owner = await self._owner(tx, new)
        party_id = await add_user(tx, self._principal, new.party(owner.tariff or new.tariff), hashed)
        balance = await self._made(tx, new, party_id) if makes_money else Decimal(0)
        account_of = None if new.account is None else await self._login_on(tx, new.account)
        await self._writer.create(tx, replace(new.phone, owner=party_id), balance=balance, account_of=account_of)
        await self._settle(tx, new, party_id)
        return party_id

    async def _made(self, tx: Transaction, new: NewRegistration, party_id: int) -> Decimal:
        """What an administrator gives, in the currency of the account that the user's first line gets."""
        tariff = await tariff_of_first_line(tx, party_id)
        if not new.balance or not new.balance_currency or tariff is None:
            return new.balance
        _, priced_in = await tariff_for(tx, tariff, None, new.phone.login)
        return await converted(tx, new.balance, new.balance_currency, new.currency or priced_in)

    async def _make_once(self, payer: Purse, new: NewRegistration, hashed: HashedPassword) -> tuple[int, Decimal]:
        """The user, or the one that the same request made whose money did not come to be moved; and how much."""
        amount = await self._moving.converted(new.balance, new.balance_currency or payer.currency, payer.currency)
        async with self._database.transaction(self._principal) as tx:
            try:
                told = await once(tx, _key(new), _digest(new))
            except AlreadyExists:
                raise AlreadyExists(f"login {new.login!r} is taken", field="login") from None
            now = await server_time(tx)
            if told is not None:
                if now < datetime.fromisoformat(told["at"]) + CUT_OFF:  # who asked first may be at it still
                    raise AlreadyExists(f"login {new.login!r} is taken", field="login")
                return int(told["party"]), Decimal(told.get("amount", new.balance))
            if payer.sendable < amount:
                raise InsufficientMoney("is more than your own account has", field="balance")
            party_id = await self._make(tx, new, hashed, makes_money=False)
            # Before it is there for good.
            await self._moving.check(payer, await purse_of_line(tx, new.phone.login), RefillAllowed.ANONYMOUS)
            await keep_answer(tx, _key(new), {"party": party_id, "at": now, "amount": amount})
        return party_id, amount

    async def _owner(self, tx: Transaction, new: NewRegistration) -> Party:
        """Who will own the user. Errors: NotFound, NotYours."""
        owner = await find_party(tx, self._principal.realm if new.owner is None else new.owner)
        if not await is_below(tx, owner.party_id, self._principal.realm):
            raise NotYours(f"user {owner.login!r} is not yours", field="owner")
        return owner

    async def _settle(self, tx: Transaction, new: NewRegistration, party_id: int) -> None:
        """What is said of it beside its name and line, and whom is told. Errors: InvalidRequest, Unavailable."""
        settings, details = given(new.account_settings), given(new.details)
        if settings and new.account is None:
            await change_account(tx, new.phone.login, settings, {})
        if phone := phone_columns(given(new.phone_settings)):
            held = await hold_line(tx, new.phone.login)
            assert held is not None
            await change_phone(tx, held.place, phone)
        await change_details(tx, party_id, details)
        if new.route_plan is not None:
            if not (self._principal.level >= Level.ADMIN and self._principal.sees_all):
                raise NotAllowed("is for an administrator to say", field="route_plan")
            await change_party(tx, party_id, {"route_plan": new.route_plan})
        if new.welcome:
            check_email(new.welcome, "email")
            await queue(tx, party_id, new.welcome, WELCOME, WELCOME_BODY.format(new.login))

    async def _give(self, payer: Purse, order: Order, party_id: int, new: NewRegistration) -> None:
        """Its first balance. Where that was spent meanwhile the user is taken back. Errors: as of `Moving.move`."""
        login = new.phone.login
        try:
            await self._moving.move(payer, await purse_of_line(self._database, login), order)
        except Refused as error:
            async with self._database.transaction(self._principal) as tx:
                await take_back(tx, party_id, login)
                await forget(tx, _key(new))
                await record(tx, "user.take_back", new.login, {"problem": error.code})
            raise
        async with self._database.transaction(self._principal) as tx:
            await forget(tx, _key(new))

    async def _payer(self) -> Purse:
        """The account of who registers."""
        assert self._principal.party_id is not None
        purse = await self._moving.own(self._principal.party_id)
        await self._moving.check(purse, purse, RefillAllowed.ANONYMOUS)
        return purse

    async def _login_on(self, tx: Transaction, number: int) -> str:
        """A login on an account of who asks: the new line is charged there."""
        account = await find_account(tx, number)
        if account is None or not account.login:
            raise NotFound(f"there is no account {number}", field="account")
        owner = await find_party(tx, account.owner)
        if not await is_below(tx, owner.party_id, self._principal.realm):
            raise NotYours(f"account {number} is not yours", field="account")
        return account.login


def _key(new: NewRegistration) -> str:
    """Of a registration whose money is still to be moved."""
    return f"register:{new.login.lower()}"


def _digest(new: NewRegistration) -> bytes:
    asked = (new.login, new.md5, int(new.level), new.owner, new.balance, new.language, new.currency, new.welcome)
    money = (new.balance_currency,) if new.balance_currency else ()
    return digest_of("register", *asked, *money, new.phone.login, new.phone.password, new.phone.exchange)
