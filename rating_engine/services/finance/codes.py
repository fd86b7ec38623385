"""Codes: made with money of their creator, activated by one user, deleted by who made them.

Laws: a code's money is an account of its own, so every movement of it is a transfer; it is taken from its creator when
the code is made (an administrator of the system who has no account makes it), goes to the one user who activated it
first, or back to where it came from. Its number is encrypted, shown to who made it, and never in a log.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.card import pin_text
from rating_engine.domain.code import DIGITS, Code, CodeIsEmpty, NewCode, NoInvites
from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotFound, NotYours, RatingEngineError, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.party import Level, Party
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.domain.transfer import InsufficientMoney, Order, Transfer
from rating_engine.services.finance.guesses import Guesses
from rating_engine.services.finance.moving import Moving
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import cards as store
from rating_engine.storage.finance.cards import Card
from rating_engine.storage.finance.purses import Purse, purse_at, purse_of_party
from rating_engine.storage.finance.transfers import set_balance
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction
from rating_engine.storage.support.sim_cards import owner_of_card

CODES_SECONDS: Final = 60.0  # how often what is left of deleted codes is looked for
UNUSED: Final = timedelta(days=1)  # how long a registration that was asked for waits
LATE_SECONDS: Final = 60.0
BATCH: Final = 200
RESEAL_AT_ONCE: Final = 500

_log = structlog.get_logger(__name__)


class Codes:
    """What one principal does with codes."""

    def __init__(
        self,
        database: Database,
        principal: Principal,
        box: SecretBox,
        guesses: Guesses,
        *,
        system_currency: str = "EUR",
    ) -> None:
        self._system_currency = system_currency
        self._database = database
        self._principal = principal
        self._box = box
        self._guesses = guesses
        self._moving = Moving(database, principal)

    async def create(self, who: str | int, new: NewCode) -> str:
        """A code of a user, with money of its account; its number, which only who made it is shown again.

        Errors: NotAllowed (level), NoInvites, NotFound (target; the user has no account), InsufficientMoney,
        TransfersLocked, AccountClosed, NoSecretKey, Unavailable.
        """
        party = await find_party(self._database, who)
        if new.level > party.level or (party.level < Level.RESELLER and new.level > Level.USER):
            raise NotAllowed("is above your own, or that of a user", field="accesslevel")
        self._box.hashes("")  # whether there is a key
        target = await self._target(new.target) if new.target else None
        if party.level < Level.RESELLER and party.invites == 0:
            raise NoInvites("no invite is left")
        payer = await self._payer(party) if new.balance else None
        if payer is not None:
            new = replace(new, balance=await self._taken(new, payer))
        card_id, number, account = await self._made(party, new, target, payer)
        if account is not None:
            await self._filled(party, card_id, account, payer, new.balance)
        return number

    async def page(self, cursor: Cursor, *, who: str | int, below: bool = False, unused: bool = False) -> Page[Code]:
        """Codes of a user, or of all below who asks, the oldest first. Errors: InvalidRequest (after), Unavailable."""
        rows = await store.list_cards(self._database, await self._creators(who, below=below), cursor, unused=unused)
        return page_of_rows(rows, cursor, lambda row: (row["card_id"],), self._shown)

    async def count(self, *, who: str | int, below: bool = False, unused: bool = False) -> int:
        """How many those are. Errors: Unavailable."""
        return await store.count_cards(self._database, await self._creators(who, below=below), unused=unused)

    async def activate(
        self, who: str | int, number: str, amount: Decimal | None = None, *, currency: str | None = None
    ) -> Transfer:
        """Move money of a code into the account of a user, whose code it is from then on; None: all that there is.
        `currency` of the amount; None: the code's.

        Errors: InvalidRequest, NotFound (counted), NotYours (it is for somebody else), TooManyTries, CodeIsEmpty,
        InsufficientMoney, TransfersLocked, NoExchangeRate, AccountClosed, Unavailable.
        """
        order = Order(amount, "code", least=RefillAllowed.ANONYMOUS)
        party = await find_party(self._database, who)
        purse = await self._moving.own(party.party_id)
        card = await self._guesses.find(number, cards=True)
        if card.activated_by not in (None, party.party_id):
            raise NotFound("it was activated by somebody else", field="code")
        if card.target_id not in (None, party.party_id):
            raise NotYours("is for somebody else", field="code")
        source = await self._money_of(card)
        if amount is not None:
            amount = await self._moving.converted(amount, currency or source.currency, source.currency)
            order = replace(order, amount=amount)
            if source.sendable < amount:
                raise InsufficientMoney("is more than the code carries", field="amount")
        await self._moving.check(source, purse, order.least)
        async with self._database.transaction(self._principal) as tx:
            if not await store.claim_card(tx, card.card_id, party.party_id):
                raise NotFound("it was activated by somebody else", field="code")
            await record(tx, "code.activate", str(card.card_id), {"user": party.login, "amount": amount})
        try:
            return await self._moving.move(source, purse, order)
        except InsufficientMoney:
            if amount is None:
                raise CodeIsEmpty("it carries no money any more", field="code") from None
            raise

    async def delete(self, who: str | int, number: str) -> None:
        """Nobody may have it any more; its money goes back to where it came from.

        Errors: NotFound (counted), NotYours, Refused (it was activated), TooManyTries, Unavailable.
        """
        card = await self._guesses.find(number)
        party = await find_party(self._database, who)
        creator = card.owner_id if card.created_by is None else card.created_by
        if creator != party.party_id and not await is_below(self._database, creator, self._principal.realm):
            raise NotYours("is not yours", field="code")
        async with self._database.transaction(self._principal) as tx:
            if not await store.delete_card(tx, card.card_id):
                raise Refused("it was activated, and stays")
            if card.created_by is not None and (await find_party(tx, creator)).level < Level.RESELLER:
                await store.return_invite(tx, creator)
            await record(tx, "code.delete", str(card.card_id))
        await give_back(self._database, self._principal, card)

    async def reseal(self) -> int:
        """Keep every number under the first key of the settings; how many. Errors: NoSecretKey, Unavailable."""
        after, count = 0, 0
        while True:
            async with self._database.transaction(self._principal) as tx:
                rows = await store.sealed_numbers(tx, after, RESEAL_AT_ONCE)
                if not rows:
                    return count
                await store.reseal(tx, [self._again(*row) for row in rows])
                await record(tx, "code.reseal", "secret_keys", {"codes": len(rows)})
            after, count = rows[-1][0], count + len(rows)

    async def _target(self, named: str) -> int:
        """Who alone may have a code: a user by its login, or whoever has a SIM card. Errors: NotFound."""
        try:
            party = await find_party(self._database, named)
        except NotFound:
            party = None
        if party is not None and not party.hidden:
            return party.party_id
        for by_iccid in (True, False):
            if (card := await owner_of_card(self._database, named, by_iccid=by_iccid)) is not None:
                return card[0]
        raise NotFound("no user and no SIM card of a user is named so", field="target")

    async def _payer(self, party: Party) -> Purse | None:
        """Whose account pays; None: nobody's, an administrator makes it."""
        purse = await purse_of_party(self._database, party.party_id)
        who = self._principal
        if purse is None and party.level >= Level.ADMIN and who.level >= Level.ADMIN and who.sees_all:
            return None
        purse = purse or await self._moving.own(party.party_id)
        await self._moving.check(purse, purse, RefillAllowed.ANONYMOUS)
        return purse

    async def _taken(self, new: NewCode, payer: Purse) -> Decimal:
        """What a code carries, in the currency of the account that pays it."""
        taken = await self._moving.converted(new.balance, new.currency or payer.currency, payer.currency)
        if taken <= 0:
            raise InvalidRequest("balance", f"is nothing in {payer.currency}")
        if payer.sendable < taken:
            raise InsufficientMoney("is more than your account has", field="balance")
        return taken

    async def _made(
        self, party: Party, new: NewCode, target: int | None, payer: Purse | None
    ) -> tuple[int, str, Purse | None]:
        """The code and, if it is to carry money, its account: empty yet."""
        async with self._database.transaction(self._principal) as tx:
            if party.level < Level.RESELLER and not await store.take_invite(tx, party.party_id):
                raise NoInvites("no invite is left")
            account = None
            if new.balance:
                bucket = 0 if payer is None else payer.bucket
                made_in = new.currency or party.currency or self._system_currency
                currency = made_in if payer is None else payer.currency
                account_id = await store.add_account(tx, bucket, currency, party.party_id, purpose="card")
                account = bucket, account_id
            card_id, number = await add_number(
                tx, self._box, owner=owner_of(party), creator=party.party_id, target=target, level=new.level,
                account=account, source=None if payer is None else payer.account_id,
            )  # fmt: skip
            await record(tx, "code.create", str(card_id), {"level": int(new.level), "balance": new.balance})
        return card_id, number, None if account is None else await purse_at(self._database, *account)

    async def _filled(
        self, party: Party, card_id: int, account: Purse, payer: Purse | None, amount: Decimal
    ) -> None:  # fmt: skip
        if payer is None:
            note = note_of(self._principal, "code.open", str(card_id), {"balance": amount})
            await store.open_card(self._database, account.bucket, account.account_id, amount, card_id, note)
            return
        order = Order(amount, "code", f"code:{card_id}", RefillAllowed.ANONYMOUS)
        try:
            await self._moving.move(payer, account, order)
        except Refused:  # the money was spent meanwhile: there is no such code
            async with self._database.transaction(self._principal) as tx:
                await store.delete_card(tx, card_id)
                if party.level < Level.RESELLER:
                    await store.return_invite(tx, party.party_id)
                await record(tx, "code.delete", str(card_id))
            raise

    async def _creators(self, who: str | int, *, below: bool) -> list[int] | None:
        if not below:
            return [(await find_party(self._database, who)).party_id]
        everybody = self._principal.sees_all and self._principal.level >= Level.ADMIN
        return None if everybody else await tree_of(self._database, self._principal.realm)

    async def _money_of(self, card: Card) -> Purse:
        if card.bucket is None or card.account_id is None:
            raise CodeIsEmpty("it carries no money", field="code")
        purse = await purse_at(self._database, card.bucket, card.account_id)
        if purse.balance <= 0:
            raise CodeIsEmpty("it carries no money any more", field="code")
        return purse

    def _again(
        self, card_id: int, number: bytes, pin: bytes | None
    ) -> tuple[int, bytes, bytes, bytes | None, bytes | None]:
        """Number and PIN of a card under the first key."""
        text = self._box.open(number)
        sealed = card_id, self._box.seal(text), self._box.hashes(text)[0]
        if pin is None:
            return *sealed, None, None
        secret = self._box.open(pin)
        return *sealed, self._box.seal(secret), self._box.hashes(pin_text(secret))[0]

    def _shown(self, row: dict[str, object]) -> Code:
        values = dict(row)
        values["number"] = self._box.shown(values.pop("number_sealed"))  # type: ignore[arg-type]
        values["level"] = Level(values.pop("access_level"))  # type: ignore[arg-type]
        return Code(**values)  # type: ignore[arg-type]


