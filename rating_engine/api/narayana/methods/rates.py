"""Section Directions and tarification, second part: tariffs and options, who has them, and bill types."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import ShownMoney, shown_money
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.errors import AlreadyExists
from rating_engine.domain.price_list import BillType, PriceList, PriceListChanges
from rating_engine.domain.tariff_card import SwitchOutcome


async def get_rates_list(asked: Asked) -> Answer:
    """Tariffs that the asker has, owns or is offered; `all`: those of whom it owns too."""
    values = asked.values
    read = partial(
        asked.use.price_lists.page,
        near=not values.flag("all"),
        public=True if values.flag("is_public") else None,
        option=values.flag("is_option"),
    )
    shown = await shown_money(asked)
    return [_shown(each, shown) for each in await whole_list(read)]


async def get_rates_info(asked: Asked) -> Answer:
    """One of them."""
    return _shown(await asked.use.price_lists.show(asked.values.needed_whole("id")), await shown_money(asked))


async def add_rates(asked: Asked) -> Answer:
    """A tariff of the asker's without prices."""
    await asked.use.price_lists.add(_changes(asked))
    return True


async def update_rates(asked: Asked) -> Answer:
    """What is given of one that is the asker's or of whom it owns."""
    await asked.use.price_lists.change(asked.values.needed_whole("id"), _changes(asked))
    return True


async def delete_rates(asked: Asked) -> Answer:
    """One that nobody has."""
    await asked.use.price_lists.remove(asked.values.needed_whole("id"))
    return True


async def switch_rates(asked: Asked) -> Answer:
    """Another tariff for an extension, or an option on or off. What changing costs is charged at once."""
    login = asked.values.text("sip_extension") or await asked.needed_line()
    granted = asked.values.flag("state")
    return await switch_line(asked, login, asked.values.needed_whole("id"), granted=granted is not False)


async def switch_line(asked: Asked, login: str, tariff_id: int, *, granted: bool = True) -> Answer:
    """The same of an extension, for the two methods that do it."""
    try:
        switched = await asked.use.price_lists.switch(login, tariff_id, granted=granted)
    except AlreadyExists as error:
        raise Failure(Code.E_ALREADY_ON_THIS_TARIFF, str(error)) from None
    match None if switched is None else switched.outcome:
        case SwitchOutcome.UNCHANGED:
            raise Failure(Code.E_ALREADY_ON_THIS_TARIFF)
        case SwitchOutcome.INSUFFICIENT_FUNDS:
            raise Failure(Code.E_INSUFFICIENT_MONEY)
    return True


async def get_bill_types(asked: Asked) -> Answer:
    """All of them."""
    return [_bill_type(each) for each in await whole_list(asked.use.bill_types.page)]


async def get_bill_type(asked: Asked) -> Answer:
    """One of them."""
    return _bill_type(await asked.use.bill_types.show(asked.values.needed_text("bill_type")))


async def add_bill_type(asked: Asked) -> Answer:
    """One more."""
    values = asked.values
    await asked.use.bill_types.add(
        BillType(values.needed_text("bill_type"), values.needed_whole("free_threshold"), values.needed_whole("step"))
    )
    return True


async def update_bill_type(asked: Asked) -> Answer:
    """Threshold and step, for the next call of every tariff that has it."""
    values = asked.values
    await asked.use.bill_types.change(
        values.needed_text("bill_type"), free_threshold=values.whole("free_threshold"), step=values.whole("step")
    )
    return True


async def delete_bill_type(asked: Asked) -> Answer:
    """One that no tariff has."""
    await asked.use.bill_types.remove(asked.values.needed_text("bill_type"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getRatesList": get_rates_list,
    "getRatesInfo": get_rates_info,
    "addRates": add_rates,
    "updateRates": update_rates,
    "deleteRates": delete_rates,
    "switchRates": switch_rates,
    "getBillTypes": get_bill_types,
    "getBillType": get_bill_type,
    "addBillType": add_bill_type,
    "updateBillType": update_bill_type,
    "deleteBillType": delete_bill_type,
}


def _changes(asked: Asked) -> PriceListChanges:
    """What is given, or has a default."""
    values = asked.values

    def text(name: str) -> str | Leave:
        given = values.text(name) if values.has(name) else None
        return LEAVE if given is None else given

    def flag(name: str) -> bool | Leave:
        given = values.flag(name) if values.has(name) else None
        return LEAVE if given is None else given

    numbers: dict[str, Any] = {
        name: values.number(name) for name in ("multiplier", "did_multiplier", "switch_price") if values.has(name)
    }
    return PriceListChanges(
        name=text("name"),
        label=text("table"),
        description=text("description"),
        is_option=flag("is_option"),
        is_public=flag("is_public"),
        bill_type=text("bill_type"),
        **numbers,
    )


def _shown(tariff: PriceList, shown: ShownMoney) -> dict[str, Any]:
    return {
        "bill_type": tariff.bill_type or "",
        "id": tariff.tariff_id,
        "is_public": tariff.is_public,
        "table name": tariff.label,
        "owner": tariff.owner,
        "display_switch_price": shown.displayed(tariff.switch_price, tariff.currency),
        "name": tariff.title,
        "switch_price": shown.in_system(tariff.switch_price, tariff.currency),
        "did_multiplier": tariff.did_multiplier,
        "is_option": tariff.is_option,
        "multiplier": tariff.multiplier,
        "description": tariff.description,
    }


def _bill_type(each: BillType) -> dict[str, Any]:
    return {"type": each.name, "free_threshold": each.free_threshold, "step": each.step}
