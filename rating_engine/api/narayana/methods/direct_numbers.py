"""Section Direct numbers: numbers that calls come in by, their rents and pools.

What a number costs is in its own currency, `display…` in that of the user; null where no exchange rate is known. The
password of a pool is for a provider's adapter and none that is built in takes one: it is refused, not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.narayana.answer import amount
from rating_engine.api.narayana.arguments import did_of, moment_of
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.did_object import did_fields, price_shown
from rating_engine.api.narayana.errors import Code, Failure
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.shown_money import ShownMoney, shown_money
from rating_engine.domain.change import LEAVE, Leave
from rating_engine.domain.did import Did, DidChanges, DidPool, DidState, NewDid, NewPool, PoolChanges

_SORTED: Final = {
    "expiration": lambda did: (did.paid_to or datetime.max.replace(tzinfo=UTC), did.number),
    "cost": lambda did: (did.monthly_price, did.number),
    "did": lambda did: did.number,
}


async def get_disa_did_list(asked: Asked) -> Answer:
    """Access numbers of who asks and all below."""
    return [{"did": did.number, "comment": did.comment} for did in await asked.use.dids.access_numbers()]


async def update_did_state(asked: Asked) -> Answer:
    """Switch a number on or off, or its renewal."""
    state = asked.values.flag("state")
    name = "enabled" if asked.values.text("parameter") == "enabled" else "auto_renew"
    await asked.use.dids.set_state(_did(asked), **{name: state})
    return True


async def get_did_pool(asked: Asked) -> Answer:
    """Countries; of one its areas; of an area the numbers that can be ordered."""
    country, area = asked.values.text("country"), asked.values.text("area")
    search = asked.values.text("search_pattern") or ""
    if not country:
        return [{"country": each} for each in await asked.use.dids.countries()]
    if not area:
        return [{"area": each} for each in await asked.use.dids.areas(country)]
    found = await asked.use.dids.offered(country, area, search)
    shown = await shown_money(asked)
    return [_offered(did, shown) for did in found]


async def order_did(asked: Asked) -> Answer:
    """A free number for who asks, who pays its connection and the first month."""
    arguments = (_text(asked, "arg1"), _text(asked, "arg2"), _text(asked, "arg3"))
    await asked.use.dids.order(_did(asked), asked.values.needed_whole("pool_id"), asked.who, arguments)
    return True


async def get_did_list(asked: Asked) -> Answer:
    """One's own numbers, or those of all below too."""
    own = asked.values.flag("own") is not False
    found = await whole_list(lambda cursor: asked.use.dids.page(cursor, own=own))
    found.sort(key=_SORTED[asked.values.text("sort_by") or "expiration"])
    shown = await shown_money(asked)
    return [{**did_fields(did, shown), "pool": did.pool_id} for did in found]


async def add_did(asked: Asked) -> Answer:
    """A number for a user; nothing is taken for it before its month ends."""
    new = NewDid(
        _did(asked),
        asked.values.needed_text("owner"),
        monthly_price=_price(asked, "cost") or Decimal(0),
        paid_to=_moment(asked, "expiration"),
        comment=_text(asked, "comment"),
    )
    await asked.use.dids.add(new)
    return True


async def update_did(asked: Asked) -> Answer:
    """What is given of owner, price, end of the month and comment."""
    price, paid_to = _price(asked, "cost"), _moment(asked, "expiration")
    await asked.use.dids.change(
        _did(asked),
        DidChanges(
            owner=asked.values.text("owner") or LEAVE,
            comment=_given(asked, "comment"),
            monthly_price=LEAVE if price is None else price,
            paid_to=LEAVE if paid_to is None else paid_to,
        ),
    )
    return True


async def delete_did(asked: Asked) -> Answer:
    """It is nobody's, and takes no calls."""
    await asked.use.dids.remove((await _there(asked)).number)
    return True


async def get_did_info(asked: Asked) -> Answer:
    """One number."""
    return did_fields(await _there(asked), await shown_money(asked))


async def renew_did(asked: Asked) -> Answer:
    """A month more, from its owner's account."""
    await asked.use.dids.renew(_did(asked))
    return True


async def add_did_pool(asked: Asked) -> Answer:
    """A pool without numbers."""
    _check_password(asked)
    quantity = asked.values.needed_whole("qty")
    new = NewPool(
        asked.values.needed_text("country"),
        asked.values.needed_text("area"),
        _price(asked, "cost") or Decimal(0),
        _price(asked, "installcost") or Decimal(0),
        provider=_text(asked, "provider"),
        username=_text(asked, "user"),
        params=(_text(asked, "param1"), _text(asked, "param2"), _text(asked, "param3")),
        quantity=quantity,
    )
    await asked.use.did_pools.add(new)
    return True


