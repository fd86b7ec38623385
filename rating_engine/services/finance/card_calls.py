"""Callers with cards: by number and PIN, or by their own number, they are let use the card's line.

Laws: which of number and PIN was wrong is told to nobody, nor whether a number was tried too often; five wrong PINs of
a card within fifteen minutes refuse it for fifteen, with the right one too, and ten of one caller within an hour refuse
the caller for one; wrong ones are counted one after the other, however many ask at once. A card is used first once: one
line, one fee. What is told of its money is not what it has, and changes none of it.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import NewSubscriber
from rating_engine.domain.call_rules import digits_of
from rating_engine.domain.card import (
    CALLER_LOCK_SECONDS,
    CARD_LOCK_SECONDS,
    NUMBER_LENGTHS,
    WRONG_OF_CALLER,
    WRONG_OF_NOBODY,
    WRONG_PINS,
    CardGroup,
    pin_text,
)
from rating_engine.domain.errors import NotFound, Overloaded, RatingEngineError, Unavailable
from rating_engine.domain.outcomes import Balance, CardAdmitted, CardOutcome, CardQuestion, Declined, DeclineReason
from rating_engine.domain.principal import ENGINE
from rating_engine.domain.sip_account import NoSecretKey
from rating_engine.domain.transfer import NoExchangeRate
from rating_engine.services.finance.card_fees import CardFees, FeeWaits
from rating_engine.services.finance.moving import Moving
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import record
from rating_engine.storage.finance import calling_cards as store
from rating_engine.storage.finance.calling_cards import KeptCard
from rating_engine.storage.finance.card_groups import find_group
from rating_engine.storage.finance.purses import Purse, purse_at
from rating_engine.storage.parties.accounts import add_first_line
from rating_engine.storage.phones.pins import clear_tries, count_wrong, hold_tries
from rating_engine.storage.postgres.pool import Database

LINE: Final = "card-"  # what logins of cards begin with; their number follows
_WRONG: Final = Declined(DeclineReason.WRONG_CARD)

_log = structlog.get_logger(__name__)


class CardCalls:
    """What exchanges ask of cards."""

    def __init__(self, database: Database, box: SecretBox, now: Callable[[], datetime]) -> None:
        self._database = database
        self._box = box
        self._now = now
        self._fees = CardFees(database, ENGINE, now)
        self._moving = Moving(database, ENGINE)

    async def authorize(self, asked: CardQuestion) -> CardOutcome:
        """The line of a caller's card, and what is told of its money; or why not. A broken database is a reason too."""
        try:
            if asked.number:
                card = await self._by_pin(asked)
            else:
                card = await self._by_callerid(digits_of(asked.callerid))
            return _WRONG if card is None else await self._admitted(card, asked)
        except (NoSecretKey, Unavailable) as error:
            return Declined(DeclineReason.UNAVAILABLE, str(error))
        except Overloaded as error:
            return Declined(DeclineReason(error.code), str(error))

    async def told(self, balance: Balance) -> Balance:
        """What is told of an account's money: of a card's, as its group has it. Errors: Unavailable, Overloaded."""
        if not balance.login.startswith(LINE):
            return balance
        card = await store.find_by_line(self._database, balance.login)
        if card is None:
            return balance
        group = await find_group(self._database, card.group_id)
        rate, currency = await self._rate(group, balance.currency)
        available = None if balance.available is None else group.told_balance(balance.available * rate)
        return replace(
            balance,
            balance=group.told_balance(balance.balance * rate),
            available=available,
            currency=currency,
            lasts=None if balance.lasts is None else group.told_seconds(balance.lasts),
        )

    async def _by_pin(self, asked: CardQuestion) -> KeptCard | None:
        """The card of number and PIN; a wrong one is counted, of the card and of the caller."""
        card = await store.find_by_number(self._database, self._box.hashes(asked.number[: NUMBER_LENGTHS[1]]))
        pins = self._box.hashes(pin_text(asked.pin))
        caller = digits_of(asked.callerid)
        of_caller, most = f"caller {caller or asked.exchange}", WRONG_OF_CALLER if caller else WRONG_OF_NOBODY
        of_card = f"card {card.card_id if card is not None else 0}"
        async with self._database.transaction(ENGINE) as tx:
            locked = await hold_tries(tx, [of_card, of_caller])
            is_right = card is not None and not any(locked.values()) and _is_pin(card, asked.pin, pins)
            now_locked: list[str] = []
            if is_right:
                await clear_tries(tx, of_card)
            else:
                if card is not None and not locked[of_card]:
                    now_locked += await count_wrong(tx, [of_card], most=WRONG_PINS, seconds=CARD_LOCK_SECONDS)
                if not locked[of_caller]:
                    now_locked += await count_wrong(tx, [of_caller], most=most, seconds=CALLER_LOCK_SECONDS)
        for who in now_locked:
            _log.warning("card_locked", who=who)
        return card if is_right else None

    async def _by_callerid(self, callerid: str) -> KeptCard | None:
        """Of the cards that a caller's number opens the oldest that counts and has money; None: there is none."""
        cards = await store.find_by_callerid(self._database, callerid) if callerid else []
        for card in cards:
            group = await find_group(self._database, card.group_id)
            if self._counts(card, group) and (await self._purse(card)).sendable > 0:
                return card
        return None

    async def _admitted(self, card: KeptCard, asked: CardQuestion) -> CardOutcome:
        group = await find_group(self._database, card.group_id)
        if not self._counts(card, group):
            return Declined(DeclineReason.CARD_NOT_VALID)
        callerid = digits_of(asked.callerid)[: NUMBER_LENGTHS[1]]
        try:
            card = await self._used(card, group, callerid if asked.register and asked.number else "")
        except NotFound:  # it was taken away meanwhile
            return _WRONG
        except RatingEngineError as error:
            if error.retryable:
                raise
            _log.warning("card_not_usable", card_id=card.card_id, problem=str(error))
            return Declined(DeclineReason.CARD_NOT_VALID, str(error))
        try:
            await self._fees.take(card)
        except FeeWaits as error:
            _log.info("card_fee_waits", card_id=card.card_id, problem=str(error))
        purse = await self._purse(card)
        if card.min_balance and purse.balance < card.min_balance:
            return Declined(DeclineReason.INSUFFICIENT_FUNDS)
        rate, currency = await self._rate(group, purse.currency)
        assert card.line is not None
        return CardAdmitted(
            login=card.line,
            balance=group.told_balance(purse.sendable * rate),
            currency=currency,
            language=card.language,
            callerid=callerid if group.callerid_leave else card.callerid,
            external=group.external_function,
            dialplan=group.dialplan,
        )

    def _counts(self, card: KeptCard, group: CardGroup) -> bool:
        return card.funded_at is not None and not card.blocked and group.is_valid(self._now(), card.first_used_at)

    async def _purse(self, card: KeptCard) -> Purse:
        return await purse_at(self._database, card.bucket, card.account_id)

    async def _used(self, card: KeptCard, group: CardGroup, callerid: str) -> KeptCard:
        """The card with its line, which its first use makes; `callerid`: opens it from now on."""
        if card.line is not None and callerid in ("", card.callerid):
            return card
        async with self._database.transaction(ENGINE) as tx:
            held = await store.hold_card(tx, card.card_id)
            values: dict[str, object] = {}
            if held.line is None:
                line = f"{LINE}{card.card_id}"
                new = NewSubscriber(line, line, group.tariff, max_calls=group.max_calls)
                await add_first_line(tx, new, card.bucket, card.account_id, group.currency)
                await store.give_line(tx, card.bucket, line, card.owner_id, card.group_id)
                values |= {"line": line, "first_used_at": self._now(), "setup_due": group.setup_fee}
                await record(tx, "card.first_use", str(card.card_id), {"line": line})
            if callerid and callerid != held.callerid:
                if group.solo_pinless:
                    await store.take_callerid(tx, callerid, card.group_id, card.card_id)
                values["callerid"] = callerid
                await record(tx, "card.register", str(card.card_id), {"callerid": callerid})
            await store.change_card(tx, card.card_id, values)
            return await store.hold_card(tx, card.card_id)

    async def _rate(self, group: CardGroup, currency: str) -> tuple[Decimal, str]:
        """By what amounts are told, and in which currency; in the card's own where nobody knows the rate."""
        wanted = group.tell_currency or currency
        try:
            return await self._moving.rate(currency, wanted), wanted
        except NoExchangeRate:
            return Decimal(1), currency


def _is_pin(card: KeptCard, pin: str, hashes: list[bytes]) -> bool:
    """In constant time; a card without a PIN is opened by its number alone."""
    if card.pin_hash is None:
        return not pin
    return any(hmac.compare_digest(card.pin_hash, each) for each in hashes)
