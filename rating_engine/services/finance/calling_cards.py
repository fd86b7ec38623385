"""Calling cards: made in ranges, changed, blocked, listed, and given money besides.

Laws: all numbers of a range are made or none is, but for those that are there; each card has an account of its own from
the start, and money by that account's ledger alone; numbers and PINs are encrypted, shown to whose the cards are, and
never in a log.
"""

from __future__ import annotations

import asyncio
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.card import (
    MAX_CARDS,
    Card,
    CardChanges,
    CardFilter,
    CardGroup,
    Made,
    NewCards,
    PinTooShort,
    check_callers_number,
    check_digits,
    midnight,
    pin_text,
)
from rating_engine.domain.change import given
from rating_engine.domain.checks import check_above_zero, check_amount, check_reference
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotYours, Refused
from rating_engine.domain.page import Cursor, Page, page_of_rows
from rating_engine.domain.party import SYSTEM, Level
from rating_engine.domain.principal import Principal
from rating_engine.domain.transfer import Order
from rating_engine.rating.money import AMOUNT_DECIMALS, quantise_fraction
from rating_engine.services.finance.card_fees import turn_line
from rating_engine.services.finance.moving import Moving
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import calling_cards as store
from rating_engine.storage.finance.card_groups import find_group, hold_group
from rating_engine.storage.finance.card_sales import post_top_up
from rating_engine.storage.finance.purses import purse_at
from rating_engine.storage.parties.owners import home_bucket
from rating_engine.storage.parties.parties import find_party, is_below, tree_of
from rating_engine.storage.postgres.pool import Database, Questions
from rating_engine.storage.postgres.transaction import Transaction


