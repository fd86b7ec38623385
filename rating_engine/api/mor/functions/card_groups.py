"""The section Calling Cards, what is about groups: cc_group_create, cc_group_update, cc_groups_get, card_group_get.

LCRs are route plans by their numbers; 1, "Primary", is the order of a group's tariff. The menu that a group goes on
with is the shipped one, dialplan 0. An amount, a length or a number of days that no group has is refused with Access
Denied, since the document has no text for it, and a group that sells without its fee costs money.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from rating_engine.api.mor.asked import Asked, Handler
from rating_engine.api.mor.errors import ACCESS_DENIED, Failed
from rating_engine.api.mor.named import PRIMARY_NAME, plan_of
from rating_engine.api.mor.xml import Element, done, element, listed, page
from rating_engine.domain.card import CardGroup, GroupTerms, NewCardGroup
from rating_engine.domain.errors import InvalidRequest, NotAllowed, NotFound, NotYours
from rating_engine.domain.page import MAX_LIMIT, Cursor

DIALPLAN: Final = 0
NO_CARDGROUP: Final = "Cardgroup was not found"
_FLAGS: Final[Mapping[str, str]] = {
    "use_external_function": "external_function",
    "allow_loss_calls": "allow_loss",
    "tell_cents": "tell_cents",
    "solo_pinless": "solo_pinless",
    "disable_voucher": "disable_voucher",
    "hidden": "hidden",
    "callerid_leave": "callerid_leave",
}
_AMOUNTS: Final[Mapping[str, str]] = {
    "setup_fee": "setup_fee",
    "daily_charge": "daily_charge",
    "ghost_min_perc": "ghost_min_percent",
    "ghost_balance_perc": "ghost_balance_percent",
}


@dataclass(frozen=True, slots=True)
class Texts:
    """The error texts of one function, by what was wrong."""

    tariff: str
    lcr: str
    location: str
    currency: str
    tax: str
    flag: Callable[[str], str]


CREATE: Final = Texts(
    "Tariff was not found",
    "LCR was not found",
    "Location was not found",
    "Currency was not found",
    "Tax was not found",
    lambda name: f"{name.capitalize()} is incorrect format",
)
UPDATE: Final = Texts(
    "Invalid Tariff id",
    "Invalid Lcr id",
    "Invalid Location id",
    "Invalid Currency",
    "Tax not found",
    lambda name: f"Invalid {name} parameter, should be: 0 or 1",
)
_WHEN: Final = "Date from is greater than date till"


async def cc_group_create(asked: Asked) -> Element:
    """A group of who asks, by its tariff or the first that it may give."""
    name = asked.needed("name", "Card Group must have name")
    values = await _terms(asked, CREATE, {"hidden"})
    values.setdefault("tariff", await _first_tariff(asked))
    lengths: dict[str, int] = {}
    for length in ("number_length", "pin_length"):
        if (digits := asked.whole(length, ACCESS_DENIED)) is not None:
            lengths[length] = digits
    try:
        await asked.use.card_groups.add(NewCardGroup(GroupTerms(name=name, **values), **lengths))
    except (NotFound, InvalidRequest, NotAllowed) as error:
        raise Failed(_text_of(error.field, CREATE), str(error)) from None
    return done("Card Group was successfully created")


async def cc_group_update(asked: Asked) -> Element:
    """What is sent; number_length and pin_length stay."""
    group_id = asked.needed_whole("cc_Group_id", "Wrong Card Group ID")
    await group_of(asked, group_id, "Card Group not found")
    values = await _terms(asked, UPDATE, set())
    if asked.whole("dialplan_id", "Invalid Dialplan id") not in (None, DIALPLAN):
        raise Failed("Invalid Dialplan id")
    if asked.text("name").strip():
        values["name"] = asked.text("name").strip()
    try:
        await asked.use.card_groups.change(group_id, GroupTerms(**values))
    except (NotFound, InvalidRequest, NotAllowed) as error:
        raise Failed(_text_of(error.field, UPDATE), str(error)) from None
    return done("Card Group was successfully updated")


async def cc_groups_get(asked: Asked) -> Element:
    """One group, hidden or not, or all that are not hidden."""
    none = "Calling cards groups were not found"
    group_id = asked.whole("cc_group_id", "Wrong calling cards group ID")
    if group_id is not None:
        groups = [await group_of(asked, group_id, none)]
    else:
        groups = await all_groups(asked)
    if not groups:
        raise Failed(none)
    return page(element("cc_groups", *map(_listed, groups)))


async def card_group_get(asked: Asked) -> Element:
    """One group, and how many cards of it nobody has bought."""
    group = await group_of(asked, asked.needed_whole("id", NO_CARDGROUP), NO_CARDGROUP)
    return page(
        listed(
            "cardgroup",
            [
                ("name", group.name),
                ("iamge_link", group.image),
                ("description", group.description),
                ("price", f"{group.price_without_tax:.4f}"),
                ("price_with_tax", f"{group.price_with_tax:.4f}"),
                ("currency", group.currency),
                ("free_cards_size", group.free),
                ("pin_length", group.pin_length),
                ("number_length", group.number_length),
            ],
        )
    )


async def group_of(asked: Asked, group_id: int, error: str) -> CardGroup:
    """A group of the asker's. Raises Failed(error)."""
    try:
        return await asked.use.card_groups.show(group_id)
    except (NotFound, NotYours):
        raise Failed(error) from None


