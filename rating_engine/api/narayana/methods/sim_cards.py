"""Sections SIM-cards and GSM: cards bound by their PUKs and set; providers asked by their names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.pages import whole_list
from rating_engine.api.narayana.sim_object import sim_fields
from rating_engine.domain.change import LEAVE
from rating_engine.domain.sim_card import NewSimCard, SimChanges

DEFAULT_ACTION: Final = "default"
OF_THE_QUERY: Final = frozenset({"login", "password", "username", "provider", "action"})  # no provider is told those


async def get_sim_list(asked: Asked) -> Answer:
    """Of who asks and of all below; `own`: of who asks alone; `all` false: those that are on."""
    own, only_enabled = asked.values.flag("own") is True, asked.values.flag("all") is False
    cards = await whole_list(lambda cursor: asked.use.sim_cards.page(cursor, own=own, only_enabled=only_enabled))
    return [sim_fields(card) for card in cards]


async def get_sim_info(asked: Asked) -> Answer:
    """One of them."""
    return sim_fields(await asked.use.sim_cards.show(asked.values.needed_text("iccid")))


async def bind_sim(asked: Asked) -> Answer:
    """Who asks owns it from now on."""
    values = asked.values
    await asked.use.sim_cards.bind(values.needed_text("iccid"), values.needed_text("puk1"), values.needed_text("puk2"))
    return True


async def unbind_sim(asked: Asked) -> Answer:
    """It is nobody's."""
    await asked.use.sim_cards.unbind(asked.values.needed_text("iccid"))
    return True


async def update_sim(asked: Asked) -> Answer:
    """What is given of a card; an empty owner: nobody."""
    values = asked.values
    owner, puk1, puk2 = values.text("owner"), values.text("puk1"), values.text("puk2")
    line, callerid = values.text("sip_extension"), values.text("callback_cid")
    direct, enabled = values.switch("directsms"), values.switch("enabled")
    changes = SimChanges(
        owner=LEAVE if owner is None else owner or None,
        puk1=LEAVE if puk1 is None else puk1,
        puk2=LEAVE if puk2 is None else puk2,
        line=LEAVE if line is None else line,
        callback_cid=LEAVE if callerid is None else callerid,
        allow_direct_sms=LEAVE if direct is None else direct,
        enabled=LEAVE if enabled is None else enabled,
    )
    await asked.use.sim_cards.change(values.needed_text("iccid"), changes)
    return True


async def add_sim(asked: Asked) -> Answer:
    """A card that is nobody's yet."""
    values = asked.values
    await asked.use.sim_cards.add(
        NewSimCard(
            values.needed_text("iccid"),
            values.needed_text("provider"),
            msisdn=values.text("msisdn") or "",
            puk1=values.text("puk1") or "",
            puk2=values.text("puk2") or "",
        )
    )
    return True


async def delete_sim(asked: Asked) -> Answer:
    """It is gone."""
    await asked.use.sim_cards.remove(asked.values.needed_text("iccid"))
    return True


async def notify_sim(asked: Asked) -> Answer:
    """An SMS by the card's provider."""
    values = asked.values
    await asked.use.sim_cards.notify(values.needed_text("sim"), values.needed_text("from"), values.needed_text("text"))
    return True


async def gsm_request(asked: Asked) -> Answer:
    """What the provider answers. For server keys, and keys that are for this method."""
    asked.check_carriers_key("gsmRequest")
    action = asked.values.text("action") or DEFAULT_ACTION
    given = {name: value for name, value in asked.given.items() if name not in OF_THE_QUERY}
    return await asked.use.gsm.ask(asked.values.needed_text("provider"), action, given)


HANDLERS: Final[Mapping[str, Handler]] = {
    "getSIMList": get_sim_list,
    "getSIMInfo": get_sim_info,
    "bindSIM": bind_sim,
    "unbindSIM": unbind_sim,
    "updateSIM": update_sim,
    "addSIM": add_sim,
    "deleteSIM": delete_sim,
    "notifySIM": notify_sim,
    "gsmRequest": gsm_request,
}