async def update_did_pool(asked: Asked) -> Answer:
    """What is given; numbers that have an owner keep their price."""
    _check_password(asked)
    cost, once, quantity = _price(asked, "cost"), _price(asked, "installcost"), asked.values.whole("qty")
    await asked.use.did_pools.change(
        asked.values.needed_whole("id"),
        PoolChanges(
            country=_given(asked, "country"),
            area=_given(asked, "area"),
            monthly_price=LEAVE if cost is None else cost,
            setup_price=LEAVE if once is None else once,
            provider=_given(asked, "provider"),
            username=_given(asked, "user"),
            params=(_given(asked, "param1"), _given(asked, "param2"), _given(asked, "param3")),
            quantity=LEAVE if quantity is None else quantity,
        ),
    )
    return True


async def get_did_pools(asked: Asked) -> Answer:
    """All of them."""
    shown = await shown_money(asked)
    return [_pool(pool, shown) for pool in await whole_list(asked.use.did_pools.page)]


async def get_did_pool_info(asked: Asked) -> Answer:
    """One of them."""
    return _pool(await asked.use.did_pools.show(asked.values.needed_whole("id")), await shown_money(asked))


async def delete_did_pool(asked: Asked) -> Answer:
    """Its free numbers are closed, those of owners stay theirs."""
    await asked.use.did_pools.remove(asked.values.needed_whole("id"))
    return True


async def get_did_count(asked: Asked) -> Answer:
    """1 where the number takes calls, else 0."""
    return str(await asked.use.dids.count(_did(asked)))


HANDLERS: Final[Mapping[str, Handler]] = {
    "getDisaDIDList": get_disa_did_list,
    "updateDIDState": update_did_state,
    "getDIDPool": get_did_pool,
    "orderDID": order_did,
    "getDIDList": get_did_list,
    "addDID": add_did,
    "updateDID": update_did,
    "deleteDID": delete_did,
    "getDIDInfo": get_did_info,
    "renewDID": renew_did,
    "addDIDPool": add_did_pool,
    "updateDIDPool": update_did_pool,
    "getDIDPools": get_did_pools,
    "getDIDPoolInfo": get_did_pool_info,
    "deleteDIDPool": delete_did_pool,
    "getDIDCount": get_did_count,
}


def _offered(did: Did, shown: ShownMoney) -> dict[str, Any]:
    return {
        "displaycost": price_shown(did.monthly_price, did.currency, shown),
        "displayinstallcost": price_shown(did.setup_price, did.currency, shown),
        "cost": amount(did.monthly_price),
        "installcost": amount(did.setup_price),
        "country": did.country,
        "area": did.area,
        "voice_support": "yes",
        "sms_support": "yes",
        "did": did.number,
        "pool_id": did.pool_id,
        "arg1": "",
        "arg2": "",
        "arg3": "",
    }


def _pool(pool: DidPool, shown: ShownMoney) -> dict[str, Any]:
    return {
        "id": pool.pool_id,
        "country": pool.country,
        "area": pool.area,
        "cost": amount(pool.monthly_price),
        "installcost": amount(pool.setup_price),
        "displayinstallcost": price_shown(pool.setup_price, pool.currency, shown),
        "displaycost": price_shown(pool.monthly_price, pool.currency, shown),
        "quantity": pool.quantity,
        "provider": pool.provider,
        "username": pool.username,
        "password": "",
        **{f"param{number}": text for number, text in enumerate(pool.params, 1)},
    }


async def _there(asked: Asked) -> Did:
    """The number that is named; one that was deleted, or closed for good, is none. Raises Failure."""
    did = await asked.use.dids.show(_did(asked))
    if did.state is DidState.CLOSED and did.owner is None:
        raise Failure(Code.E_NOT_EXIST, f"there is no number {did.number}")
    return did


def _did(asked: Asked) -> str:
    return did_of(asked.values.needed_text("did"))


def _text(asked: Asked, name: str) -> str:
    return asked.values.text(name) or ""


def _given(asked: Asked, name: str) -> str | Leave:
    value = asked.values.text(name)
    return LEAVE if value is None else value


def _price(asked: Asked, name: str) -> Decimal | None:
    value = asked.values.number(name)
    if value is not None and value < 0:
        raise Failure(Code.E_DATA_ABORT, f"{name}: is below 0")
    return value


def _check_password(asked: Asked) -> None:
    if asked.values.text("pass"):
        raise Failure(Code.E_DATA_ABORT, "pass: no provider that is configured takes one")


def _moment(asked: Asked, name: str) -> datetime | None:
    text = asked.values.text(name)
    return moment_of(text, name) if text else None
