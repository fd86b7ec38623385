"""Commands of tariffs: what can be connected, by groups, and what is."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from rating_engine.api.teleum.asked import NO_NUMBER, Answer, Asked, Handler
from rating_engine.api.teleum.forms import date_time, money, number_form
from rating_engine.domain.subscription import ServiceKind
from rating_engine.domain.tariff_offer import TariffOffer


async def get_tariff_groups(asked: Asked) -> Answer:
    """Groups of tariffs."""
    groups = await asked.use.tariff_offers.groups()
    return {"tariffGroups": [{"id": str(group.number), "name": group.name} for group in groups]}


async def get_tariffs(asked: Asked) -> Answer:
    """Tariffs of a group that can be connected."""
    offers = await asked.use.tariff_offers.page(asked.values.whole("tg"))
    return {"tariffs": [await _offered(asked, offer) for offer in offers]}


async def get_connected_tariffs(asked: Asked) -> Answer:
    """Tariffs that are connected, with their numbers."""
    ids = {did.number: did.did_id for did in await asked.numbers()}
    shown, zone = [], await asked.zone()
    for each in await asked.use.tariff_offers.connected(asked.who):
        offer, number = each.offer, each.subscription.number
        is_once = offer.service.kind is ServiceKind.ONE_TIME
        shown.append(
            {
                "id": str(offer.offer_id),
                "cost": await _in_own_currency(asked, offer.service.cost, offer.service.currency),
                "pcost": asked.words.once if is_once else asked.words.recurring,
                "nid": str(ids.get(number or "", NO_NUMBER)),
                "numf": number_form(number) if number else "",
                "link_date": date_time(each.subscription.starts_at.astimezone(zone)),
                "name": _name(asked, offer),
            }
        )
    return {"connected": shown}


async def connect_tariff(asked: Asked) -> Answer:
    """Connect a tariff, with a number where it takes one."""
    values = asked.values
    did = await asked.use.tariff_offers.connect(asked.who, int(values.needed("tarid")), values.whole("numid") or None)
    return {"numid": NO_NUMBER if did is None else str(did.did_id)}


HANDLERS: Final[Mapping[str, Handler]] = {
    "getTariffGroups": get_tariff_groups,
    "getTariffs": get_tariffs,
    "getConnectedTariffs": get_connected_tariffs,
    "connectTariff": connect_tariff,
}


def _name(asked: Asked, offer: TariffOffer) -> str:
    return offer.names.get(asked.party.language, offer.name)


async def _in_own_currency(asked: Asked, amount: Decimal, currency: str) -> str:
    """In that of the user's account, where the rate is known."""
    own = await asked.use.accounts.own(asked.who)
    converted = None if own is None else await asked.use.dids.converted(amount, currency, own.currency)
    return money(amount if converted is None else converted)


async def _offered(asked: Asked, offer: TariffOffer) -> dict[str, Any]:
    region, kind, service = offer.region, offer.kind, offer.service
    return {
        "id": str(offer.offer_id),
        "name": _name(asked, offer),
        "name_lng": [{"lng": language, "name": name} for language, name in sorted(offer.names.items())],
        "numreq": str(int(offer.has_number)),
        "numreg": NO_NUMBER if region is None else str(region.number),
        "numreg_name": "" if region is None else region.name,
        "numtype": NO_NUMBER if kind is None else str(kind.number),
        "numtype_name": "" if kind is None else kind.name,
        "textf": offer.description,
        "connectPrice": await _in_own_currency(asked, service.setup_price, service.currency),
        "aboPrice": await _in_own_currency(asked, service.cost, service.currency),
    }