async def all_groups(asked: Asked) -> list[CardGroup]:
    """Those of the asker that are not hidden."""
    groups: list[CardGroup] = []
    after: str | None = None
    while True:
        part = await asked.use.card_groups.page(Cursor(MAX_LIMIT, after))
        groups += part.items
        if (after := part.next) is None:
            return groups


async def known_currency(asked: Asked, text: str, error: str) -> str:
    """The code of a currency that is not switched off. Raises Failed(error)."""
    code = text.strip().upper()
    if code not in {each.code for each in await asked.use.currencies.known()}:
        raise Failed(error)
    return code


async def _terms(asked: Asked, texts: Texts, ignored: set[str]) -> dict[str, Any]:
    """What was sent of a group, in the order of the document. Raises Failed with the function's text."""
    values: dict[str, Any] = {}
    if asked.sent("description"):
        values["description"] = asked.text("description")[:1000]
    price = asked.amount("price_with_vat", "Invalid Price with TAX")
    if price is not None:
        values["price_with_tax"] = price
    for name, field in _AMOUNTS.items():
        if (amount := asked.amount(name, ACCESS_DENIED)) is not None:
            values[field] = amount
    if (tariff := asked.whole("tariff_id", texts.tariff)) is not None:
        values["tariff"] = tariff
    if (lcr := asked.whole("lcr_id", texts.lcr)) is not None:
        values["route_plan"] = await plan_of(asked, lcr, texts.lcr)
    for name, field, error in (("date_from", "valid_from", "from"), ("date_till", "valid_to", "till")):
        if (moment := asked.moment(name, f"Invalid date {error}")) is not None:
            values[field] = moment
    if (location := asked.whole("location_id", texts.location)) is not None:
        values["numbering_plan"] = location
    if (tax := asked.whole("tax_id", texts.tax)) is not None:
        values["tax_id"] = tax or None
    if (days := asked.whole("valid_after_first_use", ACCESS_DENIED)) is not None:
        values["days_after_first_use"] = days
    for name, field in _FLAGS.items():
        said = None if name in ignored else asked.flag(name, texts.flag(name.replace("_", " ")))
        if said is not None:
            values[field] = said
    if asked.text("tell_balance_in_currency").strip():
        values["tell_currency"] = await known_currency(asked, asked.text("tell_balance_in_currency"), texts.currency)
    return values


async def _first_tariff(asked: Asked) -> int:
    """The asker's own tariff, else the first that there is of it. Raises Failed."""
    lists = (await asked.use.price_lists.page(Cursor(MAX_LIMIT), option=False)).items
    own = (await asked.use.parties.show(asked.asking.realm)).tariff
    found = [each.tariff_id for each in lists if each.name == own] or [each.tariff_id for each in lists]
    if not found:
        raise Failed(CREATE.tariff)
    return min(found)


def _text_of(field: str | None, texts: Texts) -> str:
    """The function's text for what the engine found wrong."""
    return {
        "tariff": texts.tariff,
        "tax_id": texts.tax,
        "route_plan": texts.lcr,
        "numbering_plan": texts.location,
        "price_with_tax": "Invalid Price with TAX",
        "valid_to": _WHEN,
    }.get(field or "", ACCESS_DENIED)


def _listed(group: CardGroup) -> Element:
    return listed(
        "cc_group",
        [
            ("group_id", group.group_id),
            ("group_image", group.image),
            ("group_name", group.name),
            ("group_description", group.description),
            ("group_number_pin_length", f"{group.number_length}/{group.pin_length}"),
            ("group_tarrif", group.tariff),
            ("group_lcr", group.route_plan or PRIMARY_NAME),
            ("group_price", f"{group.price_with_tax:.4f}"),
            ("group_price_without_tax", f"{group.price_without_tax:.4f}"),
            ("group_cards_count", group.cards),
        ],
    )


HANDLERS: Final[Mapping[str, Handler]] = {
    "cc_group_create": cc_group_create,
    "cc_group_update": cc_group_update,
    "cc_groups_get": cc_groups_get,
    "card_group_get": card_group_get,
}