class CodeKeeper:
    """What a crash left, and what is over: money of deleted codes goes back, registrations that nobody used end."""

    def __init__(self, database: Database, *, late_seconds: float = LATE_SECONDS) -> None:
        self._database = database
        self._late_seconds = late_seconds

    async def turn(self) -> None:
        """Errors: Unavailable, Overloaded (the rest at the next turn)."""
        for card in await store.deleted_with_money(self._database, seconds=self._late_seconds, limit=BATCH):
            await give_back(self._database, ENGINE, card)
        async with self._database.transaction(ENGINE) as tx:
            await store.expire(tx, UNUSED)


def owner_of(party: Party) -> int:
    """Below whom a code of a party registers: itself if it may own users, else its owner."""
    if party.kind.may_own or party.owner_id is None:
        return party.party_id
    return party.owner_id


async def add_number(tx: Transaction, box: SecretBox, **card: object) -> tuple[int, str]:
    """A card with a number that nobody has; both. Errors: NoSecretKey, Unavailable."""
    while True:
        number = "".join(secrets.choice("0123456789") for _ in range(DIGITS))
        added = await store.add_card(tx, box.hashes(number)[0], box.seal(number), **card)  # type: ignore[arg-type]
        if added is not None:
            return added, number


async def give_back(database: Database, principal: Principal, card: Card) -> None:
    """What a deleted card carries, to where it came from; what an administrator made is taken back.

    Where that account was closed, it stays and is said. Errors: Unavailable.
    """
    if card.bucket is None or card.account_id is None:
        return
    source = await purse_at(database, card.bucket, card.account_id)
    if source.balance <= 0:
        return
    if card.from_account_id is None:
        note = note_of(principal, "code.take_back", str(card.card_id), {"balance": source.balance})
        await set_balance(database, source, Decimal(0), "code deleted", note)
        return
    target = await purse_at(database, card.bucket, card.from_account_id)
    try:
        await Moving(database, principal).move(source, target, Order(None, "code deleted", least=RefillAllowed.NOTHING))
    except InsufficientMoney:  # somebody else did it
        return
    except RatingEngineError as error:
        if error.retryable:
            raise
        _log.warning("code_money_stays", card_id=card.card_id, problem=str(error))