class CallingCards:
    """What one principal does with calling cards."""

    def __init__(self, database: Database, principal: Principal, box: SecretBox, *, buckets: int = 1) -> None:
        self._database = database
        self._principal = principal
        self._box = box
        self._buckets = buckets

    async def create(self, new: NewCards) -> Made:
        """A range of cards, each with a PIN of its own, all of them or none; numbers that there are, are left out.

        Errors: InvalidRequest naming the field (a number has not the group's length), PinTooShort, NotFound (group,
        distributor), AlreadyExists (somebody makes the same at once), NoSecretKey, Unavailable.
        """
        group = await find_group(self._database, new.group_id)
        numbers = numbers_of(group, new)
        sealed = await asyncio.to_thread(self._seal, numbers, pins_of(group, len(numbers)))
        async with self._database.transaction(self._principal) as tx:
            group = await hold_group(tx, new.group_id)
            taken = await store.taken_numbers(tx, [hash_ for n in numbers for hash_ in self._box.hashes(n)])
            free = [
                card for number, card in zip(numbers, sealed, strict=True) if taken.isdisjoint(self._box.hashes(number))
            ]
            cards = [replace(card, bucket=await self._bucket(tx, group, card)) for card in free]
            distributor = await self._distributor(tx, group.owner_id, new.distributor)
            made = await store.add_cards(
                tx, new, cards, owner=group.owner_id, currency=group.currency, distributor=distributor,
                numbering_plan=group.numbering_plan, allow_loss=group.allow_loss,
            )  # fmt: skip
            detail = {"asked": new.count, "made": len(made), "batch": new.batch, "cards": [*made[:1], *made[-1:]]}
            await record(tx, "card.create", str(new.group_id), detail)
        return Made(len(made), new.count)

    async def page(self, wanted: CardFilter, cursor: Cursor) -> Page[Card]:
        """Cards of who asks and of all below it, the oldest first. Errors: InvalidRequest (after), Unavailable."""
        tree = None if self._principal.sees_all else await tree_of(self._database, self._principal.realm)
        distributor = None
        if wanted.distributor is not None:
            distributor = (await find_party(self._database, wanted.distributor)).party_id
        rows = await store.list_cards(
            self._database, tree, cursor, wanted.group_id,
            None if wanted.number is None else self._box.hashes(wanted.number),
            None if wanted.pin is None else self._box.hashes(pin_text(wanted.pin)),
            wanted.name, wanted.batch, wanted.min_balance, wanted.max_balance, wanted.callerid, wanted.language,
            wanted.sold, distributor, wanted.sale_id,
        )  # fmt: skip
        # Numbers and PINs of a page are some 50 ms of work: calls are answered meanwhile.
        return await asyncio.to_thread(
            page_of_rows, rows, cursor, lambda row: (row["card_id"],), lambda row: shown(self._box, row)
        )

    async def show(self, card_id: int) -> Card:
        """One card. Errors: NotFound, Unavailable."""
        return shown(self._box, await store.shown_card(self._database, card_id))

    async def numbered(self, number: str) -> Card:
        """The card of a number. Errors: NotFound, NotYours, Unavailable."""
        card = await store.find_by_number(self._database, self._box.hashes(number))
        if card is None:
            raise store.unknown_card()
        if not await is_below(self._database, card.owner_id, self._principal.realm):
            raise NotYours("the card is not yours", field="card")
        return await self.show(card.card_id)

    async def of_caller(self, group_id: int, callerid: str) -> Card:
        """The oldest card of a group that a caller's number opens; where there is none one is made, which is not sold
        yet. Who asks at once is given the same.

        Errors: InvalidRequest (callerid), NotFound (the group), AlreadyExists (a number that was drawn), NoSecretKey,
        Unavailable.
        """
        check_callers_number(callerid)
        group = await find_group(self._database, group_id)
        least = 10 ** (group.number_length - 1)
        number = str(least + secrets.randbelow(9 * least))
        (sealed,) = self._seal([number], pins_of(group, 1))
        async with self._database.transaction(self._principal) as tx:
            group = await hold_group(tx, group_id)
            card_id = await store.first_of_caller(tx, group_id, callerid)
            if card_id is None:
                card = replace(sealed, bucket=await self._bucket(tx, group, sealed))
                (card_id,) = await store.add_cards(
                    tx, NewCards(group_id, number, number), [card], owner=group.owner_id, currency=group.currency,
                    distributor=None, numbering_plan=group.numbering_plan, allow_loss=group.allow_loss,
                )  # fmt: skip
                await store.change_card(tx, card_id, {"callerid": callerid})
                await record(tx, "card.create", str(group_id), {"cards": [card_id], "callerid": callerid})
        return await self.show(card_id)

    async def change(self, card_id: int, changes: CardChanges) -> Card:
        """Set what is given. In a group whose callers' numbers open one card only, another one loses it.

        Errors: InvalidRequest naming the field, NotFound (card, distributor), AlreadyExists (the number), NoSecretKey,
        Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            card = await store.hold_card(tx, card_id)
            group = await find_group(tx, card.group_id)
            values = await self._columns(tx, group, changes)
            if values.get("callerid") and group.solo_pinless:
                await store.take_callerid(tx, values["callerid"], card.group_id, card_id)
            await store.change_card(tx, card_id, values)
            told = {name: value for name, value in given(changes).items() if name not in ("number", "pin")}
            await record(
                tx, "card.change", str(card_id), told | {"secret": sorted({"number", "pin"} & given(changes).keys())}
            )
        return await self.show(card_id)

    async def set_blocked(self, card_id: int, *, blocked: bool) -> Card:
        """Let nobody call by a card, or let it be used again; calls that run go on. Errors: NotFound, Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            card = await store.hold_card(tx, card_id)
            values: dict[str, object] = {"blocked": blocked}
            now = datetime.now(UTC)
            if card.blocked and not blocked:  # days on which it could not be used cost nothing
                values["daily_paid_to"] = max(card.daily_paid_to, midnight(now))
            await store.change_card(tx, card_id, values)
            await turn_line(tx, card, now)
            await record(tx, "card.block" if blocked else "card.unblock", str(card_id))
        return await self.show(card_id)

    async def delete(self, card_id: int) -> None:
        """A card that nobody has bought is there no more. Errors: NotFound, Refused (it was sold), Unavailable."""
        async with self._database.transaction(self._principal) as tx:
            await store.hold_card(tx, card_id)
            if not await store.delete_card(tx, card_id):
                raise Refused(f"card {card_id} was sold; block it, and nobody calls by it")
            await record(tx, "card.delete", str(card_id))

    async def pay(self, card_id: int, amount: Decimal, *, reference: str | None = None) -> Card:
        """Give a sold card more money: of the system's cards by who may make it, of a reseller's from its own account.

        A reference is posted once. Errors: InvalidRequest, NotFound, Refused (it was not sold), InsufficientMoney,
        AlreadyExists (the reference was used otherwise), Unavailable.
        """
        check_amount(amount, "amount")
        check_above_zero(amount, "amount")
        check_reference(reference)
        async with self._database.transaction(self._principal) as tx:
            card = await store.hold_card(tx, card_id)
        if card.funded_at is None:
            raise Refused(f"card {card_id} was not sold")
        if card.owner_id == SYSTEM:
            check_makes_money(self._principal)
            note = note_of(self._principal, "card.pay", str(card_id), {"amount": amount, "reference": reference})
            if not await post_top_up(self._database, card.bucket, card.account_id, amount, reference, note):
                raise AlreadyExists("the reference was used otherwise", field="reference")
        else:
            moving = Moving(self._database, self._principal)
            order = Order(amount, "card", reference, RefillAllowed.ANONYMOUS)
            purse = await moving.own(card.owner_id)
            await moving.move(purse, await purse_at(self._database, card.bucket, card.account_id), order)
        return await self.show(card_id)

    async def move_all(self, card_id: int, to_card_id: int) -> Card:
        """All money of a card for another one, which is shown then.

        Errors: NotFound, Refused (one of them was not sold), InsufficientMoney (there is none), Unavailable.
        """
        async with self._database.transaction(self._principal) as tx:
            cards = [await store.hold_card(tx, number) for number in sorted({card_id, to_card_id})]
        if len(cards) == 1 or any(card.funded_at is None for card in cards):
            raise Refused("money moves from one card that was sold to another one")
        purses = {card.card_id: await purse_at(self._database, card.bucket, card.account_id) for card in cards}
        order = Order(None, "card", None, RefillAllowed.ANONYMOUS)
        await Moving(self._database, self._principal).move(purses[card_id], purses[to_card_id], order)
        return await self.show(to_card_id)

    async def _columns(self, tx: Transaction, group: CardGroup, changes: CardChanges) -> dict[str, Any]:
        values = given(changes)
        if (number := values.pop("number", None)) is not None:
            check_digits(number, "number", group.number_length)
            values |= {"number_hash": self._box.hashes(number)[0], "number_sealed": self._box.seal(number)}
        if (pin := values.pop("pin", None)) is not None:
            check_digits(pin, "pin", group.pin_length)
            if pin:
                values |= {"pin_hash": self._box.hashes(pin_text(pin))[0], "pin_sealed": self._box.seal(pin)}
        if "distributor" in values:
            values["distributor_id"] = await self._distributor(tx, group.owner_id, values.pop("distributor"))
        return values

    async def _distributor(self, questions: Questions | Transaction, owner: int, who: str | int | None) -> int | None:
        """Whoever sells cards of an owner is below it."""
        if who is None:
            return None
        party = await find_party(questions, who)
        if not await is_below(self._database, party.party_id, owner):
            raise NotYours(f"user {party.login!r} is not below the owner of the cards", field="distributor")
        return party.party_id

    async def _bucket(self, tx: Transaction, group: CardGroup, card: store.Sealed) -> int:
        """Of a reseller's cards that of its house; others are spread."""
        if self._buckets == 1:
            return 0
        if group.owner_id != SYSTEM:
            return await home_bucket(tx, group.owner_id, str(group.group_id), self._buckets)
        return zlib.crc32(card.number_hash) % self._buckets

    def _seal(self, numbers: Sequence[str], pins: Sequence[str]) -> list[store.Sealed]:
        """What is kept of each; some seconds of work for the longest range."""
        return [
            store.Sealed(
                self._box.hashes(number)[0], self._box.seal(number),
                self._box.hashes(pin_text(pin))[0] if pin else None, self._box.seal(pin) if pin else None, 0,
            )
            for number, pin in zip(numbers, pins, strict=True)
        ]  # fmt: skip


