"""The section Calling Cards, what is about cards: made, listed, changed, sold, and given money."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.mor.asked import Asked, Handler, stored
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.functions.card_groups import NO_CARDGROUP, group_of, known_currency
from rating_engine.api.mor.money import known
from rating_engine.api.mor.xml import Element, done, element, listed, page
from rating_engine.domain.card import (
    Card,
    CardChanges,
    CardFilter,
    CardGroup,
    CardSale,
    NewCards,
    NoFreeCards,
    PinTooShort,
)
from rating_engine.domain.errors import AlreadyExists, InvalidRequest, NotAllowed, NotFound, NotYours, Refused
from rating_engine.domain.page import MAX_LIMIT, Cursor
from rating_engine.domain.transfer import NoExchangeRate

NO_CARDS: Final = "Cards were not found"
NO_CARD: Final = "Calling Card was not found"
NO_FREE: Final = "Free cards was not found"
NO_GROUP_OF_CLI: Final = "Supplied Cardgroup_id is invalid"
NO_MONEY_MOVED: Final = "Failed to make transaction"
_SOLD: Final[Mapping[str, bool]] = {"yes": True, "1": True, "no": False, "0": False}


async def calling_cards_create(asked: Asked) -> Element:
    """A range; numbers that there are, are left out. An optional parameter that is none is not reported."""
    group_id = asked.needed_whole("card_group_id", "Card Group was not found")
    group = await group_of(asked, group_id, "Card Group was not found")
    ends = {}
    for name, word in (("cards_from", "Cards from"), ("cards_till", "Cards till")):
        ends[name] = asked.needed(name, f"{word} was not found")
    for name, word in (("cards_from", "Cards from"), ("cards_till", "Cards till")):
        if not (ends[name].isascii() and ends[name].isdigit() and len(ends[name]) == group.number_length):
            raise Failed(f"{word} is in incorrect format")
    if int(ends["cards_from"]) > int(ends["cards_till"]):
        raise Failed("Cards from must not be greater than Cards till")
    optional = await _optional(asked)
    try:
        made = await asked.use.cards.create(NewCards(group_id, ends["cards_from"], ends["cards_till"], **optional))
    except PinTooShort:
        raise Failed("PIN is too short for this interval") from None
    except (InvalidRequest, AlreadyExists) as error:  # more than are made at a time
        raise Failed("Cards till is in incorrect format", str(error)) from None
    return done(f"Cards created: {made.made}/{made.asked}")


async def calling_cards_get(asked: Asked) -> Element:
    """Cards by all that is sent."""
    cards = await _cards(asked, await _filter(asked))
    if not cards:
        raise Failed(NO_CARDS)
    return await asyncio.to_thread(lambda: page(element("cards", *(_listed(asked, card) for card in cards))))


async def calling_card_update(asked: Asked) -> Element:
    """What is sent of one card."""
    card_id = asked.needed_whole("card_id", "Wrong Calling Card ID")
    values: dict[str, Any] = {
        name: asked.text(name).strip() for name in ("number", "name", "pin", "callerid", "language") if asked.sent(name)
    }
    if asked.sent("batch_number"):
        values["batch"] = asked.text("batch_number").strip()
    if (least := asked.amount("min_balance", ACCESS_DENIED)) is not None:
        values["min_balance"] = least
    if (until := asked.moment("daily_charge_paid_till", ACCESS_DENIED)) is not None:
        values["daily_paid_to"] = until
    if asked.sent("distributor"):
        values["distributor"] = asked.whole("distributor", ACCESS_DENIED) or None
    try:
        await asked.use.cards.change(card_id, CardChanges(**values))
    except (NotFound, NotYours) as error:
        raise Failed("Calling Card not found" if error.field in ("card", "card_id") else ACCESS_DENIED) from None
    except (InvalidRequest, AlreadyExists) as error:
        raise Failed(ACCESS_DENIED, str(error)) from None
    return page(element("success", "Calling Card successfully updated"))


async def card_from_group_sell(asked: Asked) -> Element:
    """Free cards, or the one of a number; numbers and PINs go to `email` too."""
    group = await group_of(asked, asked.needed_whole("id", NO_CARDGROUP), NO_CARDGROUP)
    number = asked.text("number").strip() or None
    quantity = asked.whole("quantity", NO_FREE)
    currency = group.currency
    if asked.text("curr").strip():
        currency = await known_currency(asked, asked.text("curr"), NO_FREE)
    try:
        wanted = CardSale(group.group_id, 1 if quantity is None else quantity, number, asked.text("email").strip())
        sold = await asked.use.card_sales.sell(wanted)
    except (NoFreeCards, InvalidRequest, NotFound, Refused) as error:
        raise Failed(NO_FREE, str(error)) from None
    worth = stored(await _in(asked, sold.net, group.currency, currency, NO_FREE))
    fields = (("balance_without_vat", worth), ("currency", currency))
    return page(
        element("cards", *(listed("card", [("pin", c.pin), ("number", c.number), *fields]) for c in sold.cards))
    )


async def card_balance_get(asked: Asked) -> Element:
    """The balance of the card of a number."""
    card = await _numbered(asked, NO_CARD)
    return page(listed("calling_card", [("balance", stored(card.balance)), ("currency", card.currency)]))


async def card_payment_add(asked: Asked) -> Element:
    """A payment, tax included, for a card that was sold; it is given it without the tax."""
    card = await _numbered(asked, NO_CARD)
    group = await group_of(asked, card.group_id, NO_CARD)
    amount = asked.amount("amount", ACCESS_DENIED) or Decimal(0)
    system = (await asked.use.currencies.converter()).system
    currency = await known_currency(asked, asked.text("currency") or system, "Currency disabled")
    paid = await _in(asked, amount, currency, card.currency, "Currency disabled")
    rate = await _in(asked, Decimal(1), currency, card.currency, "Currency disabled")
    net = group.without_tax(paid)
    after = card
    if net:
        try:
            after = await asked.use.cards.pay(card.card_id, net)
        except (InvalidRequest, Refused, NotFound, NoExchangeRate) as error:
            raise Failed(ACCESS_DENIED, str(error)) from None
    details = [
        ("current_balance", stored(card.balance)),
        ("converted_to", card.currency),
        ("exchange_rate", stored(rate)),
        ("amount_with_tax", stored(paid)),
        ("amount_without_tax", stored(net)),
        ("new_balance", stored(after.balance)),
        ("description", asked.text("description")),
    ]
    return page(
        element("status", element("success", "Calling Card balance successfully updated")),
        listed("calling_card_group", [("name", group.name)]),
        listed("calling_card", [("number", card.number)]),
        element(
            "add_payment",
            element("currency", currency),
            element("amount_with_tax", stored(amount)),
            listed("details", details),
        ),
    )


async def card_by_cli_update(asked: Asked) -> Element:
    """The card that a caller's number opens, made in the group where there is none: an amount more, or, by the PIN of
    another card of the group, all that this one has.
    """
    callerid = asked.needed("callerid", NO_MONEY_MOVED).lstrip("+")
    amount = asked.amount("amount", NO_MONEY_MOVED) or Decimal(0)
    number = asked.whole("cardgroup_id", NO_GROUP_OF_CLI)
    group = None if number is None else await group_of(asked, number, NO_GROUP_OF_CLI)
    pin = asked.text("pin").strip()
    try:
        other = await _by_pin(asked, group, pin) if pin else None
        given = Decimal(0) if pin else amount
        cards = await _cards(asked, CardFilter(None if group is None else group.group_id, callerid=callerid, sold=True))
        if cards:
            card = await asked.use.cards.pay(cards[0].card_id, given) if given else cards[0]
        elif group is None:
            raise Failed(NO_GROUP_OF_CLI)
        else:
            card = await _card_of_caller(asked, group, callerid, given)
        if other is not None:
            card = await asked.use.cards.move_all(other.card_id, card.card_id)
    except (InvalidRequest, Refused, NotFound, NotYours, AlreadyExists, NotAllowed) as error:
        raise Failed(NO_MONEY_MOVED, str(error)) from None
    fields = [
        ("id", card.card_id),
        ("cardgroup_id", card.group_id),
        ("balance", stored(card.balance)),
        ("callerid", callerid),
        ("pin", card.pin),
        ("number", card.number),
    ]
    return page(element("response", element("status", "ok"), listed("card", fields)))


async def _by_pin(asked: Asked, group: CardGroup | None, pin: str) -> Card:
    """The card whose money is to move; where several have the PIN nobody knows which is meant. Raises Failed."""
    cards = await _cards(asked, CardFilter(None if group is None else group.group_id, pin=pin, sold=True))
    if len(cards) != 1 or cards[0].balance <= 0:
        raise Failed(NO_MONEY_MOVED)
    return cards[0]


async def _card_of_caller(asked: Asked, group: CardGroup, callerid: str, worth: Decimal) -> Card:
    """A new card, sold for what it is given; who asks for the same caller at once gives it the same card."""
    card = await asked.use.cards.of_caller(group.group_id, callerid)
    try:
        sold = await asked.use.card_sales.sell(CardSale(group.group_id, number=card.number, worth=worth))
    except NoFreeCards:  # somebody has sold it in this moment
        return await asked.use.cards.pay(card.card_id, worth) if worth else card
    return sold.cards[0]


async def _numbered(asked: Asked, error: str) -> Card:
    """The asker's card of a number. Raises Failed(error)."""
    try:
        return await asked.use.cards.numbered(asked.needed("number", error))
    except (NotFound, NotYours):
        raise Failed(error) from None


