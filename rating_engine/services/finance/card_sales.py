"""Cards sold: who buys gets numbers and PINs, and each card its money.

Laws: so many as were asked for are sold, or none; a card is sold once, and given its money once, whoever dies in
between; nobody calls by it before. A card of the system is given it by who may make money, one of a reseller from that
one's own account: it is there before anything is sold, and where it is not any more, nothing was.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import structlog

from rating_engine.domain.account import RefillAllowed
from rating_engine.domain.card import CardFilter, CardGroup, CardSale, NoFreeCards, SoldCards, check_digits
from rating_engine.domain.errors import AlreadyExists, NotFound, Refused
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.party import SYSTEM
from rating_engine.domain.principal import ENGINE, Principal
from rating_engine.domain.transfer import InsufficientMoney, Order
from rating_engine.rating.money import format_amount
from rating_engine.services.finance.calling_cards import CallingCards, check_makes_money
from rating_engine.services.finance.moving import Moving
from rating_engine.services.phones.secrets import SecretBox
from rating_engine.storage.audit_log import note_of, record
from rating_engine.storage.finance import card_sales as store
from rating_engine.storage.finance.card_groups import find_group, hold_group
from rating_engine.storage.finance.card_sales import Sale, SoldCard
from rating_engine.storage.finance.purses import purse_at
from rating_engine.storage.postgres.pool import Database
from rating_engine.storage.postgres.transaction import Transaction

LATE_SECONDS: Final = 60.0  # who sells gives the money within seconds; later somebody else has to
BATCH: Final = 50  # sales of a turn

_log = structlog.get_logger(__name__)


class CardSales:
    """What one principal sells."""

    def __init__(self, database: Database, principal: Principal, box: SecretBox) -> None:
        self._database = database
        self._principal = principal
        self._box = box
        self._funding = Funding(database, principal, box)

    async def sell(self, wanted: CardSale) -> SoldCards:
        """Sell free cards of a group; their numbers and PINs, which go by mail too where an address is given.

        Errors: InvalidRequest, NotFound (group, or the number), NoFreeCards (fewer than asked for), InsufficientMoney
        (of the reseller whose group it is), AlreadyExists (the reference was used otherwise), NoSecretKey, Unavailable.
        """
        group = await find_group(self._database, wanted.group_id)
        hashes = None
        if wanted.number is not None:
            check_digits(wanted.number, "number", group.number_length)
            hashes = self._box.hashes(wanted.number)
        quantity = 1 if hashes is not None else wanted.quantity
        if wanted.reference is None or await store.find_sale(self._database, group.owner_id, wanted.reference) is None:
            await self._funding.check_payer(group, quantity, wanted.worth)
        async with self._database.transaction(self._principal) as tx:
            sale = await self._said_before(tx, group, wanted, quantity)
            if sale is None:
                sale = await self._sold(tx, group, wanted, hashes, quantity)
        if not sale.ended:
            await self._funding.fund(sale)
        cards = await CallingCards(self._database, self._principal, self._box).page(
            CardFilter(sale_id=sale.sale_id), Cursor(MAX_LIMIT)
        )
        return SoldCards(sale.sale_id, cards.items, sale.price, sale.net, sale.tax_percent, sale.currency)

    async def _said_before(
        self, tx: Transaction, group: CardGroup, wanted: CardSale, quantity: int
    ) -> Sale | None:  # fmt: skip
        if wanted.reference is None:
            return None
        await store.take_turn(tx, group.owner_id, wanted.reference)
        sale = await store.find_sale(tx, group.owner_id, wanted.reference)
        if sale is not None and (sale.group_id, sale.cards) != (group.group_id, quantity):
            raise AlreadyExists("the reference was used for another sale", field="reference")
        return sale

    async def _sold(
        self, tx: Transaction, group: CardGroup, wanted: CardSale, hashes: list[bytes] | None, quantity: int
    ) -> Sale:
        group = await hold_group(tx, group.group_id)  # what is paid and given is what it costs now
        free = await store.free_cards(tx, group.group_id, hashes, quantity)
        if len(free) < quantity:
            raise NoFreeCards(f"group {group.group_id} has {len(free)} free cards, and {quantity} are wanted")
        sale = await store.add_sale(tx, group, wanted, free, self._principal.party)
        detail = {"sale": sale.sale_id, "cards": free, "price": group.price_with_tax, "net": group.price_without_tax}
        await record(tx, "card.sell", str(group.group_id), detail)
        return sale


class Funding:
    """Gives cards that were sold their money, for whoever sold them or comes after a crash."""

    def __init__(self, database: Database, principal: Principal, box: SecretBox) -> None:
        self._database = database
        self._principal = principal
        self._box = box
        self._moving = Moving(database, principal)

    async def check_payer(self, group: CardGroup, quantity: int, worth: Decimal | None) -> None:
        """Errors: NotAllowed, NotFound (a reseller without an account), InsufficientMoney, Unavailable."""
        if group.owner_id == SYSTEM:
            check_makes_money(self._principal)
            return
        purse = await self._moving.own(group.owner_id)
        if purse.sendable < (group.price_without_tax if worth is None else worth) * quantity:
            raise InsufficientMoney(f"{quantity} cards are more than account {purse.account_id} has", field="quantity")

    async def fund(self, sale: Sale) -> None:
        """Every card its money, once; then they may be used, and are mailed. Errors: as of `CardSales.sell`."""
        cards = await store.cards_of_sale(self._database, sale.sale_id)
        if sale.cancelled:
            await self._cancel(sale, cards)
            return
        try:
            for card in cards:
                await self._give(sale, card)
        except (Refused, NotFound):  # it was spent meanwhile
            async with self._database.transaction(self._principal) as tx:
                is_ours = await store.begin_to_cancel(tx, sale.sale_id)
                await record(tx, "card.sale_cancel", str(sale.sale_id))
            if is_ours:
                await self._cancel(sale, cards)
            raise
        async with self._database.transaction(self._principal) as tx:
            if await store.end_sale(tx, sale.sale_id) and sale.email:
                await self._mail(tx, sale)

    async def _give(self, sale: Sale, card: SoldCard) -> None:
        if not sale.net:
            return
        reference = f"card:{card.card_id}:sale:{sale.sale_id}"
        if sale.owner_id == SYSTEM:
            note = note_of(self._principal, "card.open", str(card.card_id), {"balance": sale.net, "sale": sale.sale_id})
            await store.post_opening(self._database, card, sale.net, reference, note)
            return
        payer = await self._moving.own(sale.owner_id)
        account = await purse_at(self._database, card.bucket, card.account_id)
        amount = sale.net
        if payer.currency != account.currency:
            amount = await self._moving.converted(sale.net, account.currency, payer.currency)
        await self._moving.move(payer, account, Order(amount, "card", reference, RefillAllowed.ANONYMOUS))

    async def _cancel(self, sale: Sale, cards: list[SoldCard]) -> None:
        """What was given goes back, and the cards are free again."""
        for card in cards:
            account = await purse_at(self._database, card.bucket, card.account_id)
            if account.balance > 0:
                order = Order(
                    None, "card was not sold", f"card:{card.card_id}:unsold:{sale.sale_id}", RefillAllowed.NOTHING
                )
                await self._moving.move(account, await self._moving.own(sale.owner_id), order)
        async with self._database.transaction(self._principal) as tx:
            await store.end_cancelled(tx, sale.sale_id)

    async def _mail(self, tx: Transaction, sale: Sale) -> None:
        rows = await store.secrets_of_sale(tx, sale.sale_id)
        lines = [
            f"{self._box.shown(number)}  {'' if pin is None else self._box.shown(pin)}".rstrip() for number, pin in rows
        ]
        money = f"{format_amount(sale.net)} {sale.currency}"
        body = "\n".join(["Number and PIN of each card, and what it carries:", *(f"{line}  {money}" for line in lines)])
        await store.queue_mail(tx, sale.email, "Your calling cards", body + "\n")


class SaleKeeper:
    """Ends what a crash left: cards that were sold, and have not their money."""

    def __init__(self, database: Database, box: SecretBox, *, late_seconds: float = LATE_SECONDS) -> None:
        self._database = database
        self._funding = Funding(database, ENGINE, box)
        self._late_seconds = late_seconds

    async def turn(self) -> int:
        """How many sales were ended. Errors: Unavailable, Overloaded (the rest at the next turn)."""
        sales = await store.open_sales(self._database, seconds=self._late_seconds, limit=BATCH)
        for sale in sales:
            try:
                await self._funding.fund(sale)
            except (Refused, NotFound) as error:
                _log.warning("card_sale_cancelled", sale_id=sale.sale_id, problem=str(error))
        return len(sales)