def check_makes_money(principal: Principal) -> None:
    """What cards of the system are given comes from nobody's account. Raises NotAllowed."""
    if principal.level < Level.ADMIN:
        raise NotAllowed("money of the system's cards is for an administrator to give")


def numbers_of(group: CardGroup, new: NewCards) -> list[str]:
    """The numbers of a range, each of the group's length. Raises InvalidRequest, PinTooShort."""
    for name in ("first", "last"):
        check_digits(getattr(new, name), name, group.number_length)
    if group.pin_length and new.count > group.pins:
        raise PinTooShort(f"{new.count} cards, and only {group.pins} PINs of {group.pin_length} digits")
    if new.count > MAX_CARDS:
        raise InvalidRequest("last", f"would make {new.count} cards; make {MAX_CARDS} at a time at most")
    return [str(number).zfill(group.number_length) for number in range(int(new.first), int(new.last) + 1)]


def pins_of(group: CardGroup, count: int) -> list[str]:
    """So many PINs, no two alike; '' where the group has none. `count` is at most what there is."""
    if not group.pin_length:
        return [""] * count
    chosen = secrets.SystemRandom().sample(range(group.pins), count)
    return [str(pin).zfill(group.pin_length) for pin in chosen]


def shown(box: SecretBox, row: Any) -> Card:
    """A card of its row."""
    values = dict(row)
    number, pin = values.pop("number_sealed"), values.pop("pin_sealed")
    price, percent, is_funded = values.pop("price_with_tax"), values.pop("tax_percent"), values.pop("funded")
    if not is_funded:
        values["balance"] = quantise_fraction(Fraction(price) * 100 / (100 + Fraction(percent)), AMOUNT_DECIMALS)
    return Card(number=box.shown(number), pin="" if pin is None else box.shown(pin), **values)