async def _in(asked: Asked, amount: Decimal, currency: str, wanted: str, error: str) -> Decimal:
    """An amount in another currency. Raises Failed(error)."""
    return known((await asked.use.currencies.converter()).convert(amount, currency, wanted), error)


async def _optional(asked: Asked) -> dict[str, Any]:
    """What cards are made with; what is none is left out."""
    values: dict[str, Any] = {"language": "en"}
    for name, sent in (("batch", "batch_number"), ("language", "language")):
        try:
            given: dict[str, Any] = {name: asked.text(sent).strip()}
            CardChanges(**given)
        except InvalidRequest:
            continue
        if asked.text(sent).strip():
            values[name] = asked.text(sent).strip()
    try:
        least = asked.amount("min_balance", "")
        CardChanges(min_balance=least or Decimal(0))
        values["min_balance"] = least or Decimal(0)
    except (Failed, InvalidRequest):
        pass
    try:
        distributor = asked.whole("distributor_id", "")
        if distributor and (await asked.use.parties.show(distributor)).party_id == distributor:
            values["distributor"] = distributor
    except (Failed, NotFound, NotYours):
        pass
    return values


async def _filter(asked: Asked) -> CardFilter:
    """What is searched for; what cannot be found is not. Raises Failed."""

    def text(name: str) -> str | None:
        return asked.text(name).strip() or None

    sold = text("sold")
    if sold is not None and sold.lower() not in _SOLD:
        raise Failed(NO_CARDS)
    distributor = asked.whole("distributor", NO_CARDS)
    if distributor is not None:
        try:
            await asked.use.parties.show(distributor)
        except (NotFound, NotYours):
            raise Failed(NO_CARDS) from None
    return CardFilter(
        number=text("number"),
        pin=text("pin"),
        name=text("name"),
        batch=text("batch_number"),
        min_balance=asked.amount("min_balance", NO_CARDS),
        max_balance=asked.amount("max_balance", NO_CARDS),
        callerid=text("callerid"),
        language=text("language"),
        sold=None if sold is None else _SOLD[sold.lower()],
        distributor=distributor,
    )


