"""Section Routing: the asker's own routes, and how each is reached."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from rating_engine.api.narayana.answer import date, money
from rating_engine.api.narayana.asked import Answer, Asked, Handler
from rating_engine.api.narayana.pages import whole_list
from rating_engine.domain.change import LEAVE
from rating_engine.domain.gateway import Gateway, GatewayChanges, RouteKind

# What the document calls them.
FIELDS: Final[Mapping[str, str]] = {
    "route": "name", "prefix": "prefix", "host": "host", "user": "username", "pass": "secret",
    "balance_handler": "balance_handler", "balance_username": "balance_username",
    "balance_password": "balance_secret",
}  # fmt: skip


async def get_routes(asked: Asked) -> Answer:
    """The asker's; `all`: those of whom it owns too. A balance is shown as it is known: nobody is asked."""
    kind = asked.values.needed_text("type")
    read = partial(
        asked.use.gateways.page,
        near=not asked.values.flag("all"),
        kind=None if kind == "all" else RouteKind(kind),
    )
    offset = await _offset(asked)
    return [_shown(each, offset) for each in await whole_list(read)]


async def get_route_info(asked: Asked) -> Answer:
    """One of them."""
    return _shown(await asked.use.gateways.show(asked.values.needed_whole("id")), await _offset(asked))


async def add_route(asked: Asked) -> Answer:
    """One more, for those tariffs that get a price for it."""
    values = asked.values
    await asked.use.gateways.add(
        values.needed_text("route"), RouteKind(values.needed_text("type")), values.needed_text("sip_server"),
        _changes(asked),
    )  # fmt: skip
    return True


async def update_route(asked: Asked) -> Answer:
    """What is given of one."""
    await asked.use.gateways.change(asked.values.needed_whole("id"), _changes(asked))
    return True


async def update_route_state(asked: Asked) -> Answer:
    """Calls go by it, or no more."""
    await asked.use.gateways.set_enabled(asked.values.needed_whole("id"), bool(asked.values.flag("state")))
    return True


async def delete_route(asked: Asked) -> Answer:
    """One that no tariff has a price for."""
    await asked.use.gateways.remove(asked.values.needed_whole("id"))
    return True


HANDLERS: Final[Mapping[str, Handler]] = {
    "getRoutes": get_routes,
    "getRouteInfo": get_route_info,
    "addRoute": add_route,
    "updateRoute": update_route,
    "updateRouteState": update_route_state,
    "deleteRoute": delete_route,
}


def _changes(asked: Asked) -> GatewayChanges:
    values = asked.values
    texts = {field: values.text(name) for name, field in FIELDS.items() if values.has(name)}
    from_user = values.flag("fromuser") if values.has("fromuser") else None
    policy = values.whole("callerid") if values.has("callerid") else None
    return GatewayChanges(
        **{field: text for field, text in texts.items() if text is not None},
        from_user=LEAVE if from_user is None else from_user,
        policy=LEAVE if policy is None else policy,
    )


async def _offset(asked: Asked) -> int:
    return (await asked.user()).utc_offset


def _shown(route: Gateway, offset: int) -> dict[str, Any]:
    asked_at = route.balance_updated_at
    return {
        "id": str(route.route_id),
        "prefix": route.prefix,
        "cli": str(int(route.policy)),
        "route": route.title,
        "owner": route.owner,
        "enabled": str(int(route.enabled)),
        "type": route.kind.value,
        "lastupdate": None if asked_at is None else date(asked_at),
        "clientlastupdate": None if asked_at is None else date(asked_at, offset),
        "balance": None if route.balance is None else money(route.balance),
    }
