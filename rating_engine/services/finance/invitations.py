"""Registration by codes: what nobody yet may ask, so it is no use case of a principal's and is bounded by itself.

Laws: 10 requests and 10 registrations an hour and address; a code registers one user, in one transaction with it; the
simulation looks at what the registration does, and tells nothing else.
"""

from __future__ import annotations

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.code import kind_of
from rating_engine.domain.errors import AlreadyExists, NotFound, NotYours
from rating_engine.domain.party import Level, NewParty
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.domain.transfer import Order
from rating_engine.services.finance.codes import add_number, owner_of
from rating_engine.services.finance.guesses import Guesses
from rating_engine.services.finance.moving import Moving
from rating_engine.services.parties.bans import WrongKeys
from rating_engine.services.parties.parties import add_user
from rating_engine.services.parties.passwords import Passwords, md5_given
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import cards as store
from rating_engine.storage.finance.cards import Card
from rating_engine.storage.finance.purses import purse_at
from rating_engine.storage.idempotency import digest_of, forget, keep_answer, once
from rating_engine.storage.parties.parties import find_party
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction


class Invitations:
    """One a process."""

    def __init__(self, database: Database, passwords: Passwords, box: SecretBox, wrong_keys: WrongKeys) -> None:
        self._database = database
        self._passwords = passwords
        self._box = box
        self._wrong_keys = wrong_keys

    async def request(self, principal: Principal, owner: int, signature: str) -> str:
        """A code without money by which somebody registers below `owner`, within a day.

        `signature`: what tells the client from others; asked again it is told the same code, as long as nobody has
        registered by that. Errors: TooManyTries, NoSecretKey, Unavailable.
        """
        await self._guesses(principal).count("request")
        party = await find_party(self._database, owner)
        digest = digest_of("code.request", owner, signature)
        key = f"code.request:{digest.hex()}"
        async with self._database.transaction(principal) as tx:
            if (told := await once(tx, key, digest)) is not None:
                if (sealed := await store.unused_number(tx, told["card"])) is not None:
                    return self._box.open(sealed)
                await forget(tx, key)
                await once(tx, key, digest)
            card_id, number = await add_number(tx, self._box, owner=owner_of(party), level=Level.SIMPLE_USER)
            await keep_answer(tx, key, {"card": card_id})
            await record(tx, "code.request", str(card_id))
        return number

    async def register(
        self, principal: Principal, number: str, login: str, md5: str, *, language: str = "", simulated: bool = False
    ) -> None:
        """A user by a code, with the code's level and money, below whoever made it.

        Errors: InvalidRequest, NotFound (no such code, or it was used), NotYours (it is somebody's), AlreadyExists
        (login), TooManyTries, Overloaded, NoSecretKey, Unavailable.
        """
        guesses = self._guesses(principal)
        await guesses.count("register")
        card = await guesses.find(number)
        if card.activated_by is not None:
            raise NotFound("it was used", field="code")
        if card.target_id is not None:
            raise NotYours("is for somebody who is registered", field="code")
        new = await self._party(card, login, md5, language)
        if simulated:
            return
        hashed = await self._passwords.hash(md5_given(md5, "web_password"))
        async with self._database.transaction(principal) as tx:
            party_id = await add_user(tx, ENGINE, new, hashed)
            if not await store.claim_card(tx, card.card_id, party_id):
                raise NotFound("it was used", field="code")
            account = await self._account(tx, card, party_id)
            await record(tx, "code.register", str(card.card_id), {"user": login})
        if account is not None and card.bucket is not None and card.account_id is not None:
            source = await purse_at(self._database, card.bucket, card.account_id)
            target = await purse_at(self._database, card.bucket, account)
            if source.balance > 0:
                await Moving(self._database, principal).move(
                    source, target, Order(None, "code", least=RefillAllowed(0))
                )

    async def _party(self, card: Card, login: str, md5: str, language: str) -> NewParty:
        """Who would be registered, looked at whole. An empty login or password of a simulation says nothing."""
        owner = await find_party(self._database, card.owner_id)
        if owner.hidden:
            raise NotFound("who made it is gone", field="code")
        level = Level(card.access_level)
        if not login:
            return NewParty("somebody", kind_of(level), level)
        if md5:
            md5_given(md5, "web_password")
        new = NewParty(login, kind_of(level), level, owner.party_id, language=language, tariff=owner.tariff)
        try:
            await find_party(self._database, login)
        except NotFound:
            return new
        raise AlreadyExists(f"login {login!r} is taken", field="user")

    async def _account(self, tx: Transaction, card: Card, party_id: int) -> int | None:
        """The account of a new user, in the code's currency; None: the code never carried money."""
        if card.bucket is None or card.account_id is None:
            return None
        currency = (await purse_at(tx, card.bucket, card.account_id)).currency
        return await store.add_account(tx, card.bucket, currency, party_id, purpose="party")

    def _guesses(self, principal: Principal) -> Guesses:
        return Guesses(self._database, principal, self._box, self._wrong_keys)