async def _cards(asked: Asked, wanted: CardFilter) -> list[Card]:
    """All of the asker's."""
    cards: list[Card] = []
    after: str | None = None
    while True:
        part = await asked.use.cards.page(wanted, Cursor(MAX_LIMIT, after))
        cards += part.items
        if (after := part.next) is None:
            return cards


def _listed(asked: Asked, card: Card) -> Element:
    return listed(
        "card",
        [
            ("card_id", card.card_id),
            ("card_number", card.number),
            ("card_name", card.name),
            ("card_pin", card.pin),
            ("card_batch_number", card.batch),
            ("card_callerid", card.callerid),
            ("card_balance", stored(card.balance)),
            ("card_minimal_balance", stored(card.min_balance)),
            ("card_first_use", asked.shown(card.first_used_at)),
            ("card_daily_charge_paid_till", asked.shown(card.daily_paid_to)),
            ("card_sold", int(card.sold_at is not None)),
            ("card_language", card.language),
            ("card_distributor", card.distributor_name),
        ],
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "calling_cards_create": calling_cards_create,
    "calling_cards_get": calling_cards_get,
    "calling_card_update": calling_card_update,
    "card_from_group_sell": card_from_group_sell,
    "card_balance_get": card_balance_get,
    "card_payment_add": card_payment_add,
    "card_by_cli_update": card_by_cli_update,
}
